"""Credits for months whose promise was not kept: computed and given unasked, never taken back.

A correction in the customer's favour may raise what a month is worth: then the difference is given, too. The fee of a
month, with its currency, is the one that its first credit was given on: a plan that was changed since changes no past.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Sum

from billing import money
from billing.facts import Credit, Month, SlaMonth
from billing.models import SlaCredit
from billing.sla import judging
from billing.sla.sources import Price
from tenants.audit import recording


def credit(customer_id: int, figures: SlaMonth, price: Price | None, root: str) -> Credit | None:
    """What a customer is owed for a month at this price, in all; None where the promise was kept, or there was none."""
    if price is None or figures.credit_percent == 0:
        return None
    amount = judging.credit_minor(price.minor, figures.credit_percent)
    if amount == 0:
        return None
    return Credit(customer_id, figures.month, figures.credit_percent, amount, price.currency, root)


def fee(customer_id: int, month: Month, price: Price | None) -> Price | None:
    """The fee that a month's credits are computed on: that of the first one given, else `price`, as it is now."""
    first = SlaCredit.objects.filter(customer_id=customer_id, month=month.first).order_by("id").first()
    return price if first is None else Price(first.price_minor, first.currency)


def give(owed: Credit | None, price: Price | None, *, now: datetime) -> SlaCredit | None:
    """Give what is owed and has not been given yet; the row, None where there is nothing to add. Idempotent.

    `price`: as fee() says. Raises ValueError for another currency than the month was credited in.
    """
    if owed is None or price is None:
        return None
    with transaction.atomic():
        given = SlaCredit.objects.filter(customer_id=owed.customer_id, month=owed.month.first)
        if given.exclude(currency=owed.currency).exists():
            raise ValueError(f"{owed.month.first:%Y-%m} was credited in another currency than {owed.currency}")
        before = given.aggregate(sum=Sum("amount_minor"))["sum"] or 0
        added = owed.amount_minor - before
        if added <= 0 or given.filter(percent__gte=owed.percent).exists():
            return None
        row = SlaCredit.objects.create(
            customer_id=owed.customer_id,
            month=owed.month.first,
            percent=owed.percent,
            price_minor=price.minor,
            amount_minor=added,
            currency=owed.currency,
            root=owed.root,
            made_at=now,
        )
        amount = money.text(added, owed.currency)
        month = f"{owed.month.first:%Y-%m}"
        recording.record("sla.credit", customer=owed.customer_id, target=month, percent=owed.percent, amount=amount)
    return row


def given(customer_id: int, month: Month | None = None) -> list[Credit]:
    """What a customer was credited, the oldest first: of a month, or of all."""
    rows = SlaCredit.objects.filter(customer_id=customer_id)
    if month is not None:
        rows = rows.filter(month=month.first)
    return [
        Credit(row.customer_id, judging.month_of(row.month), row.percent, row.amount_minor, row.currency, row.root)
        for row in rows.order_by("id")
    ]


def in_all(customer_id: int) -> list[Credit]:
    """What a customer was credited for each month in all, with the last of its percentages and roots."""
    found: dict[tuple[Month, str], Credit] = {}
    for each in given(customer_id):
        before = found.get((each.month, each.currency))
        so_far = before.amount_minor if before is not None else 0
        found[each.month, each.currency] = each._replace(amount_minor=so_far + each.amount_minor)
    return list(found.values())
