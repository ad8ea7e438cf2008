"""Fair intake: pushes of several customers become batches in turn, where more come at once than a moment can take.

All of a web process happens on one loop, so what one customer sends at once stands in front of what others send. As
long as few pushes come in one turn of the loop, or one customer's alone, each goes on at once, for the price of two
comparisons. What exceeds that waits here by customer, and each following turn takes TURN of them, whose turn it is
(delivery/queue/fair_queue.py), while the loop looks after answers and new requests in between: a flood waits for
itself. Invariants: what waits goes on in the next turn that is its customer's, however long that of others is; a
customer's part is bounded in bytes and in time, and past that it is told so, and nobody else.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from delivery.ingest.pending import PendingPush
from delivery.protocol import policy
from delivery.queue.fair_queue import FairQueue
from delivery.worker.places import cost
from tenants.directory.snapshot import Identity

# Pushes of one turn of the loop: about two milliseconds' work, until they are answered.
TURN: Final = 16
# Seconds for which customers are taken to share the process after a push of another one's has come.
SHARED: Final = 1.0
# Seconds that a customer's push has waited from which on no more of it is taken on.
PATIENCE: Final = 1.0
# Bytes of memory that what waits takes up, from which on only those are taken on who have less than their part.
MOST: Final = 32_000_000
# A customer's part in relation to that of the free test service.
WEIGHT, FREE_WEIGHT = 4, 1


class FairIntake:
    """See the module. take_now() for each push, and wait() for those of which it says so."""

    def __init__(self, collect: Callable[[PendingPush, bytes], None]) -> None:
        """collect: takes each push that is next, encoded as well."""
        self._collect = collect
        self._waiting: FairQueue[tuple[PendingPush, bytes]] = FairQueue()
        self._is_taking = False
        self._left = TURN
        self._customer, self._shared_until = 0, 0.0

    def take_now(self, customer_id: int, now: float) -> bool:
        """Whether a push may go on at once; `now`: the loop's time."""
        if customer_id != self._customer:
            self._shared_until = now + SHARED if self._customer else 0.0  # the first of all is alone
            self._customer = customer_id
        if now < self._shared_until:
            if self._left == TURN:
                asyncio.get_running_loop().call_soon(self._begin_turn)
            self._left -= 1
        return self._left >= 0 and not self._is_taking

    def _begin_turn(self) -> None:
        self._left = TURN

    def may_wait(self, who: Identity, size: int, now: float) -> bool:
        """Whether one more of a customer's pushes may wait; `now`: the shared time."""
        oldest = self._waiting.oldest(who.customer_id)
        if oldest is not None and now - oldest[0].at > PATIENCE:
            return False
        held = cost(len(self._waiting) + 1, self._waiting.size + size)
        return held <= MOST or not self._waiting.has_more_than_its_part(who.customer_id)

    def wait(self, pending: PendingPush, item: bytes) -> None:
        """Let a push wait for its customer's turn."""
        who = pending.who
        weight = FREE_WEIGHT if who.anonymous or who.trial else WEIGHT
        urgent = policy.is_urgent(pending.push)
        self._waiting.put(who.customer_id, (pending, item), len(item), weight=weight, urgent=urgent)
        if not self._is_taking:
            self._is_taking = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        waiting, loop = self._waiting, asyncio.get_running_loop()
        left = TURN if loop.time() < self._shared_until else len(waiting)
        while left and waiting:
            left -= 1
            self._collect(*waiting.take())
        self._is_taking = bool(waiting)
        if waiting:
            loop.call_soon(self._take_turn)

    def flush(self) -> None:
        """Let all go on that waits."""
        while self._waiting:
            self._collect(*self._waiting.take())
