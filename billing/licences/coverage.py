"""Coverage by several licences: which one counts now, and until when they follow on each other without a gap. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar


class Dated(Protocol):
    """Whatever holds from a moment to another: a licence, a proof."""

    @property
    def starts_at(self) -> datetime:
        """When it begins to hold."""

    @property
    def expires_at(self) -> datetime:
        """When it ends; at that moment it holds no more."""


Row = TypeVar("Row", bound=Dated)


class Coverage(NamedTuple):
    """An unbroken time that licences hold, one after the other."""

    since: datetime
    until: datetime


def merged(rows: Iterable[Dated]) -> list[Coverage]:
    """The times that any of the rows hold, the first one first; what overlaps or touches is one."""
    found: list[Coverage] = []
    for row in sorted(rows, key=lambda row: row.starts_at):
        if found and row.starts_at <= found[-1].until:
            found[-1] = found[-1]._replace(until=max(found[-1].until, row.expires_at))
        else:
            found.append(Coverage(row.starts_at, row.expires_at))
    return found


def at(rows: Iterable[Dated], now: datetime) -> Coverage | None:
    """The time that is covered around a moment; None where the moment is not."""
    return next((each for each in merged(rows) if each.since <= now < each.until), None)


def best_first(rows: Iterable[Row], now: datetime) -> list[Row]:
    """In the order in which they are worth something: what holds now and longest, what is to come, what has ended."""

    def rank(row: Row) -> tuple[int, float]:
        if row.starts_at <= now < row.expires_at:
            return 0, -row.expires_at.timestamp()
        if now < row.starts_at:
            return 1, row.starts_at.timestamp()
        return 2, -row.expires_at.timestamp()

    return sorted(rows, key=rank)
