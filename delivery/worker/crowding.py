"""Who crowds a worker's places: a customer whose provider is slow must not hold so many that others have none.

Nothing is counted as long as more than half of the places are free, which is always but in trouble. Then the pushes in
hand are counted now and then, by customer and credential: whoever has more than its part, and than SHARE times what is
left, takes no more, which leaves a third to all others where one does it, a fifth where two do ("Dynamic Queue Length
Thresholds for Shared-Memory Packet Switches", Choudhury and Hahne, 1998, https://doi.org/10.1109/90.664262). Its
further pushes go to the due list and come back from there, but for calls, tests and ends of sessions. Invariant:
whoever is alone in a worker is not held back.
"""

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Final

from delivery.protocol import policy
from delivery.queue import batch
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.places import COPIES, PUSH, Places
from delivery.worker.routes import Route

# Places that a customer and credential may hold for each that is left.
SHARE: Final = 2
# Seconds between two counts of what is in hand: some thousands of pushes, a millisecond or two.
COUNT_INTERVAL: Final = 0.25
# Seconds for which a worker is taken to be shared after more than one customer was seen in it.
SHARED: Final = 30.0
# Seconds until what is put off is tried, at least.
PAUSE: Final = 1.0


class Crowding:
    """See the module. is_crowding() of each push while places are few (Places.are_few)."""

    def __init__(
        self,
        places: Places,
        batches: Collection[BatchProgress],
        route: Callable[[int, str], Route],
        clock: Callable[[], float],
    ) -> None:
        """places and batches: of the process; route: of a customer and platform; clock: seconds that nobody sets."""
        self._places, self._batches, self._route, self._clock = places, batches, route, clock
        self._held: dict[tuple[int, int], int] = {}
        self._total = 0
        self._count_at = self._shared_until = 0.0

    def is_crowding(self, item: batch.Item) -> bool:
        """Whether a push is of those of whom enough are in hand, and may wait outside."""
        now = self._clock()
        if now >= self._count_at:
            self._count_at = now + COUNT_INTERVAL
            self._count(now)
        if now >= self._shared_until or policy.is_urgent(item.push):
            return False
        held = self._held.get(self._whose(item), 0)
        return held * len(self._held) > self._total and held >= SHARE * self._places.left

    def _count(self, now: float) -> None:
        held: defaultdict[tuple[int, int], int] = defaultdict(int)
        for work in self._batches:
            for index in work.open:
                item = work.items[index]
                held[self._whose(item)] += PUSH + COPIES * item.size
        self._held, self._total = dict(held), sum(held.values())
        if len({customer for customer, _ in held}) > 1:
            self._shared_until = now + SHARED

    def _whose(self, item: batch.Item) -> tuple[int, int]:
        target = self._route(item.customer if item.key else 0, item.push.platform).target
        return item.customer, 0 if target is None else target.credential_id
