"""Reads what is billed and owed: open invoices for the standing, states for pages, what waits for staff.

A state is computed out of the document and its payments each time, and kept nowhere.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from django.db.models import QuerySet, Sum

from billing.facts import OpenInvoice
from billing.invoices import ledger
from billing.models import DocumentKind, Invoice, InvoiceDraft, LedgerEntry
from billing.money import text
from tenants.models import Customer


class PaymentState(StrEnum):
    """How an issued document stands, in the words of pages."""

    OPEN = "open"
    PARTLY_PAID = "partly paid"
    OVERDUE = "overdue"
    PAID = "paid"
    CREDITED = "credited"
    NOTHING = "nothing to pay"


class Standing(NamedTuple):
    """A document, its state, and what of it is open."""

    invoice: Invoice
    state: PaymentState
    open_minor: int

    @property
    def open(self) -> str:
        """What is open, in words."""
        return text(self.open_minor, self.invoice.currency)

    @property
    def kind(self) -> str:
        """The kind of a status mark."""
        bad = {PaymentState.OVERDUE: "bad", PaymentState.PARTLY_PAID: "warn", PaymentState.OPEN: "info"}
        return bad.get(self.state, "good")


def open_invoices(customer: Customer) -> list[OpenInvoice]:
    """The customer's invoices of which something is to be paid, the earliest due first."""
    return [_open(each) for each in standings(_invoices(customer), date.max) if each.open_minor > 0]


def standings(invoices: Iterable[Invoice], today: date) -> list[Standing]:
    """Documents with their states on a day (UTC), in the order given."""
    rows = list(invoices)
    entries = LedgerEntry.objects.filter(invoice__in=rows, account=LedgerEntry.Account.INVOICE).order_by()
    sums = entries.values_list("invoice_id", "kind").annotate(Sum("amount_minor"))
    paid: dict[int, dict[str, int]] = {}
    for invoice_id, kind, amount in sums:
        paid.setdefault(invoice_id, {})[kind] = amount
    return [_standing(row, paid.get(row.pk, {}), today) for row in rows]


def standing(invoice: Invoice, today: date) -> Standing:
    """One document's."""
    return standings([invoice], today)[0]


def _standing(row: Invoice, paid: dict[str, int], today: date) -> Standing:
    if row.kind != DocumentKind.INVOICE:
        return Standing(row, PaymentState.NOTHING, 0)
    left = row.gross_minor - sum(paid.values())
    if left <= 0:
        credited = paid.get(LedgerEntry.Kind.CREDIT_NOTE, 0) == row.gross_minor > 0
        state = PaymentState.CREDITED if credited else PaymentState.PAID
    elif row.due_on is not None and row.due_on < today:
        state = PaymentState.OVERDUE
    else:
        state = PaymentState.PARTLY_PAID if paid else PaymentState.OPEN
    return Standing(row, state, max(0, left))


def owed(customer: Customer) -> dict[str, int]:
    """What the customer owes, by currency, in minor units."""
    sums: dict[str, int] = {}
    for invoice in open_invoices(customer):
        sums[invoice.currency] = sums.get(invoice.currency, 0) + invoice.open_minor
    return sums


def drafts(customer: Customer) -> list[InvoiceDraft]:
    """What is not yet issued, the earliest first."""
    return list(InvoiceDraft.objects.filter(customer=customer))


def credit(customer: Customer) -> dict[str, int]:
    """The SLA credit that is not used up, by currency, in minor units."""
    entries = LedgerEntry.objects.filter(customer_id=customer.pk, account=LedgerEntry.Account.CREDIT).order_by()
    currencies = entries.values_list("currency", flat=True).distinct()
    found = {currency: ledger.credit_minor(customer.pk, currency) for currency in currencies}
    return {currency: amount for currency, amount in found.items() if amount}


def waiting_for_staff(today: date) -> tuple[int, int]:
    """How many drafts can be issued, and how many invoices are overdue."""
    return ready(today).count(), len(overdue(today))


def ready(today: date) -> QuerySet[InvoiceDraft]:
    """The drafts of invoices whose day has come, of all customers, the earliest first."""
    return InvoiceDraft.objects.filter(ready_on__lte=today, kind=DocumentKind.INVOICE).order_by("ready_on", "pk")


def overdue(today: date) -> list[Standing]:
    """The overdue invoices of all customers, the earliest due first."""
    late = Invoice.objects.filter(kind=DocumentKind.INVOICE, due_on__lt=today).defer("document")
    rows = late.order_by("due_on", "id")
    return [each for each in standings(rows, today) if each.state is PaymentState.OVERDUE]


def _invoices(customer: Customer) -> Iterable[Invoice]:
    found = Invoice.objects.filter(customer_id=customer.pk, kind=DocumentKind.INVOICE)
    return found.defer("document").order_by("due_on", "id")


def _open(each: Standing) -> OpenInvoice:
    row = each.invoice
    due = row.due_on or row.issued_at.date()
    ends = datetime.combine(due + timedelta(days=1), time(), UTC)
    return OpenInvoice(row.number, row.subscription_id, ends, each.open_minor, row.currency)
