"""A row of each table that billing has of a customer."""

from typing import Final

from django.utils import timezone

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
    Plan,
    PlanChange,
    PlanVersion,
    Subscription,
    SubscriptionMail,
    UsageCorrection,
    UsageLimit,
    UsageMonth,
    UsageNotice,
    UsageRunning,
)
from tenants.models import Customer
from tests.billing.sla.tables import ledger_rows
from tests.browsing import Tenant

NOW: Final = "2026-01-02T03:04:05Z"


def furnish_billing(one: Tenant) -> None:
    """One of each; nothing of it was judged, issued or measured by anybody."""
    ledger_rows(one.customer)
    _subscribe(one.customer)
    _count(one.customer)
    _invoice(one.customer)
    _license(one)


def _subscribe(customer: Customer) -> None:
    """A subscription of the customer with a row of all that there is to one; it stands as nobody has judged it."""
    plan, _ = Plan.objects.get_or_create(code="two", defaults={"name": "Two", "basis": "free", "offer": customer.offer})
    version, _ = PlanVersion.objects.get_or_create(plan=plan, version=1)
    row = Subscription.objects.create(
        customer=customer, version=version, basis="free", starts_at=NOW, anchor_at=NOW, offer_pending=False
    )
    Override.objects.create(subscription=row, until=NOW, reason="x", actor="x")
    PlanChange.objects.create(subscription=row, before=version, after=version, at=NOW, amount_minor=0, currency="EUR")
    LastStanding.objects.create(
        subscription=row, state="active", serves=True, may_grow=True, sentence="x", evaluated_at=timezone.now()
    )
    SubscriptionMail.objects.create(subscription=row, kind="trial", about=NOW, days=7, sent_at=NOW)


def _count(customer: Customer) -> None:
    """A row of each kind about usage by month."""
    figures = {"pushes": 1, "devices": 1, "phones": 1, "servers": 1}
    of = {"customer": customer, "month": "2026-01-01"}
    UsageMonth.objects.create(closed_at=NOW, **of, **figures)
    UsageCorrection.objects.create(at=NOW, pushes_before=2, devices_before=1, reason="late", **of, **figures)
    UsageRunning.objects.create(at=NOW, **of, **figures)
    UsageNotice.objects.create(measure="pushes", step="near", at=NOW, **of)
    UsageLimit.objects.create(began_at=NOW, rate=1, burst=60, **of)


def _invoice(customer: Customer) -> None:
    """A row of each kind that invoices have, without an issue: which document is none is of no matter here."""
    number = f"INV-2026-{customer.pk:05d}"
    BillingProfile.objects.create(
        customer=customer, name=customer.name, address="1 Road", city="Berlin", country="DE", emails=["b@x.example"]
    )
    InvoiceDraft.objects.create(customer=customer, ready_on="2026-02-01", currency="EUR", computed_at=NOW)
    row = Invoice.objects.create(
        kind="invoice",
        series="INV",
        year=2026,
        sequence=customer.pk,
        number=number,
        customer_id=customer.pk,
        customer_name=customer.name,
        issued_at=NOW,
        currency="EUR",
        net_minor=100,
        tax_minor=19,
        gross_minor=119,
        document={"number": number},
    )
    InvoiceFile.objects.create(invoice=row, content=b"%PDF", sha256="0" * 64, e_invoice=False)
    LedgerEntry.objects.create(
        customer_id=customer.pk,
        account="invoice",
        kind="payment",
        amount_minor=119,
        currency="EUR",
        at=NOW,
        invoice=row,
    )
    InvoiceMail.objects.create(invoice=row, address="b@x.example", sent_at=NOW)


def _license(one: Tenant) -> None:
    """A proven licence, and a case."""
    dates = {"starts_at": NOW, "expires_at": "2099-01-01T00:00Z"}
    common = {"customer": one.customer, "server": one.server, "issuer": "issuer", "company": one.customer.name, **dates}
    licence_id = one.customer.name.ljust(26, "0")
    LicenceProof.objects.create(licence_id=licence_id, digest="d", sku="professional", users=9, **common)
    LicenceCase.objects.create(licence_id="x" * 26, kind="unknown_plan", first_at=NOW, last_at=NOW, **common)
