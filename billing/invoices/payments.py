"""Payments, refunds and the balance: what is entered of money that moved. A payment provider calls record().

Invariants: every act is one transaction with its audit event; a reference of a bank is entered once for a customer; a
payment counts in the invoice's currency alone.
"""

import uuid
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Sum

from billing import events
from billing.invoices import ledger
from billing.invoices.document import from_json
from billing.invoices.providers import PROVIDERS
from billing.models import Invoice, LedgerEntry
from billing.money import text
from tenants.audit import recording
from tenants.models import Customer
from tenants.problem import ProblemError

Account, Kind = LedgerEntry.Account, LedgerEntry.Kind
LARGEST_MINOR: Final = 10**12


class Paid(NamedTuple):
    """What a payment did: to the invoice, to the balance, and what is still open."""

    to_invoice_minor: int
    to_balance_minor: int
    open_minor: int
    currency: str

    @property
    def sentence(self) -> str:
        """It in words."""
        said = f"{text(self.to_invoice_minor, self.currency)} count towards the invoice"
        if self.to_balance_minor:
            said += f", {text(self.to_balance_minor, self.currency)} go to the balance"
        still = f"{text(self.open_minor, self.currency)} stay open" if self.open_minor else "it is paid"
        return f"{said}; {still}."


def preview(invoice: Invoice, *, amount_minor: int, currency: str) -> Paid:
    """What a payment would do. Raises ProblemError for one that cannot be taken, with the reason."""
    if invoice.kind != "invoice":
        raise ProblemError(f"{invoice.number} is a {invoice.get_kind_display()}: only invoices are paid")
    if currency != invoice.currency:
        raise ProblemError(
            f"{invoice.number} is in {invoice.currency} and the payment in {currency}: have the bank change it, and "
            f"enter what arrived in {invoice.currency}",
            field="currency",
        )
    if not 0 < amount_minor <= LARGEST_MINOR:
        raise ProblemError("a payment is more than nothing; what goes back is a refund", field="amount")
    left = ledger.open_minor(invoice)
    counted = min(amount_minor, left)
    return Paid(counted, amount_minor - counted, left - counted, currency)


def record(
    invoice: Invoice,
    *,
    amount_minor: int,
    currency: str,
    reference: str,
    now: datetime,
    provider: str = "manual",
    note: str = "",
) -> Paid:
    """Enter a payment of an invoice: a part, all of it, or more, which goes to the balance.

    Raises ProblemError for another currency, for nothing, and for a reference that was entered before.
    """
    reference = _reference(reference)
    with events.changes(invoice.customer_id, now), ledger.locked(invoice.customer_id):
        done = preview(invoice, amount_minor=amount_minor, currency=currency)
        _check_new(invoice.customer_id, reference, Kind.PAYMENT)
        batch, more = uuid.uuid4(), {"reference": reference, "note": note[:300], "provider": provider}
        common = {"customer_id": invoice.customer_id, "currency": currency, "at": now, "batch": batch, **more}
        ledger.add(Account.INVOICE, Kind.PAYMENT, done.to_invoice_minor, invoice=invoice, **common)  # type: ignore[arg-type]
        ledger.add(Account.BALANCE, Kind.PAYMENT, done.to_balance_minor, invoice=invoice, **common)  # type: ignore[arg-type]
        recording.record(
            "payment.record",
            customer=invoice.customer_id,
            target=invoice.number,
            target_id=invoice.pk,
            amount=text(amount_minor, currency),
            reference=reference,
            open=text(done.open_minor, currency),
        )
    return done


def refund(
    customer: Customer, *, amount_minor: int, currency: str, reference: str, now: datetime, note: str = ""
) -> int:
    """Enter that money of the customer's balance was paid back; the balance afterwards, in minor units.

    Raises ProblemError for more than the balance: what was paid for an invoice becomes balance by a credit note.
    """
    reference = _reference(reference)
    with ledger.locked(customer.pk):
        held = ledger.balance_minor(customer.pk, currency)
        check_refund(held, amount_minor, currency)
        _check_new(customer.pk, reference, Kind.REFUND)
        ledger.add(
            Account.BALANCE,
            Kind.REFUND,
            -amount_minor,
            customer_id=customer.pk,
            currency=currency,
            at=now,
            batch=uuid.uuid4(),
            reference=reference,
            note=note[:300],
            provider="manual",
        )
        left = text(held - amount_minor, currency)
        recording.record(
            "payment.refund",
            customer=customer,
            target=customer.name,
            amount=text(amount_minor, currency),
            reference=reference,
            balance=left,
        )
    return held - amount_minor


def check_refund(held: int, amount_minor: int, currency: str) -> int:
    """What stays of a balance after a refund. Raises ProblemError for more than it, and for nothing."""
    if amount_minor <= 0:
        raise ProblemError("a refund is more than nothing", field="amount")
    if amount_minor > held:
        raise ProblemError(
            f"the balance is {text(held, currency)}: no more can go back. What was paid for an invoice becomes "
            "balance by a credit note",
            field="amount",
        )
    return held - amount_minor


def pay_by_balance(invoice: Invoice, *, now: datetime) -> int:
    """Let the customer's balance count towards an invoice, as far as it goes; how much did, in minor units."""
    with ledger.locked(invoice.customer_id):
        held = ledger.balance_minor(invoice.customer_id, invoice.currency)
        used = max(0, min(held, ledger.open_minor(invoice)))
        if not used:
            return 0
        batch = uuid.uuid4()
        for account, amount in ((Account.BALANCE, -used), (Account.INVOICE, used)):
            ledger.add(
                account,
                Kind.BALANCE,
                amount,
                customer_id=invoice.customer_id,
                currency=invoice.currency,
                at=now,
                batch=batch,
                invoice=invoice,
            )
        recording.record(
            "payment.by_balance",
            customer=invoice.customer_id,
            target=invoice.number,
            target_id=invoice.pk,
            amount=text(used, invoice.currency),
        )
    return used


def instructions(invoice: Invoice) -> list[tuple[str, str]]:
    """How to pay an invoice, as its document says it."""
    return PROVIDERS["manual"].instructions(from_json(invoice.document))


def _reference(given: str) -> str:
    reference = " ".join(given.split())
    if not reference or len(reference) > 140 or not reference.isprintable():
        raise ProblemError(
            "a payment needs the bank's reference of at most 140 characters, so that it is entered once",
            field="reference",
        )
    return reference


def _check_new(customer_id: int, reference: str, kind: LedgerEntry.Kind) -> None:
    """Raise ProblemError where this reference was entered already, with what and when."""
    same = LedgerEntry.objects.filter(customer_id=customer_id, reference=reference, kind=kind)
    before = same.order_by("at").first()
    if before is not None:
        amount = same.filter(batch=before.batch).aggregate(all=Sum("amount_minor"))["all"]
        raise ProblemError(
            f"a {before.get_kind_display()} with the reference {reference} was entered on {before.at:%Y-%m-%d} "
            f"({text(abs(amount), before.currency)})",
            field="reference",
        )
