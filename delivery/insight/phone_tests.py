"""The `test` pushes that phones have had sent: the app asks for one whenever its user connects to a server.

The log has no index of types, and a customer's rows of a week may be a million: the rollups say in which hours there
were any, and the rows of these hours alone are read. In the scope of a customer.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from delivery import selectors
from delivery.models import Delivery
from delivery.rollups.reading import DAY, HOUR, counted

TYPE: Final = "test"


def latest(start: datetime, now: datetime, most: int) -> list[Delivery]:
    """The latest `most` tests accepted from `start` on, the latest first."""
    found: list[Delivery] = []
    for hour in _hours(start, now):
        rows = selectors.since(max(start, hour)).filter(accepted_at__lt=hour + HOUR, type=TYPE)
        found += rows[: most - len(found)]
        if len(found) >= most:
            break
    return found


def _hours(start: datetime, end: datetime) -> Iterator[datetime]:
    """The hours that have any, the latest first; those of a day are looked up when it comes to it."""
    in_days = _steps(start, end, step=DAY, zone=UTC)
    for day in in_days:
        yield from _steps(max(start, day), min(end, day + DAY), step=HOUR)


def _steps(start: datetime, end: datetime, **step: Any) -> list[datetime]:
    rows = counted(start, end, unit=HOUR, type=TYPE, **step)
    return [row.at for row in reversed(rows) if row.at is not None]
