"""Keyset pagination of lists that are ordered by a time, the latest first, and among rows of one time by a key.

    before = keyset.parse(request.GET.get("before", ""))             # None: the list from its beginning
    rows = rows.filter(keyset.behind(before, "accepted_at", "trace")) if before else rows
    next_cursor = Cursor(last.accepted_at, last.trace)               # str(): as it stands in an address

However long the list is, a page costs what it shows; and what comes in meanwhile moves nothing.
https://use-the-index-luke.com/no-offset
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.db.models import Q

# As long as a trace id.
KEY_LONGEST: Final = 40
# Of PostgreSQL's bigint.
NUMBER_MOST: Final = 2**63 - 1


class Cursor(NamedTuple):
    """The place of one row in the list: its time (aware) and its key. As text, which an address takes as it is: both,
    the time in UTC."""

    at: datetime
    key: str

    def __str__(self) -> str:
        return f"{self.at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z~{self.key}"


def parse(text: str, *, number: bool = False) -> Cursor | None:
    """Parse a cursor; None for a text that is none. number: its key is the number of a row."""
    at, _, key = text.partition("~")
    try:
        moment = datetime.fromisoformat(at)
        # At the ends of the calendar there is no such time in UTC, nor for PostgreSQL.
        found = Cursor(moment.astimezone(UTC), key) if moment.tzinfo and 0 < len(key) <= KEY_LONGEST else None
    except (ValueError, OverflowError):
        return None
    return None if found and number and not _is_number(key) else found


def behind(cursor: Cursor, time: str, key: str) -> Q:
    """The condition on the fields `time` and `key` that leaves the rows behind a cursor."""
    # The first one is what an index, and leaving out whole days, are good for.
    return Q(**{f"{time}__lte": cursor.at}) & (Q(**{f"{time}__lt": cursor.at}) | Q(**{f"{key}__lt": cursor.key}))


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit() and int(key) <= NUMBER_MOST
