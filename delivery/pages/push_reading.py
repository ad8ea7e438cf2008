"""Keyset pagination of the delivery log by the filters of a page, the newest first, within a deadline.

Which hours have any push of these filters is known from the rollups: only those are looked into, so that few pushes
among many are found as quickly as many. Before the first hour that was counted at all, every hour is looked into.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from delivery.models import Delivery, Receipt
from delivery.outcomes.verdict import Outcome
from delivery.pages.deadline import TooSlowError, deadline
from delivery.pages.filters import Filters
from delivery.rollups.reading import HOUR, Counted, counted
from tenants import keyset
from tenants.keyset import Cursor

# Beyond that a reader has left, or asks for something smaller.
SECONDS: Final = 3.0
# Hours with pushes of the filters that are looked into at once, where there is an index of nothing but such pushes.
NEAR: Final = timedelta(days=1)
SENT: Final = Outcome.SENT.value


class Page(NamedTuple):
    """Some rows; the cursor of what follows them, None at the end; whether all was looked at that had to be; and how
    many pushes the filters have in all, None where that is not counted."""

    rows: list[Delivery]
    next_cursor: Cursor | None
    complete: bool
    total: int | None


class Window(NamedTuple):
    """A part of the time, from `start` to before `end`."""

    start: datetime
    end: datetime


def page(
    filters: Filters, before: Cursor | None, size: int, seconds: float = SECONDS, *, with_total: bool = True
) -> Page:
    """The `size` pushes of the filters before a cursor, in the scope of a customer. What is not found within `seconds`
    is left out, and the page is not complete then."""
    rows: list[Delivery] = []
    total: int | None = None
    try:
        with deadline(seconds) as limit:
            counts = _counts(filters)
            if with_total and counts.all and "acked" not in filters.values:
                limit()
                total = _total(filters, counts)
            for window in windows(filters, before, counts):
                limit()
                rows += of_window(filters, window, before)[: size + 1 - len(rows)]
                if len(rows) > size:
                    break
    except TooSlowError:
        return Page(rows[:size], cursor_of(rows[size - 1]) if len(rows) > size else None, complete=False, total=total)
    return Page(rows[:size], cursor_of(rows[size - 1]) if len(rows) > size else None, complete=True, total=total)


class Counts(NamedTuple):
    """The hours with any push of the customer's, and those with a push of the filters."""

    all: list[Counted]
    matching: list[Counted]


def _counts(filters: Filters) -> Counts:
    span, lookups = (filters.start, filters.end), filters.lookups
    everything = counted(*span, step=HOUR, unit=HOUR)
    return Counts(everything, counted(*span, step=HOUR, unit=HOUR, **lookups) if lookups else everything)


def _total(filters: Filters, counts: Counts) -> int:
    """How many pushes the filters have in their span, and not in the whole hours that it begins and ends in."""
    if filters.span.unit == HOUR:
        return sum(row.pushes for row in counts.matching)
    (found,) = counted(filters.start, filters.end, unit=filters.span.unit, **filters.lookups)
    return found.pushes


def windows(
    filters: Filters, before: Cursor | None, counts: Counts | None = None, longest: timedelta | None = None
) -> list[Window]:
    """Where to look for the pushes of the filters before a cursor, the latest first, none longer than `longest`."""
    counts = counts or _counts(filters)
    end = min(filters.end, _behind(before)) if before else filters.end
    if not counts.all:
        found = [Window(filters.start, end)]
    else:
        # An index has what was not handed off: then it is quicker to look on than to ask for each hour by itself.
        found = [*_runs((row.at for row in counts.matching if row.at), NEAR if _leaves_out_sent(filters) else HOUR)]
        first = counts.all[0].at
        if first and filters.start < first:
            found.insert(0, Window(filters.start, first))
    # Whole days are dropped, at some time of the day after.
    kept = max(filters.start, timezone.now() - timedelta(days=settings.RETENTION_DAYS + 1))
    clipped = (Window(max(start, kept), min(until, end)) for start, until in found)
    parts = (part for window in clipped if window.start < window.end for part in _parts(window, longest))
    return sorted(parts, reverse=True)


def _leaves_out_sent(filters: Filters) -> bool:
    lookups = filters.lookups
    return "outcome__in" in lookups or lookups.get("outcome", SENT) != SENT


def _runs(hours: Iterable[datetime], near: timedelta) -> Iterator[Window]:
    """Hours, ascending, as windows: those that begin no later than `near` after each other are one."""
    run: Window | None = None
    for hour in hours:
        if run and hour - run.end < near:
            run = Window(run.start, hour + HOUR)
            continue
        if run:
            yield run
        run = Window(hour, hour + HOUR)
    if run:
        yield run


def _parts(window: Window, longest: timedelta | None) -> Iterator[Window]:
    start = window.start
    while longest and window.end - start > longest:
        yield Window(start, start + longest)
        start += longest
    yield Window(start, window.end)


def of_window(filters: Filters, window: Window, before: Cursor | None) -> "QuerySet[Delivery]":
    """The pushes of the filters in a window, before a cursor, the newest first."""
    # The bounds of time leave out whole days, and an index has the rest in this order: it begins at the cursor.
    end = min(window.end, _behind(before)) if before else window.end
    rows = Delivery.objects.filter(accepted_at__gte=window.start, accepted_at__lt=end).filter(filters.of_log())
    if before is not None:
        rows = rows.filter(keyset.behind(before, "accepted_at", "trace"))
    return rows.defer("attempts").order_by("-accepted_at", "-trace")


def receipts(start: datetime, end: datetime) -> dict[str, datetime]:
    """When the first receipts came of the pushes accepted from `start` to `end`, by trace; in the scope of a customer.

    One that came only now may not be matched with its push yet (delivery/log/matching.py)."""
    found = Receipt.objects.filter(push_at__gte=start, push_at__lte=end, repeated=False, received_at__gte=start)
    return {trace: at for trace, at in found.order_by().values_list("trace", "received_at") if trace}


def _behind(cursor: Cursor) -> datetime:
    """The first moment after that of the cursor, as an open bound."""
    return cursor.at + timedelta(microseconds=1)


def cursor_of(row: Delivery) -> Cursor:
    """The cursor of what follows a row."""
    return Cursor(row.accepted_at, row.trace)
