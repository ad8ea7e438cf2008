"""Retry budget: a token bucket for each credential, so that repeats never crowd out first tries.

Each first try earns a part of a repeat, and a small rate is there besides for whoever pushes little ("Retry budgets",
https://linkerd.io/2/features/retries-and-timeouts/). What has no budget waits. Per process: whoever makes first tries
earns where it makes them.
"""

from collections.abc import Callable
from typing import Final

from delivery.providers.base import Target

# Repeats that each first try earns; repeats a second that nobody has to earn; how many can be saved up.
EARNED: Final = 0.1
FLOOR: Final = 20.0
SAVED_MOST: Final = 200.0
# Credentials with a bucket: full ones are dropped beyond that.
BUCKETS_MOST: Final = 2_000


class _Bucket:
    __slots__ = ("at", "seen", "tokens")

    def __init__(self, at: float, seen: int) -> None:
        self.at, self.seen, self.tokens = at, seen, SAVED_MOST


class RetryBudget:
    """The buckets of one process; made when a credential repeats for the first time, full."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: gives seconds that nobody sets."""
        self._clock = clock
        self._buckets: dict[int, _Bucket] = {}

    def take(self, target: Target) -> bool:
        """Take one repeat for the target's credential; False: there is none now."""
        now = self._clock()
        bucket = self._buckets.get(target.credential_id)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MOST:
                self._buckets = {key: kept for key, kept in self._buckets.items() if kept.tokens < SAVED_MOST - 1}
                if len(self._buckets) >= BUCKETS_MOST:
                    self._buckets.clear()
            bucket = self._buckets[target.credential_id] = _Bucket(now, target.first_tries)
        # Two targets of one credential count apart: what one has had less is no debt.
        earned = EARNED * max(0, target.first_tries - bucket.seen) + FLOOR * (now - bucket.at)
        bucket.tokens = min(SAVED_MOST, bucket.tokens + earned)
        bucket.at, bucket.seen = now, target.first_tries
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
