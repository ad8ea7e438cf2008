"""Key usage: which keys are used, with which server_ids, from web processes by way of Valkey to the database.

A process remembers what it has seen within the minute, so that a push costs one look into a set; what is new goes into
a list in Valkey, which the task `record` empties. Losing some of it does little harm: the next minute sees it again.
"""

import time
from typing import Any, Final

import redis

from delivery.protocol.wire import Push
from delivery.queue import handover, shared_clock, valkey
from delivery.queue.signature_samples import SignatureSamples
from tenants import key_sightings
from tenants.ticks import tick

SEEN: Final = "usage:seen"
# Seconds between two looks at what is new, and after which everything counts as new again.
TICK: Final = 2.0
SEEN_TTL: Final = 60.0
# Keys, and server_ids of each, that one process remembers at a time; the bearer of a key chooses its server_ids.
KEYS_MOST: Final = 20_000
EACH_MOST: Final = key_sightings.SERVER_IDS_PER_KEY_MAX
# Entries that wait in Valkey while nobody records, and how many are taken out at a time.
ENTRIES_MOST, CHUNK = handover.ENTRIES_MOST, handover.CHUNK


class KeyUsage:
    """The keys and server_ids that one web process has seen; flush_periodically() on its loop."""

    def __init__(self, link: valkey.Link) -> None:
        self._link = link
        self.samples = SignatureSamples(link)
        self._seen: dict[int, set[str]] = {}
        self._unsent: list[tuple[int, str]] = []
        self._since = time.monotonic()

    def observe(self, key_id: int, push: Push) -> None:
        """Record that a push came with this key and its server_id; key 0 (none) is not of interest.

        The first of a minute is the sample whose signature is verified.
        """
        seen = self._seen.get(key_id)
        if seen is None or push.server_id not in seen:
            self._observe_new(key_id, push, seen)

    def _observe_new(self, key_id: int, push: Push, seen: set[str] | None) -> None:
        if seen is None:
            if not key_id or len(self._seen) >= KEYS_MOST:
                return
            seen = self._seen[key_id] = set()
        elif len(seen) >= EACH_MOST:
            return
        server_id = push.server_id[: key_sightings.SERVER_ID_MAX_LENGTH]
        if server_id not in seen:
            seen.add(server_id)
            self._unsent.append((key_id, server_id))
            self.samples.take(key_id, server_id, push)

    async def flush_periodically(self) -> None:
        """Push what is new to Valkey, every two seconds."""
        while True:
            await tick(TICK)
            self.flush()

    def flush(self) -> None:
        """Push what is new to Valkey now."""
        self.samples.flush()
        if self._unsent and self._link.up:
            now = int(shared_clock.now())
            entries = [(*pair, now) for pair in self._unsent]
            self._unsent = []
            handover.post(self._link, SEEN, entries, ENTRIES_MOST)
        if time.monotonic() - self._since > SEEN_TTL:
            self._since = time.monotonic()
            self._seen.clear()
            # Only while Valkey is away: what was seen a minute ago is about to be seen again.
            self._unsent.clear()


def write(store: redis.Redis) -> int:
    """Move the entries that wait in Valkey into the database; returns how many entries that were.

    Raises what the stores raise; what PostgreSQL did not take is back in its place then.
    """
    return handover.drain(store, SEEN, _record, CHUNK)


def _record(rows: list[Any]) -> None:
    key_sightings.record([(key_id, server_id, at) for key_id, server_id, at in rows])
