"""Which keys are used, and with which server_ids: what web processes notice, on its way to the database.

A process remembers what it has seen within the minute, so that a push costs one look into a set; what is new goes into
a list in Valkey, which the task `record` empties. Losing some of it does no harm: the next minute says it again.
"""

import asyncio
import json
import time
from typing import Any, Final

import redis

from delivery import valkey
from tenants import sightings

SEEN: Final = "usage:seen"
# Seconds between two looks at what is new, and after which everything counts as new again.
TICK: Final = 2.0
FRESH: Final = 60.0
# What one process remembers at a time; the bearer of a key chooses the server_ids.
MOST: Final = 5_000
# Entries that wait in Valkey while nobody records, and how many are taken out at a time.
WAITING: Final = 50_000
CHUNK: Final = 1_000


class Usage:
    """What one web process has seen; keep() on its loop."""

    def __init__(self, link: valkey.Link) -> None:
        self._link = link
        self._seen: set[tuple[int, str]] = set()
        self._news: list[tuple[int, str]] = []
        self._since = time.monotonic()

    def note(self, key_id: int, server_id: str) -> None:
        """A push has come with this key and server_id; key 0 (none) is not of interest."""
        pair = (key_id, server_id)
        if pair not in self._seen and key_id and len(self._seen) < MOST:
            self._seen.add(pair)
            self._news.append(pair)

    async def keep(self) -> None:
        """Hand over what is new, every two seconds."""
        while True:
            await asyncio.sleep(TICK)
            self.flush()

    def flush(self) -> None:
        """Hand over what is new now."""
        if self._news and self._link.up:
            now = int(time.time())
            entries = [json.dumps((key_id, server_id[: sightings.LONGEST], now)) for key_id, server_id in self._news]
            self._news = []
            push = valkey.pack(("RPUSH", SEEN, *entries))
            self._link.post(push + valkey.pack(("LTRIM", SEEN, str(-WAITING), "-1")), 2)
        if time.monotonic() - self._since > FRESH:
            self._since = time.monotonic()
            self._seen.clear()


def write(store: redis.Redis) -> int:
    """Move what waits in Valkey into the database; returns how many entries that were."""
    count = 0
    while entries := store.lpop(SEEN, CHUNK):
        rows: list[Any] = json.loads(b"[%b]" % b",".join(entries))  # type: ignore[arg-type]  # with a count: a list
        sightings.record([(key_id, server_id, at) for key_id, server_id, at in rows])
        count += len(rows)
    return count
