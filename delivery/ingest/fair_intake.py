"""Fair intake: pushes of several customers become batches in turn, where more come at once than a moment can take.

What waits, and for how long, is decided by delivery/queue/fair_turns.py: a push, until it is its customer's turn.
Invariant: a customer's part is bounded in bytes and in time, and past that it is told so, and nobody else.
"""

from collections.abc import Callable
from typing import Final

from delivery.ingest.pending import PendingPush
from delivery.protocol import policy
from delivery.queue.fair_turns import FREE_WEIGHT, WEIGHT, FairTurns
from delivery.worker.places import cost
from tenants.directory.snapshot import Identity

# Pushes of one turn of the loop: about two milliseconds' work, until they are answered.
TURN: Final = 16
# Seconds that a customer's push has waited from which on no more of it is taken on.
PATIENCE: Final = 1.0
# Bytes of memory that what waits takes up, from which on only those are taken on who have less than their part.
MOST: Final = 32_000_000


class FairIntake(FairTurns[tuple[PendingPush, bytes]]):
    """See the module. take_now() for each push, and wait() for those of which it says so."""

    def __init__(self, collect: Callable[[PendingPush, bytes], None]) -> None:
        """collect: takes each push that is next, encoded as well."""
        super().__init__(lambda item: collect(*item), TURN)

    def may_wait(self, who: Identity, size: int, now: float) -> bool:
        """Whether one more of a customer's pushes may wait; `now`: the shared time."""
        waiting = self.waiting
        oldest = waiting.oldest(who.customer_id)
        if oldest is not None and now - oldest[0].at > PATIENCE:
            return False
        held = cost(len(waiting) + 1, waiting.size + size)
        return held <= MOST or not waiting.has_more_than_its_part(who.customer_id)

    def wait(self, pending: PendingPush, item: bytes) -> None:
        """Let a push wait for its customer's turn."""
        who = pending.who
        weight = FREE_WEIGHT if who.anonymous or who.trial else WEIGHT
        self.put(who.customer_id, (pending, item), len(item), weight=weight, urgent=policy.is_urgent(pending.push))
