"""Requests rejected at the door: from web processes by way of Valkey to the database, for whose key they carry.

A process counts them by key, code and address. A new one is handed on at the next look, so that its page says so
within seconds; what follows, by the minute. Invariant: who knows no beginning of a key causes no entry; memory is
bounded (an entry is a kilobyte at most), and each customer has a share of it, so that nobody can push out another's.
"""

import collections
import time
from typing import Any, Final, Protocol

import redis

from delivery.queue import handover, shared_clock, valkey
from tenants import rejections
from tenants.network import RequestInfo, TrustedProxies
from tenants.refusals import Whose
from tenants.rejections import News, Place
from tenants.ticks import tick

SEEN: Final = "usage:rejections"
# Seconds between two looks at what is new, and between two entries of the same.
TICK: Final = 2.0
AGAIN: Final = 60.0
# Entries of one process at a time, and of one customer. Past its share, its further addresses are counted as one.
ENTRIES_MOST: Final = 4_000
SHARE: Final = 100


class DoorRequest(RequestInfo, Protocol):
    """A request with what is known of the connection that it came on: `tls`, such as "TLSv1.3", "" if not ours."""

    @property
    def tls(self) -> str: ...


class Rejections:
    """The rejections that one web process has seen; flush_periodically() on its loop."""

    def __init__(self, link: valkey.Link) -> None:
        self._link = link
        self._counted: dict[Place, News] = {}
        # How many of these are of a customer, by its id, and whose each is.
        self._shares: collections.Counter[int] = collections.Counter()
        self._customers: dict[Place, int] = {}
        # Handed on within the minute: what is counted of them since waits for its end.
        self._sent: set[Place] = set()
        self._since = time.monotonic()

    def observe(self, whose: Whose, code: str, request: DoorRequest, proxies: TrustedProxies) -> None:
        """Count a request that was rejected with this code, though it names a key."""
        address = str(proxies.client(request) or "")
        place = (whose.key_id, code, address)
        known = self._counted.get(place)
        if known is None:
            share = self._shares[whose.customer_id]
            if share >= SHARE and address:
                place = (whose.key_id, code, address := "")
                known = self._counted.get(place)
            if known is None:
                if len(self._counted) >= ENTRIES_MOST or share >= 2 * SHARE:
                    return
                self._shares[whose.customer_id] += 1
                self._customers[place] = whose.customer_id
        now = int(shared_clock.now())
        first, count = (known.first_at, known.requests) if known else (now, 0)
        encrypted = proxies.is_encrypted(request)
        self._counted[place] = News(*place, count + 1, first, now, encrypted, request.tls)

    async def flush_periodically(self) -> None:
        """Push what is new to Valkey, every two seconds."""
        while True:
            await tick(TICK)
            self.flush()

    def flush(self, *, all_of_it: bool = False) -> None:
        """Push what is new to Valkey now, and what has been counted of all else once a minute."""
        if time.monotonic() - self._since > AGAIN:
            self._since = time.monotonic()
            self._sent.clear()
        if not self._counted or not self._link.up:
            return
        due = [place for place in self._counted if all_of_it or place not in self._sent]
        if due:
            # Without the last member, which is never so here, and which workers of an older version do not know.
            handover.post(self._link, SEEN, [self._counted.pop(place)[:-1] for place in due])
            self._sent.update(due)
            self._shares.subtract(self._customers.pop(place) for place in due)
            self._shares = +self._shares  # without those that have none left
        if len(self._sent) > ENTRIES_MOST:
            self._sent.clear()


def write(store: redis.Redis) -> int:
    """Move the entries that wait in Valkey into the database; returns how many entries that were.

    Raises what the stores raise; what PostgreSQL did not take is back in its place then.
    """
    return handover.drain(store, SEEN, _record)


def _record(rows: list[Any]) -> None:
    rejections.record([News(*row) for row in rows])
