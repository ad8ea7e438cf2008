"""Silence: a server, or a customer, that sent pushes as a habit and sends none any more.

What is a habit is learned from two weeks: whoever pushed in the same hours a week ago (a day ago, if it is not known
for longer) is missed once it has let two of them pass.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from delivery.outcomes.verdict import Outcome
from delivery.rollups.reading import HOUR, MINUTE, counted, floor, moment

LEARNED: Final = timedelta(days=14)
# Hours with pushes that make a habit; fewer are trials.
HABIT: Final = 12
# Whole hours that have to pass without a push in which there used to be some.
MISSED: Final = 2
# Every one: what is asked for is when something came.
OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
WEEK, DAY = timedelta(days=7), timedelta(days=1)


def last_pushes(now: datetime, servers: Sequence[int] | None) -> dict[int, list[datetime]]:
    """The hours of two weeks in which something came, ascending, by server; of the whole customer under 0 if None."""
    by: tuple[str, ...] = ("server_id",) if servers is not None else ()
    lookups: dict[str, Any] = {"server_id__in": servers} if servers is not None else {}
    found: dict[int, set[int]] = {}
    # A row for each day, with its hours: a twentieth of a row for each hour.
    for row in counted(now - LEARNED, now, by=by, step=DAY, unit=HOUR, moments_of=OUTCOMES, **lookups):
        found.setdefault(row.of.get("server_id", 0), set()).update(row.moments)
    return {server: [moment(hour) for hour in sorted(hours)] for server, hours in found.items()}


def silent(hours: Sequence[datetime], now: datetime) -> bool:
    """Whether who pushed in these hours is missed now."""
    if len(hours) < HABIT:
        return False
    active, missed = frozenset(hours), 0
    hour = hours[-1] + HOUR
    while hour + HOUR <= now and missed < MISSED:
        missed += hour - (WEEK if hours[0] <= hour - WEEK else DAY) in active
        hour += HOUR
    return missed >= MISSED


def last_minute(hour: datetime, server: int) -> datetime:
    """The minute of the last push in an hour of `last_pushes`; 0 is the whole customer."""
    lookups: dict[str, Any] = {"server_id": server} if server else {}
    rows = counted(hour, hour + HOUR, step=MINUTE, unit=MINUTE, **lookups)
    return max((row.at for row in rows if row.at is not None and row.pushes), default=floor(hour, HOUR))
