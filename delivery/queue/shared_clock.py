"""The time of day that all processes share: Valkey's where the clock of this machine differs from it, else our own.

How old a push is decides whether a call still rings and whether a test is late, and it is accepted on one machine and
sent on another. Each process compares its clock with Valkey's (https://valkey.io/commands/time/), and counts in
Valkey's time when they are more than TOLERANCE apart: so ages are right whichever of the three machines is wrong.
Between two comparisons the time goes on by a clock that nobody sets, and once ours is found to have been set it is
compared again at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from delivery.queue import valkey
from tenants.ticks import until_tick

logger = logging.getLogger(__name__)

# Seconds between two comparisons, before the next one while Valkey is away, and for the answer to one: a slower one
# says too little.
POLL_INTERVAL: Final = 5.0
RETRY_INTERVAL: Final = 0.1
TIMEOUT: Final = 0.5
# Seconds by which two clocks may differ: clocks that are looked after agree far better.
TOLERANCE: Final = 1.0


class SharedClock:
    """The shared time of one process, used on one loop."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """wall: our own clock, in unix seconds."""
        self._wall = wall
        # The shared time, and Valkey's, when time.monotonic() was 0.
        self._base = wall() - time.monotonic()
        self._valkey_base: float | None = None
        self._skew = 0.0  # by how much our clock is ahead of the shared time
        self._was_set: asyncio.Event | None = None

    def now(self) -> float:
        """The shared time, in unix seconds."""
        now = self._base + time.monotonic()
        if abs(self._wall() - now - self._skew) > TOLERANCE and self._was_set is not None:
            self._was_set.set()
        return now

    def at_valkey(self) -> float:
        """Valkey's time, in unix seconds; 0 as long as it is not known."""
        return 0.0 if self._valkey_base is None else self._valkey_base + time.monotonic()

    async def follow(self, link: valkey.Link) -> None:
        """Compare our clock with Valkey's, until cancelled."""
        self._was_set = asyncio.Event()
        while True:
            self._was_set.clear()
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._compare(link)
            except (ConnectionError, TimeoutError):  # the link says so, and the time goes on as it did
                await asyncio.sleep(RETRY_INTERVAL)
                continue
            try:
                async with asyncio.timeout(until_tick(POLL_INTERVAL, asyncio.get_running_loop().time())):
                    await self._was_set.wait()
            except TimeoutError:
                continue

    async def _compare(self, link: valkey.Link) -> None:
        asked = time.monotonic()
        answer = await valkey.ask(link, "TIME")
        middle = (asked + time.monotonic()) / 2
        self._valkey_base = int(answer[0]) + int(answer[1]) / 1e6 - middle
        ours = self._wall() - time.monotonic()
        before, ahead = self._skew, ours - self._valkey_base
        if abs(ahead) > TOLERANCE:
            self._base, self._skew = self._valkey_base, ahead
            if not before:
                logger.error("the clock of this machine is %.1f s ahead of Valkey's: set both by NTP", ahead)
            return
        self._base, self._skew = ours, 0.0
        if before:
            logger.warning("the clock of this machine agrees with Valkey's again")


_here = SharedClock()
now, at_valkey, follow = _here.now, _here.at_valkey, _here.follow
