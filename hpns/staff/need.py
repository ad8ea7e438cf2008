"""Something that needs somebody of the staff, and what the sentences about it are made of."""

from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.db.models import Min
from django.urls import reverse

BAD, WARN, INFO = "bad", "warn", "info"
RANKS: Final = (BAD, WARN, INFO)


class Need(NamedTuple):
    """Something to be done. since: None where it is not known; url: the list of what is counted."""

    key: str
    kind: str
    number: int
    sentence: str
    since: datetime | None
    url: str

    @property
    def urgency(self) -> str:
        """The kind in a word, so that it is told by more than a colour."""
        return {BAD: "Urgent", WARN: "To do", INFO: "To know"}[self.kind]


def address(name: str, *args: Any, **query: Any) -> str:
    """The address of a list of the admin, narrowed down by `query`."""
    return reverse(f"admin:{name}", args=args) + (f"?{urlencode(query)}" if query else "")


def number_of(count: int, one: str, several: str) -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else several}"


def first(rows: Any, column: str) -> datetime | None:
    """The earliest of a column."""
    found: datetime | None = rows.aggregate(first=Min(column))["first"]
    return found


def midnight(day: date | None) -> datetime | None:
    """When a day begins; None of none."""
    return None if day is None else datetime.combine(day, time(), UTC)
