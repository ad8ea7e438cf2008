"""What stays of an erased customer: issued documents, their files and the ledger, and when they go.

The law keeps them (in the EU for six to ten years): they name the customer as it was billed, and none of its people but
where its own name is one's. What is old enough goes by forget(); the audit log's events about them live as long
(tenants/services/erasing.py asks documented()). What goes with the customer: billing/erasing.py.
"""

from datetime import UTC, datetime
from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from billing.models import Invoice, InvoiceFile, LedgerEntry
from tenants.models import Customer

# Full calendar years after that of the youngest document: the longest that a member state of the EU asks for.
YEARS: Final = 10
KEPT: Final = "invoices, credit notes and statements with their PDFs, and the ledger of payments, as the law wants it"


def kept(customer_id: int) -> int:
    """How many issued documents stay."""
    return Invoice.objects.filter(customer_id=customer_id).count()


def documented(*, using: str = DEFAULT_DB_ALIAS) -> set[int]:
    """The customers, by their numbers, of whom documents or entries of the ledger are kept."""
    found = set(Invoice.objects.using(using).values_list("customer_id", flat=True).distinct())
    return found | set(LedgerEntry.objects.using(using).values_list("customer_id", flat=True).distinct())


def forget(*, now: datetime, using: str = DEFAULT_DB_ALIAS) -> int:
    """Delete the documents of customers that are gone, once the years of keeping are over; how many.

    All of a customer's are kept YEARS full calendar years after that of the youngest document or payment. `using`: a
    connection of the owner of the tables.
    """
    before = datetime(now.year - YEARS, 1, 1, tzinfo=UTC)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        invoices = Invoice.objects.using(using)
        there = set(Customer.objects.using(using).values_list("pk", flat=True))
        young = set(invoices.filter(issued_at__gte=before).values_list("customer_id", flat=True))
        young |= set(LedgerEntry.objects.using(using).filter(at__gte=before).values_list("customer_id", flat=True))
        gone = documented(using=using) - there - young
        cursor.execute("SELECT set_config('hpns.erasure', 'on', true)")
        LedgerEntry.objects.using(using).filter(customer_id__in=gone).delete()
        InvoiceFile.objects.using(using).filter(invoice__customer_id__in=gone).delete()
        for kind in ("credit_note", "invoice", "statement"):  # a credit note points at its invoice
            invoices.filter(customer_id__in=gone, kind=kind).delete()
        cursor.execute("SELECT set_config('hpns.erasure', '', true)")
    return len(gone)
