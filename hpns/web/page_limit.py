"""Concurrency limit with fair shares (bulkheads): how much may be under way in all, and for one client or one customer.

Pages need a bound, for each has a thread and a connection to PostgreSQL of its own; and within it everybody needs a
share, or whoever asks most takes every place from all others. Invariants: nobody holds more than a share; whoever waits
has a place in the queue and a deadline; a place that becomes free goes to the first in the queue who may have it.
"""

import asyncio
import ipaddress
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Final

# Bits of an IPv6 network that is one household's or one office's, whatever addresses it makes up within.
IPV6_SHARE: Final = 56


class Refusal(Enum):
    """Why there was no place: the caller's own share is used up, or there is none for anybody."""

    SHARE = auto()
    FULL = auto()


@lru_cache(maxsize=4096)
def client_share(client: str) -> str:
    """The key by which a client's share is counted: its IPv4 address, the /56 of its IPv6 address; "" for none."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return ""
    return client if address.version == 4 else str(ipaddress.ip_network((address, IPV6_SHARE), strict=False))


class Shares:
    """Amounts in use by key, within `total` for all and `each` for one. Keys that use nothing are not remembered."""

    def __init__(self, total: int, each: int) -> None:
        """total, each: in whatever is counted, such as requests or bytes."""
        self._total, self._each = total, each
        self._used: dict[str, int] = {}
        self.in_use = 0

    def refusal(self, keys: Sequence[str], amount: int = 1) -> Refusal | None:
        """Why `amount` more cannot be had under these keys; None when it can."""
        if any(self._used.get(key, 0) + amount > self._each for key in keys):
            return Refusal.SHARE
        return Refusal.FULL if self.in_use + amount > self._total else None

    def take(self, keys: Sequence[str], amount: int = 1) -> Refusal | None:
        """Take `amount` under each of the keys, or nothing and the reason."""
        refusal = self.refusal(keys, amount)
        if refusal is None:
            self.in_use += amount
            for key in keys:
                self._used[key] = self._used.get(key, 0) + amount
        return refusal

    def give_back(self, keys: Sequence[str], amount: int = 1) -> None:
        """Give back what was taken under the same keys."""
        self.in_use -= amount
        for key in keys:
            left = self._used[key] - amount
            if left:
                self._used[key] = left
            else:
                del self._used[key]


class ConcurrencyLimit:
    """Lets `concurrent` in, `each` of them under one key; `queued` more may wait, each for `timeout` seconds at most,
    and `queued_each` under one key. For one event loop."""

    def __init__(self, concurrent: int, each: int, queued: int, queued_each: int, timeout: float) -> None:
        self._places, self._queue_places = Shares(concurrent, each), Shares(queued, queued_each)
        self._timeout = timeout
        self._queue: deque[tuple[asyncio.Future[None], Sequence[str]]] = deque()

    async def acquire(self, keys: Sequence[str]) -> Refusal | None:
        """Acquire a place under these keys, after waiting if need be. None: release(keys) is to be called once."""
        # Whoever waits cannot have a place now, or they would have been given it: nobody is overtaken.
        refusal = self._places.take(keys)
        if refusal is None:
            return None
        if self._queue_places.take(keys) is not None:
            return refusal
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (turn, keys)
        self._queue.append(entry)
        try:
            async with asyncio.timeout(self._timeout):
                await turn
        except TimeoutError:
            if _was_given(turn):
                return None
            self._queue.remove(entry)
            return self._places.refusal(keys) or refusal
        except asyncio.CancelledError:
            if _was_given(turn):
                self.release(keys)
            else:
                self._queue.remove(entry)
            raise
        finally:
            self._queue_places.give_back(keys)
        return None

    def release(self, keys: Sequence[str]) -> None:
        """Release a place, which goes to the first in the queue who may have one."""
        self._places.give_back(keys)
        for entry in self._queue:
            turn, waiting = entry
            # One that is done has been cancelled in this round of the loop, and leaves the queue in its next.
            if not turn.done() and self._places.take(waiting) is None:
                self._queue.remove(entry)
                turn.set_result(None)
                return


def _was_given(turn: "asyncio.Future[None]") -> bool:
    """Whether the place was given in the very moment in which the waiting ended."""
    return turn.done() and not turn.cancelled()
