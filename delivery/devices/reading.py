"""Reading the tables of devices, for pages: in the scope in force (tenants/scope.py). Nothing here counts a whole table
of a customer's without a bound."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce, TruncDay

from delivery.models import Device, DeviceCount
from tenants import keyset
from tenants.keyset import Cursor

# Counted no further.
COUNTED: Final = 10_000
# Rows of a page.
SIZE: Final = 25


class Page(NamedTuple):
    """Rows, and where the next page begins, if there is one."""

    rows: list[Any]
    next_cursor: Cursor | None


def _page(rows: "QuerySet[Any]", time: str, key: str, before: Cursor | None) -> Page:
    if before is not None:
        rows = rows.filter(keyset.behind(before, time, key))
    found = list(rows.order_by(f"-{time}", f"-{key}")[: SIZE + 1])
    if len(found) <= SIZE:
        return Page(found, None)
    last = found[SIZE - 1]
    return Page(found[:SIZE], Cursor(getattr(last, time), str(getattr(last, key))))


def silent(now: datetime, days: int, **lookups: Any) -> "QuerySet[Device]":
    """The devices that a provider takes pushes for, in the last `days` too, and that have acknowledged none of the last
    `days`; `heard` is when they last did, or were first sent to. Those removed since are not among them."""
    start = now - timedelta(days=days)
    there = Device.objects.filter(sent_at__gte=start, **lookups)
    there = there.filter(Q(removed_at=None) | Q(removed_at__lt=F("sent_at")))
    return there.annotate(heard=Coalesce("acked_at", "first_at")).filter(heard__lt=start)


def silent_page(now: datetime, days: int, before: Cursor | None, **lookups: Any) -> Page:
    """A page of them, the last sent to first."""
    return _page(silent(now, days, **lookups), "sent_at", "pk", before)


def removed(start: datetime, end: datetime, **lookups: Any) -> "QuerySet[Device]":
    """The devices whose last REMOVE fell into this time."""
    return Device.objects.filter(removed_at__gte=start, removed_at__lt=end, **lookups)


def removed_page(start: datetime, end: datetime, before: Cursor | None, **lookups: Any) -> Page:
    """A page of them, the latest first."""
    return _page(removed(start, end, **lookups), "removed_at", "pk", before)


def removed_by_day(start: datetime, end: datetime, zone: tzinfo, **lookups: Any) -> dict[datetime, int]:
    """How many devices were removed, by the beginning of the day in this zone."""
    by_day = removed(start, end, **lookups).order_by().annotate(on=TruncDay("removed_at", tzinfo=zone))
    return dict(by_day.values_list("on").annotate(Count("device", distinct=True)))


def active_by_month(server_id: int, months: list[date]) -> dict[date, int]:
    """How many devices the server (0: all together) reached in each of these months; one not counted is left out."""
    found = DeviceCount.objects.filter(server_id=server_id, month__in=months)
    return dict(found.values_list("month", "devices"))


def total(rows: "QuerySet[Any]") -> str:
    """How many rows there are, as people read it: no further than COUNTED."""
    count = rows.order_by()[:COUNTED].count()
    return f"{count:,} or more" if count == COUNTED else f"{count:,}"


def of_device(device: str) -> list[Device]:
    """A device's rows, one for each server and app that reached it, the last pushed to first."""
    return list(Device.objects.filter(device=device).order_by("-last_at")[:SIZE])


def months_until(last: date, count: int) -> Iterator[date]:
    """The first days of so many months, up to the one that `last` is in, ascending."""
    for back in range(count - 1, -1, -1):
        year, month = divmod(last.year * 12 + last.month - 1 - back, 12)
        yield date(year, month + 1, 1)
