"""Forecast of a month's pushes: each day to come is the mean of the same weekdays so far. Pure.

Nothing is forecast of fewer than three whole days. A weekday that the month has not had yet is the mean of all its
days; days before the first push are none, so that a customer who begins in the middle of a month is not halved.
"""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Final

from billing.facts import Month
from billing.usage import months

FEWEST_DAYS: Final = 3


def forecast(month: Month, by_day: Sequence[int], today: int) -> int | None:
    """The pushes of the whole month; None where too little is known of it.

    by_day: those of its days so far, the first one first, of which the last may not be over; today: the day of the
    month that is not over.
    """
    whole = list(by_day[: today - 1])
    begun = next((place for place, count in enumerate(whole) if count), len(whole))
    known = whole[begun:]
    if len(known) < FEWEST_DAYS:
        return None
    by_weekday: dict[int, list[int]] = {}
    for place, count in enumerate(known, start=begun):
        by_weekday.setdefault(_weekday(month, place + 1), []).append(count)
    total = Fraction(sum(whole))
    for day in range(today, months.days(month) + 1):
        expected = _mean(by_weekday.get(_weekday(month, day), known))
        if day == today and len(by_day) >= today:
            expected = max(expected, Fraction(by_day[today - 1]))
        total += expected
    return round(total)


def rounded(count: int) -> int:
    """A forecast as it is said: to two figures, 94,812 -> 95,000."""
    size: int = 10 ** max(len(str(count)) - 2, 0)
    return (count + size // 2) // size * size


def _mean(counts: Sequence[int]) -> Fraction:
    return Fraction(sum(counts), len(counts))


def _weekday(month: Month, day: int) -> int:
    return (month.first + timedelta(days=day - 1)).weekday()
