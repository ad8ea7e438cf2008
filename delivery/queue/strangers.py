"""Pushes of nobody known that were refused at the door: from web processes by way of Valkey to the database.

Invariant: whatever strangers send, a process keeps a bounded number of entries, each of a few hundred bytes, and hands
them on once in a while. What finds no room is only in the metrics.
"""

from typing import Any, Final

import redis

from delivery.queue import handover, shared_clock, valkey
from delivery.queue.rejections import DoorRequest
from tenants import strangers
from tenants.network import TrustedProxies
from tenants.strangers import Stranger
from tenants.ticks import tick

SEEN: Final = "usage:strangers"
TICK: Final = 5.0
# Entries of one process between two looks, and in Valkey while nobody records.
ENTRIES_MOST: Final = 100
WAITING_MOST: Final = 1_000


class Strangers:
    """The strangers that one web process has seen; flush_periodically() on its loop."""

    def __init__(self, link: valkey.Link) -> None:
        self._link = link
        self._counted: dict[tuple[str, str, str], Stranger] = {}

    def observe(self, code: str, server_id: str, request: DoorRequest, proxies: TrustedProxies) -> None:
        """Count a push that was rejected with this code and names nobody; `server_id`: what it says, "" for nothing."""
        server_id = server_id[:64] if server_id.isprintable() else ""
        place = (code, str(proxies.client(request) or ""), server_id)
        known = self._counted.get(place)
        if known is None and len(self._counted) >= ENTRIES_MOST:
            return
        now = int(shared_clock.now())
        first, count = (known.first_at, known.requests) if known else (now, 0)
        self._counted[place] = Stranger(*place, count + 1, first, now, proxies.is_encrypted(request), request.tls)

    async def flush_periodically(self) -> None:
        """Push what was seen to Valkey, every five seconds."""
        while True:
            await tick(TICK)
            self.flush()

    def flush(self) -> None:
        """Push what was seen to Valkey now."""
        if self._counted and self._link.up:
            handover.post(self._link, SEEN, list(self._counted.values()), WAITING_MOST)
            self._counted.clear()


def write(store: redis.Redis) -> int:
    """Move the entries that wait in Valkey into the database; returns how many entries that were.

    Raises what the stores raise; what PostgreSQL did not take is back in its place then.
    """
    return handover.drain(store, SEEN, _record)


def _record(rows: list[Any]) -> None:
    strangers.record([Stranger(*row) for row in rows])
