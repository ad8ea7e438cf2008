"""The registry of what billing keeps of a customer: what is erased with it, in which order, and what the law keeps.

Each model with a tenant's rows stands in one of the two tables (a test fails for one that does not). By the owner of
the tables alone, for parts of it are final for everybody else.
"""

from typing import Final

from django.db import connection

from billing.models import (
    BillingProfile,
    Invoice,
    InvoiceDraft,
    InvoiceFile,
    InvoiceMail,
    LastStanding,
    LedgerEntry,
    LicenceCase,
    LicenceProof,
    Override,
    PlanChange,
    SlaBreakMail,
    SlaCorrection,
    SlaCredit,
    SlaDay,
    SlaFile,
    SlaLedger,
    SlaMinute,
    SlaMonth,
    SlaRenewal,
    Subscription,
    SubscriptionMail,
    UsageCorrection,
    UsageLimit,
    UsageMonth,
    UsageNotice,
    UsageRunning,
)
from tenants.fence import TenantModel
from tenants.models import Customer

SLA_ROWS: Final = (
    *(SlaMinute, SlaFile, SlaDay, SlaRenewal, SlaBreakMail),
    *(SlaCorrection, SlaMonth, SlaCredit, SlaLedger),
)
# In this order, so that nothing points at what is gone, each with the lookup of the customer's number.
ROWS: Final[tuple[tuple[type[TenantModel], str], ...]] = (
    (SubscriptionMail, "subscription__customer_id"),
    (LastStanding, "subscription__customer_id"),
    (PlanChange, "subscription__customer_id"),
    (Override, "subscription__customer_id"),
    (Subscription, "customer_id"),
    *((model, "customer_id") for model in SLA_ROWS),
    *((model, "customer_id") for model in (UsageCorrection, UsageMonth, UsageRunning, UsageNotice, UsageLimit)),
    (InvoiceMail, "invoice__customer_id"),
    (InvoiceDraft, "customer_id"),
    (BillingProfile, "customer_id"),
    (LicenceCase, "customer_id"),
    (LicenceProof, "customer_id"),
)
# Of these the customer's documents consist: billing/invoices/erasing.py deletes them when their years are over.
KEPT_BY_LAW: Final[tuple[type[TenantModel], ...]] = (Invoice, InvoiceFile, LedgerEntry)
_OPENED: Final = "SELECT coalesce(current_setting('hpns.erasure', true), '')"
_OPEN: Final = "SELECT set_config('hpns.erasure', %s, true)"


def erase(customer: Customer) -> None:
    """Delete all of ROWS, in the transaction that erases the customer: what is final opens for it (migrations 0004)."""
    with connection.cursor() as cursor:
        cursor.execute(_OPENED)
        (before,) = cursor.fetchone()
        cursor.execute(_OPEN, ["on"])
        for model, lookup in ROWS:
            model.objects.filter(**{lookup: customer.pk}).delete()
        cursor.execute(_OPEN, [before])
