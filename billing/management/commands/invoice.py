"""`manage.py invoice draft | drafts | issue | credit | pay | refund | exchange | pay-out | list | show`."""

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.utils import timezone

from billing.invoices import converting, daily, drafting, issuing, ledger, payments, reading
from billing.invoices import document as documents
from billing.invoices.document import Line
from billing.invoices.sources import SOURCES
from billing.models import DocumentKind, Invoice, InvoiceDraft
from billing.money import CURRENCIES, text
from tenants import selectors
from tenants.management.subcommands import CUSTOMER, Option, SubcommandsCommand, subcommand
from tenants.problem import ProblemError

_NUMBER: Final = Option("--number", "the document's number, such as INV-2026-00001", required=True)
_AMOUNT: Final = Option("--amount", "in units with a point, such as 12.50", required=True)
_CURRENCY: Final = Option("--currency", "the currency", required=True, choices=CURRENCIES)
_REFERENCE: Final = Option("--reference", "the bank's, by which it is entered once", required=True)


class Command(SubcommandsCommand):
    """Invoices."""

    help = "Draft, issue and credit invoices; enter payments and refunds; list and show documents."

    @subcommand(
        "Recompute the drafts of a customer, or of all; or make one by hand of a line.",
        Option("--customer", "the customer's slug (default: all)"),
        Option("--line", "what one line says, for a draft by hand"),
        Option("--amount", "the price of one, in units with a point"),
        Option("--quantity", "how many", default="1"),
        Option("--currency", "the currency of a draft by hand", choices=CURRENCIES, default="EUR"),
    )
    def draft(self, *, customer: str, line: str, amount: str, quantity: str, currency: str) -> Any:
        """Print the drafts."""
        now = timezone.now()
        if line:
            row = selectors.customer(customer)
            made = Line(line, minor(amount), _decimal(quantity, "quantity"))
            return _draft(drafting.make(row, currency=currency, lines=[made], now=now))
        if customer:
            return [_draft(each) for each in daily.refresh(selectors.customer(customer), SOURCES, now)]
        return daily.run(SOURCES, now)._asdict()

    @subcommand(
        "Make a customer's SLA credit in one currency credit in another, which its invoices are in.",
        CUSTOMER,
        Option("--source", "the currency that it is in", required=True, choices=CURRENCIES),
        Option("--target", "the currency that it is to be in", required=True, choices=CURRENCIES),
        Option("--rate", "how much of the target for 1 of the source, such as 0.9312", required=True),
        Option("--reason", "why, and where the rate is from", required=True),
    )
    def exchange(self, *, customer: str, source: str, target: str, rate: str, reason: str) -> dict[str, Any]:
        """Print what was done."""
        row, now = selectors.customer(customer), timezone.now()
        done = converting.convert(
            row, source=source, target=target, rate=_decimal(rate, "rate"), reason=reason, now=now
        )
        return {"taken": text(done.taken_minor, source), "given": text(done.given_minor, target), "rate": rate}

    @subcommand(
        "Enter that a customer's SLA credit in a currency was paid to it.",
        CUSTOMER,
        _CURRENCY,
        _REFERENCE,
        Option("--reason", "why", required=True),
    )
    def pay_out(self, *, customer: str, currency: str, reference: str, reason: str) -> dict[str, Any]:
        """Print how much."""
        row = selectors.customer(customer)
        paid = converting.pay_out(row, currency=currency, reference=reference, reason=reason, now=timezone.now())
        return {"paid": text(paid, currency)}

    @subcommand("List the drafts of all customers.")
    def drafts(self) -> list[dict[str, Any]]:
        """Print them."""
        return [_draft(row) for row in InvoiceDraft.objects.select_related("customer")]

    @subcommand(
        "Issue a draft, for good; or all that are ready.",
        Option("--draft", "its number in `invoice drafts`", kind="number"),
        Option("--all-ready", "every draft whose day has come", kind="switch"),
        Option("--preview", "print what would be issued, and issue nothing", kind="switch"),
    )
    def issue(self, *, draft: int | None, all_ready: bool, preview: bool) -> list[dict[str, Any]]:
        """Print the documents."""
        now = timezone.now()
        rows = InvoiceDraft.objects.select_related("customer")
        rows = rows.filter(ready_on__lte=now.date()) if all_ready else rows.filter(pk=draft or 0)
        chosen = list(rows)
        if not chosen and not all_ready:
            raise ProblemError("there is no such draft: `invoice drafts` lists them")
        if preview:
            return [documents.to_json(issuing.preview(row, now)) for row in chosen]
        return [_document(issuing.issue(row, now=now)) for row in chosen]

    @subcommand(
        "Issue a credit note for an invoice, for good: of all that is left of it, or of an amount before tax.",
        _NUMBER,
        Option("--reason", "stands on the credit note", required=True),
        Option("--amount", "before tax, in units with a point (default: all that is left)"),
        Option("--preview", "print what would be issued, and issue nothing", kind="switch"),
    )
    def credit(self, *, number: str, reason: str, amount: str, preview: bool) -> dict[str, Any]:
        """Print the credit note."""
        row, now = find(number), timezone.now()
        net = minor(amount) if amount else None
        if preview:
            return documents.to_json(issuing.credit_preview(row, net_minor=net, reason=reason, now=now))
        return _document(issuing.credit(row, reason=reason, now=now, net_minor=net))

    @subcommand("Enter a payment of an invoice.", _NUMBER, _AMOUNT, _CURRENCY, _REFERENCE)
    def pay(self, *, number: str, amount: str, currency: str, reference: str) -> dict[str, Any]:
        """Print what it did."""
        done = payments.record(
            find(number), amount_minor=minor(amount), currency=currency, reference=reference, now=timezone.now()
        )
        return {"number": number, **done._asdict(), "sentence": done.sentence}

    @subcommand("Enter that money of a customer's balance was paid back.", CUSTOMER, _AMOUNT, _CURRENCY, _REFERENCE)
    def refund(self, *, customer: str, amount: str, currency: str, reference: str) -> dict[str, Any]:
        """Print the balance."""
        row = selectors.customer(customer)
        left = payments.refund(
            row, amount_minor=minor(amount), currency=currency, reference=reference, now=timezone.now()
        )
        return {"customer": customer, "balance": text(left, currency)}

    @subcommand(
        "List documents, the newest first, with what is open of them.",
        Option("--customer", "the customer's slug (default: all)"),
        Option("--open", "only those of which something is to be paid", kind="switch"),
        Option("--overdue", "only those of them whose due date has passed", kind="switch"),
    )
    def list_(self, *, customer: str, open: bool, overdue: bool) -> list[dict[str, Any]]:  # noqa: A002  the option's name
        """Print them."""
        rows = Invoice.objects.defer("document")
        rows = rows.filter(customer_id=selectors.customer(customer).pk) if customer else rows
        states = reading.standings(rows, timezone.now().date())
        if overdue:
            states = [each for each in states if each.state is reading.PaymentState.OVERDUE]
        return [_standing(each) for each in states if each.open_minor or not open]

    @subcommand("Show one document: all that stands on it, and what was paid.", _NUMBER)
    def show(self, *, number: str) -> dict[str, Any]:
        """Print it."""
        row = find(number)
        entries = [
            {"at": f"{each.at:%Y-%m-%dT%H:%M:%SZ}", "kind": each.kind, "account": each.account}
            | {"amount": text(each.amount_minor, each.currency), "reference": each.reference, "by": each.actor}
            for each in row.entries.order_by("at", "id")
        ]
        shown = {**_standing(reading.standing(row, timezone.now().date())), "document": row.document}
        return {**shown, "entries": entries, "sha256": row.file.sha256, "e_invoice": row.file.e_invoice}


def find(number: str) -> Invoice:
    """The document of a number. Raises ProblemError where there is none."""
    row = Invoice.objects.filter(number=number.strip().upper()).first()
    if row is None:
        raise ProblemError(f"there is no document {number}: `invoice list` has them")
    return row


def minor(amount: str) -> int:
    """Minor units of an amount as it is typed: "12.50". Raises ProblemError for what is none, or has more decimals."""
    value = _decimal(amount, "amount") * 100
    if value != value.to_integral_value():
        raise ProblemError("an amount has at most two decimals, such as 12.50", field="amount")
    return int(value)


def _decimal(given: str, what: str) -> Decimal:
    try:
        value = Decimal(given)
    except InvalidOperation as error:
        raise ProblemError(f"the {what} must be a number such as 12.50", field=what) from error
    if not value.is_finite() or abs(value) > 10**10:
        raise ProblemError(f"the {what} must be a number such as 12.50", field=what)
    return value


def _draft(row: InvoiceDraft) -> dict[str, Any]:
    lines = drafting.lines_of(row)
    net = sum(line.amount_minor for line in lines)
    return {
        "draft": row.pk,
        "customer": row.customer.slug,
        "kind": row.kind,
        "ready_on": f"{row.ready_on}",
        "net": text(net, row.currency),
        "lines": [documents.to_json(line) for line in lines],
    }


def _document(row: Invoice) -> dict[str, Any]:
    found = {"number": row.number, "kind": row.kind, "customer": row.customer_name, "total": row.total}
    balance = ledger.balance_minor(row.customer_id, row.currency)
    return {**found, "due_on": f"{row.due_on}" if row.due_on else None, "balance": text(balance, row.currency)}


def _standing(each: reading.Standing) -> dict[str, Any]:
    row = each.invoice
    kind = DocumentKind(row.kind).value
    found = {"number": row.number, "kind": kind, "customer": row.customer_name, "total": row.total}
    dates = {"issued_at": f"{row.issued_at:%Y-%m-%dT%H:%M:%SZ}", "due_on": f"{row.due_on}" if row.due_on else None}
    return {**found, **dates, "open": each.open, "state": each.state.value}
