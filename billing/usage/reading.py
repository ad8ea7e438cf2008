"""Reading usage, for the pages and for the other parts of billing: usage(customer, month) -> facts.Usage.

A closed month is read as it stands, with its corrections; one that runs, or waits to be closed, is counted now. In a
page all of it is read in the scope of the customer.
"""

from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from billing.facts import Month, Usage
from billing.models import UsageCorrection, UsageMonth, UsageRunning
from billing.usage import closing, counting, forecast, months
from billing.usage.counting import Figures, Settled
from billing.usage.sources import Sources, current
from tenants.models import Customer


class Detail(NamedTuple):
    """A month in detail. closed_at: None for one that is not closed; corrections: the latest first; forecast: pushes of
    the whole month, None where it is over or too little is known."""

    figures: Figures
    closed_at: datetime | None
    corrections: list[UsageCorrection]
    forecast: int | None


def usage(customer: Customer, month: Month, now: datetime | None = None, known: Sources | None = None) -> Usage:
    """What a customer used in a month: exact, also while it runs."""
    now, known = now or timezone.now(), known or current()
    found = closing.stated(customer, month) if _closed(customer, month, now) else None
    return (found or counting.count(customer, month, now, known)).usage


def detail(customer: Customer, month: Month, now: datetime, known: Sources) -> Detail:
    """A month that has begun, by server and by day. Devices of one that runs are as they were counted last."""
    row = _closed(customer, month, now)
    if row is not None:
        corrections = list(UsageCorrection.objects.filter(customer=customer, month=month.first).order_by("-id"))
        stands = corrections[0] if corrections else row
        return Detail(closing.figures_of(stands), row.closed_at, corrections, None)
    running = not months.over(month, now)
    found = counting.count_for_page(customer, month, now, known, _settled(customer, month, now) if running else None)
    ahead = forecast.forecast(month, found.by_day, len(found.by_day)) if running else None
    return Detail(found, None, [], ahead)


def history(customer: Customer, now: datetime) -> list[tuple[Figures, bool]]:
    """The closed months that are kept, the latest first, each with whether it was corrected."""
    present = months.month_of(now)
    bounds = {"month__gte": months.moved(present, -months.KEPT).first, "month__lt": present.first}
    closed = list(UsageMonth.objects.filter(customer=customer, **bounds))
    corrected = {row.month: row for row in UsageCorrection.objects.filter(customer=customer, **bounds).order_by("id")}
    return [
        (closing.figures_of(corrected.get(row.month, row)), row.month in corrected)
        for row in sorted(closed, key=lambda row: row.month, reverse=True)
        if row.month in corrected or row.closed_at >= months.ends(months.month_of(row.month))
    ]


def _settled(customer: Customer, month: Month, now: datetime) -> Settled | None:
    """What was counted of the whole days of the running month; nothing by a clock that was ahead."""
    row = UsageRunning.objects.filter(customer=customer, month=month.first).first()
    if row is None or row.settled_until is None or row.settled_until > now.date():
        return None
    by_server = {int(server): int(count) for server, count in row.settled_by_server}
    return Settled(row.settled_until, by_server, row.by_day[: (row.settled_until - month.first).days])


def _closed(customer: Customer, month: Month, now: datetime) -> UsageMonth | None:
    """The closed month; None for one that is not over by now, whatever a clock that was ahead has made of it."""
    if not months.over(month, now):
        return None
    row = UsageMonth.objects.filter(customer=customer, month=month.first).first()
    if row is None or row.closed_at >= months.ends(month):
        return row
    return row if UsageCorrection.objects.filter(customer=customer, month=month.first).exists() else None
