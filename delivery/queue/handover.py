"""Hand-over of what web processes have noticed to the database: a bounded list in Valkey, which `record` empties.

Losing some of it does little harm: it is seen again. Invariant: what PostgreSQL cannot take now is back in its place.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import redis
from django.db import IntegrityError, InterfaceError, OperationalError, ProgrammingError

from delivery.queue import valkey

# Entries that wait in Valkey while nobody records, and how many are taken out at a time.
ENTRIES_MOST: Final = 50_000
CHUNK: Final = 1_000


def post(link: valkey.Link, name: str, entries: Sequence[Any], most: int = ENTRIES_MOST) -> None:
    """Append entries (as JSON has them) to a list, of which the last `most` stay. The link is up."""
    push = valkey.pack(("RPUSH", name, *map(json.dumps, entries)))
    link.post(push + valkey.pack(("LTRIM", name, str(-most), "-1")), 2)


def drain(store: redis.Redis, name: str, record: Callable[[list[Any]], None], chunk: int = CHUNK) -> int:
    """Move the entries of a list to `record`; returns how many entries that were.

    Raises what the stores raise; what PostgreSQL did not take is back in its place then.
    """
    count = 0
    while entries := cast("list[bytes]", store.lpop(name, chunk)):  # with a count it is a list
        rows: list[Any] = json.loads(b"[%b]" % b",".join(entries))
        try:
            record(rows)
        except (OperationalError, InterfaceError, IntegrityError, ProgrammingError):
            # It is away, a row was deleted just now, or the update has not given a right yet. A leaked key may be used
            # only once: this may be all that there will be to see of it.
            store.lpush(name, *reversed(entries))
            raise
        count += len(rows)
    return count
