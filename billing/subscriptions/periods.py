"""Billing periods of a subscription, and the share of a price that is left of one. Pure; moments are aware.

Every period is counted from the anchor, not from the period before: one that begins on the 31st begins on the last day
of a shorter month, and on the 31st again of the next long one.
"""

import calendar
from datetime import UTC, datetime
from typing import NamedTuple

from billing.money import share


class Period(NamedTuple):
    """A period, its end excluded."""

    start: datetime
    end: datetime


class ProRata(NamedTuple):
    """What a change of plan within a period comes to: what is left of the old price comes off (`unused_minor`), what is
    due of the new one is added (`due_minor`); `period` is the one that follows from it."""

    unused_minor: int
    due_minor: int
    period: Period

    @property
    def amount_minor(self) -> int:
        """To be paid; negative: a credit."""
        return self.due_minor - self.unused_minor


def add_months(at: datetime, months: int) -> datetime:
    """The same day and time so many months later (or earlier), on the last day of a month that has no such day."""
    utc = at.astimezone(UTC)
    year, month = divmod(utc.year * 12 + utc.month - 1 + months, 12)
    return utc.replace(year=year, month=month + 1, day=min(utc.day, calendar.monthrange(year, month + 1)[1]))


def period(anchor: datetime, months: int, at: datetime) -> Period:
    """The period of so many months that `at` is in; the first one for a moment before the anchor."""
    utc = anchor.astimezone(UTC)
    there = at.astimezone(UTC)
    count = max(0, ((there.year - utc.year) * 12 + there.month - utc.month) // months)
    # The day of the month decides which of two it is.
    while count and add_months(utc, count * months) > there:
        count -= 1
    while add_months(utc, (count + 1) * months) <= there:
        count += 1
    return Period(add_months(utc, count * months), add_months(utc, (count + 1) * months))


def pro_rata(
    old_minor: int, new_minor: int, old: Period, new_months: int, at: datetime, *, same_length: bool
) -> ProRata:
    """The amounts of a change at `at` within the period `old`, each rounded half up.

    With periods of the same length the period goes on, and the rest of it is charged; else a period of the new length
    begins at `at`, and is charged whole.
    """
    whole = int((old.end - old.start).total_seconds())
    left = min(whole, max(0, int((old.end - at).total_seconds())))
    unused = share(old_minor, left, whole)
    if same_length:
        return ProRata(unused, share(new_minor, left, whole), old)
    return ProRata(unused, new_minor, Period(at, add_months(at, new_months)))
