"""The figures of months: computed out of the ledger's rows, kept once a month is over, credited at once."""

from datetime import datetime, timedelta

from django.db import transaction

from billing.facts import Month, SlaMonth
from billing.models import SlaLedger, SlaRoot
from billing.models import SlaMonth as Kept
from billing.sla import judging, keeping, sealing
from billing.sla.credits import credit, fee, give
from billing.sla.judging import Row
from billing.sla.sources import Sources

FIGURES = tuple(name for name in SlaMonth._fields if name != "month")


def rows(customer_id: int, month: Month) -> list[Row]:
    """The rows of a month, corrections in their places."""
    start, end = _bounds(month)
    own = keeping.rows_of(customer_id, start, end)
    return judging.corrected(own, sealing.corrections_of(customer_id, minute__gte=start, minute__lt=end))


def figures(of: SlaLedger, month: Month, until: datetime) -> SlaMonth | None:
    """The figures of a month, or of its part up to `until`; None where the ledger begins later."""
    start, end = _bounds(month)
    start = max(start, judging.midnight(of.begins))
    minutes = int((min(end, until) - start) / judging.MINUTE)
    return judging.summed(rows(of.customer_id, month), month, minutes) if minutes > 0 else None


def judged_to(of: SlaLedger, month: Month, until: datetime) -> datetime:
    """Before which minute the figures of a month, or of its part up to `until`, end."""
    return max(judging.midnight(of.begins), min(_bounds(month)[1], until))


def ahead(of: SlaLedger, month: Month, until: datetime) -> int:
    """The minutes of a month that figures up to `until` do not have yet."""
    return max(0, int((_bounds(month)[1] - judged_to(of, month, until)) / judging.MINUTE))


def kept(row: Kept) -> SlaMonth:
    """A kept month as a plain value."""
    return SlaMonth(judging.month_of(row.month), **{name: getattr(row, name) for name in FIGURES})


def unclosed() -> list[tuple[SlaLedger, Month]]:
    """The months whose last day is sealed and whose figures are not kept yet, the oldest first."""
    there = set(Kept.objects.values_list("customer_id", "month"))
    last = keeping.sealed_to()
    found = []
    for of in SlaLedger.objects.order_by("customer_id"):
        first = of.begins.replace(day=1)
        while last is not None and judging.days_of(judging.month_of(first))[-1] <= last:
            if (of.customer_id, first) not in there:
                found.append((of, judging.month_of(first)))
            first = (first + timedelta(days=32)).replace(day=1)
    return sorted(found, key=lambda each: each[1])


def is_closed(month: Month) -> bool:
    """Whether the last day of a month is sealed."""
    last = keeping.sealed_to()
    return last is not None and last >= judging.days_of(month)[-1]


def close(of: SlaLedger, month: Month, *, now: datetime, sources: Sources) -> SlaMonth | None:
    """Compute a month whose last day is sealed, keep its figures, and give what they owe. Idempotent."""
    end = _bounds(month)[1]
    told = figures(of, month, end)
    root = SlaRoot.objects.filter(day=judging.days_of(month)[-1]).values_list("root", flat=True).first()
    if told is None or root is None:
        return None
    values = {name: getattr(told, name) for name in FIGURES}
    price = fee(of.customer_id, month, sources.price(of.customer, month))
    with transaction.atomic():
        keeping.hold()
        Kept.objects.update_or_create(customer_id=of.customer_id, month=month.first, defaults=values)
        give(credit(of.customer_id, told, price, root), price, now=now)
    return told


def _bounds(month: Month) -> tuple[datetime, datetime]:
    days = judging.days_of(month)
    return judging.midnight(days[0]), judging.midnight(days[-1]) + timedelta(days=1)
