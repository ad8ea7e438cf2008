"""Fair intake: pushes of several customers become batches in turn, where more come at once than a moment can take.

What waits, and for how long, is decided by delivery/queue/fair_turns.py: a push, until it is its customer's turn; and
a customer, while it has as many pushes under way as it may in a busy process (congestion.py), until one of them is
answered. Invariant: a customer's part is bounded in bytes and in time, and past that it is told so, and nobody else.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from delivery.ingest.congestion import UNLIMITED, Congestion
from delivery.ingest.pending import PendingPush
from delivery.protocol import policy
from delivery.queue.fair_turns import FREE_WEIGHT, WEIGHT, FairTurns
from delivery.worker.places import cost
from tenants.directory.snapshot import Identity

# Pushes of one turn of the loop: about two milliseconds' work, until they are answered.
TURN: Final = 16
# Seconds that a customer's push has waited from which on no more of it is taken on: with the deadline of its answer
# well within the 30 that its server waits.
PATIENCE: Final = 3.0
SCHEDSTAT: Final = Path("/proc/thread-self/schedstat")
# Bytes of memory that what waits takes up, from which on only those are taken on who have less than their part.
MOST: Final = 32_000_000
# Seconds after which a customer that is held goes on with one push, whatever it has under way: so nobody whose provider
# takes long to answer is held below 200 pushes a second.
LET_THROUGH: Final = 0.005


class FairIntake(FairTurns[tuple[PendingPush, bytes]]):
    """See the module. goes_on() for each push, and wait() for those of which it says no; on_released() for each that is
    answered."""

    def __init__(self, collect: Callable[[PendingPush, bytes], None]) -> None:
        """collect: takes each push that is next, encoded as well."""
        super().__init__(self._collect, TURN)
        self._next, self.congestion = collect, Congestion(_wanted)
        self._timer: asyncio.TimerHandle | None = None  # set while a customer is held

    def goes_on(self, customer: int, in_flight: int, now: float) -> bool:
        """Whether a push goes on at once; `in_flight`: how many its customer has here without it, `now`: the loop's
        time."""
        at_once = self.take_now(customer, now)
        if now >= self._shared_until:
            return at_once
        congestion = self.congestion
        congestion.note_push(customer, in_flight)
        return at_once and not (in_flight >= congestion.limit and congestion.is_bounded(customer, in_flight))

    def may_wait(self, who: Identity, size: int, now: float) -> bool:
        """Whether one more of a customer's pushes may wait; `now`: the shared time."""
        waiting = self.waiting
        oldest = waiting.oldest(who.customer_id)
        if oldest is not None and now - oldest[0].at > PATIENCE:
            return False
        held = cost(len(waiting) + 1, waiting.size + size)
        return held <= MOST or not waiting.has_more_than_its_part(who.customer_id)

    def wait(self, pending: PendingPush, item: bytes) -> None:
        """Let a push, which is counted as in flight already, wait for its customer's turn."""
        who = pending.who
        weight = FREE_WEIGHT if who.anonymous or who.trial else WEIGHT
        urgent = policy.is_urgent(pending.push)
        self.put(who.customer_id, (pending, item), len(item), weight=weight, urgent=urgent)
        self._hold_if_bounded(pending)

    def _collect(self, item: tuple[PendingPush, bytes]) -> None:
        try:
            self._next(*item)
        finally:
            self._hold_if_bounded(item[0])

    def _hold_if_bounded(self, pending: PendingPush) -> None:
        congestion, waiting, loop = self.congestion, self.waiting, asyncio.get_running_loop()
        if congestion.limit == UNLIMITED or pending.allowance is None or loop.time() >= self._shared_until:
            return
        customer = pending.who.customer_id
        if congestion.is_bounded(customer, pending.allowance.customer.in_flight - waiting.count(customer)):
            waiting.hold(customer)
            if self._timer is None:
                self._timer = loop.call_later(LET_THROUGH, self._let_through)

    def on_released(self, customer: int, in_flight: int) -> None:
        """A push has its answer; `in_flight`: how many its customer has here now.

        Who was held goes on when half of what it may have under way is answered: one by one, each batch would be as
        small as that.
        """
        if self._timer is not None and 2 * (in_flight - self.waiting.count(customer)) <= self.congestion.limit:
            self.waiting.resume(customer)
            self._go_on()

    def _let_through(self) -> None:
        """Let each customer that is held go on until it is found to be bounded again: with one push."""
        self._timer = None
        self.resume_all()

    def _on_turn(self, seconds: float, now: float) -> None:
        self.congestion.note_turn(seconds, now)


def _wanted() -> float:
    """Seconds for which this thread has run, or has waited for a core (proc(5), schedstat): where the kernel does not
    count the latter, those that it has run."""
    try:
        ran, waited, _ = SCHEDSTAT.read_bytes().split()
    except (OSError, ValueError):
        return time.thread_time()
    return (int(ran) + int(waited)) / 1e9
