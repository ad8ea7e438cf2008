"""SLA credit in another currency than the invoices: found, and used at a rate that staff state, or paid back.

A credit is valued in the currency that its month was priced in; a plan in another one leaves it where no invoice uses
it. Invariant: an exchange rounds in the customer's favour, keeps the months that the credit is for, and takes what it
takes in the same transaction as what it gives, under the customer's lock. The rate stands in both entries.
"""

import uuid
from collections import defaultdict
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple

from django.db.models import QuerySet, Sum

from billing.invoices import ledger
from billing.invoices.composing import MonthCredit
from billing.models import DocumentKind, Invoice, InvoiceDraft, LedgerEntry
from billing.money import CURRENCIES, text
from tenants.audit import recording
from tenants.models import Customer
from tenants.problem import ProblemError

Account, Kind = LedgerEntry.Account, LedgerEntry.Kind
LARGEST_RATE: Final = Decimal(1000)


class Exchange(NamedTuple):
    """What an exchange takes in one currency and gives in another, in minor units."""

    taken_minor: int
    given_minor: int
    source: str
    target: str
    rate: Decimal

    @property
    def sentence(self) -> str:
        """It in words."""
        return (
            f"{text(self.taken_minor, self.source)} of SLA credit become {text(self.given_minor, self.target)} at "
            f"{self.rate.normalize():f} {self.target} for 1 {self.source}, and are used by the next invoices."
        )


def unused() -> QuerySet[LedgerEntry]:
    """The credits that no invoice of their customer will use, for all of these are in another currency."""
    rows = LedgerEntry.objects.filter(account=Account.CREDIT).order_by()
    left: dict[int, set[str]] = defaultdict(set)
    for row in rows.values("customer_id", "currency").annotate(left=Sum("amount_minor")).filter(left__gt=0):
        left[row["customer_id"]].add(row["currency"])
    found = LedgerEntry.objects.none()
    granted = LedgerEntry.objects.filter(account=Account.CREDIT, amount_minor__gt=0)
    for customer_id, currencies in left.items():
        invoiced = invoiced_in(customer_id)
        if invoiced and (others := currencies - invoiced):
            found = found | granted.filter(customer_id=customer_id, currency__in=others)
    return found


def invoiced_in(customer_id: int) -> set[str]:
    """The currencies of the customer's next invoices: of its drafts, else of the last one that it got."""
    drafts = InvoiceDraft.objects.filter(customer_id=customer_id, kind=DocumentKind.INVOICE)
    last = Invoice.objects.filter(customer_id=customer_id, kind=DocumentKind.INVOICE).order_by("-issued_at")
    return set(drafts.values_list("currency", flat=True)) or set(last.values_list("currency", flat=True)[:1])


def preview(customer_id: int, *, source: str, target: str, rate: Decimal) -> Exchange:
    """What an exchange of all that is left in a currency would do. Raises ProblemError for one that cannot be made."""
    if target not in CURRENCIES or source == target:
        raise ProblemError(f"SLA credit in {source} cannot become {target}", field="source")
    if not 0 < rate <= LARGEST_RATE:
        raise ProblemError(f"a rate is more than 0 and at most {LARGEST_RATE}", field="rate")
    left = ledger.credits_left(customer_id, source)
    if not left:
        raise ProblemError(f"there is no SLA credit left in {source}", field="source")
    given = sum(_exchanged(each, rate) for each in left)
    return Exchange(sum(each.left_minor for each in left), given, source, target, rate)


def convert(customer: Customer, *, source: str, target: str, rate: Decimal, reason: str, now: datetime) -> Exchange:
    """Make all of a customer's SLA credit in one currency credit in another. `reason`: where the rate is from.

    Raises ProblemError as preview() does, and without a reason.
    """
    with ledger.locked(customer.pk):
        _check(reason)
        done = preview(customer.pk, source=source, target=target, rate=rate)
        batch, note = uuid.uuid4(), f"{rate.normalize():f} {target} for 1 {source}: {reason.strip()}"[:300]
        for each in ledger.credits_left(customer.pk, source):
            common = {"customer_id": customer.pk, "at": now, "batch": batch, "note": note, "month": each.month.first}
            common |= {"percent": each.percent, "root": each.root}
            amounts = ((source, -each.left_minor), (target, _exchanged(each, rate)))
            for currency, amount in amounts:
                ledger.add(Account.CREDIT, Kind.EXCHANGE, amount, currency=currency, **common)  # type: ignore[arg-type]
        recording.record(
            "sla_credit.exchange",
            customer=customer,
            target=text(done.taken_minor, source),
            amount=text(done.given_minor, target),
            rate=f"{rate.normalize():f}",
            reason=reason.strip(),
        )
    return done


def pay_out(customer: Customer, *, currency: str, reference: str, reason: str, now: datetime) -> int:
    """Enter that all of a customer's SLA credit in a currency was paid to it; how much, in minor units.

    Raises ProblemError where none is left, and without a bank's reference or a reason.
    """
    with ledger.locked(customer.pk):
        _check(reason)
        left = ledger.credits_left(customer.pk, currency)
        if not left:
            raise ProblemError(f"there is no SLA credit left in {currency}", field="source")
        if not reference.strip():
            raise ProblemError("a refund has the bank's reference", field="reference")
        batch = uuid.uuid4()
        for each in left:
            ledger.add(
                Account.CREDIT,
                Kind.REFUND,
                -each.left_minor,
                customer_id=customer.pk,
                currency=currency,
                at=now,
                batch=batch,
                month=each.month.first,
                reference=reference.strip()[:140],
                note=reason.strip()[:300],
                provider="manual",
            )
        paid = sum(each.left_minor for each in left)
        recording.record(
            "sla_credit.pay_out",
            customer=customer,
            target=text(paid, currency),
            reference=reference.strip(),
            reason=reason.strip(),
        )
    return paid


def _check(reason: str) -> None:
    if not reason.strip():
        raise ProblemError("say why, and where the rate is from", field="reason")


def _exchanged(credit: MonthCredit, rate: Decimal) -> int:
    return int((credit.left_minor * rate).quantize(Decimal(1), rounding=ROUND_CEILING))
