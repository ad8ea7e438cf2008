"""Calendar months in UTC: bounds, neighbours, and what people write for one. Pure."""

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from billing.facts import Month
from tenants.problem import ProblemError

KEPT: Final = 25
"""How many months of history there are, the running one left out."""
CLOSED_AFTER: Final = timedelta(days=2)
"""After a month's end its last rows have come by then."""
_WRITTEN: Final = re.compile(r"([0-9]{4})-([0-9]{2})")


def month_of(moment: datetime | date) -> Month:
    """The month that a moment (aware) or a day is in."""
    day = moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment
    return Month(day.year, day.month)


def moved(month: Month, by: int) -> Month:
    """The month so many months later; earlier where `by` is below 0."""
    year, place = divmod(month.year * 12 + month.month - 1 + by, 12)
    return Month(year, place + 1)


def days(month: Month) -> int:
    """How many days it has."""
    return calendar.monthrange(*month)[1]


def begins(month: Month) -> datetime:
    """Its first moment."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def ends(month: Month) -> datetime:
    """The first moment after it."""
    return begins(moved(month, 1))


def over(month: Month, now: datetime) -> bool:
    """Whether it has ended."""
    return now >= ends(month)


def ripe(month: Month, now: datetime) -> bool:
    """Whether it ended so long ago that it can be closed."""
    return now >= ends(month) + CLOSED_AFTER


def between(first: Month, last: Month) -> Iterator[Month]:
    """The months from `first` to `last`, both among them."""
    month = first
    while month <= last:
        yield month
        month = moved(month, 1)


def text(month: Month) -> str:
    """As addresses and commands have it: 2026-11."""
    return f"{month.year:04}-{month.month:02}"


def words(month: Month) -> str:
    """As people read it: November 2026."""
    return f"{calendar.month_name[month.month]} {month.year}"


def parse(written: str, now: datetime) -> Month:
    """The month that somebody wrote. Raises ProblemError, which says what is wrong with it: no month, one that has not
    begun, or one that is longer ago than usage is kept."""
    found = _WRITTEN.fullmatch(written.strip())
    if found is None or not 1 <= int(found[2]) <= 12:
        raise ProblemError("a month is written as year and month, such as 2026-11")
    month, present = Month(int(found[1]), int(found[2])), month_of(now)
    if month > present:
        raise ProblemError(f"{words(month)} has not begun yet")
    if month < moved(present, -KEPT):
        raise ProblemError(f"usage is kept for {KEPT} months: the earliest one is {text(moved(present, -KEPT))}")
    return month
