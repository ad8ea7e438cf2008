"""Congestion of a web process: how many pushes one customer may have under way in it while others are there, too.

Each push takes some turns of the loop, and in each of them it stands behind all that is under way: so whoever floods a
process makes everybody's pushes slow by as many as it has under way there. What it has under way is bounded therefore,
as TCP bounds it: by a part less while turns take too long, by a little more again while they do not (additive increase,
multiplicative decrease: https://www.rfc-editor.org/rfc/rfc5681#section-3.1). What a turn takes is counted in the
processor's time, and it takes too long only where the process hardly ever rests: work that comes in bursts, as the
answers of a slow provider do, is no congestion. Pure data, no clock. Invariants: nobody is bounded who pushes no more
than its part of all pushes, and nobody below LEAST.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Final

# Seconds of the processor's time of a turn of the loop, in the mean of an INTERVAL, from which on it takes too long.
TARGET: Final = 0.0003
INTERVAL: Final = 0.1
# Part of an INTERVAL in which the process wants the processor, running or waiting for it, from which on it is busy.
BUSY: Final = 0.75
# What the bound is multiplied by at the end of an interval in which turns took too long, and in any other.
DECREASE, INCREASE = 0.7, 1.1
# Pushes of a customer that may always be under way.
LEAST: Final = 8
UNLIMITED: Final = 1 << 60


class Congestion:
    """See the module. `limit`: of whoever pushes more than its part."""

    def __init__(self, wanted: Callable[[], float]) -> None:
        """wanted: for how many seconds in all the process has wanted the processor."""
        self.limit = UNLIMITED
        self._wanted, self._wanted_before, self._since = wanted, 0.0, 0.0
        self._heavy: frozenset[int] = frozenset()
        self._pushes: defaultdict[int, int] = defaultdict(int)
        self._most = self._turns = 0
        self._seconds = self._until = 0.0

    def note_push(self, customer: int, in_flight: int) -> None:
        """A push has come, of a customer who has so many here."""
        self._pushes[customer] += 1
        self._most = max(self._most, in_flight)

    def note_turn(self, seconds: float, now: float) -> None:
        """A turn of the loop took so much of the processor's time; `now`: a time in seconds that nobody sets."""
        self._turns += 1
        self._seconds += seconds
        if now >= self._until:
            self._adjust(now)
            self._until = now + INTERVAL

    def _adjust(self, now: float) -> None:
        wanted = self._wanted()
        is_busy = wanted - self._wanted_before > BUSY * (now - self._since)
        self._wanted_before, self._since = wanted, now
        pushes, most = self._pushes, self._most
        total, customers = sum(pushes.values()), max(2, len(pushes))
        self._heavy = frozenset(customer for customer, count in pushes.items() if count * customers > total)
        if is_busy and self._seconds > TARGET * self._turns:
            self.limit = max(LEAST, int(min(self.limit, most) * DECREASE))
        elif self.limit < UNLIMITED:
            self.limit = int(self.limit * INCREASE) + 1
            if self.limit > 2 * most:
                self.limit = UNLIMITED
        pushes.clear()
        self._most = self._turns = 0
        self._seconds = 0.0

    def is_anothers(self, customer: int) -> bool:
        """Whether a process is congested, and not by this customer."""
        return self.limit != UNLIMITED and customer not in self._heavy

    def is_bounded(self, customer: int, under_way: int) -> bool:
        """Whether a customer has as many pushes under way as it may."""
        return under_way >= self.limit and customer in self._heavy
