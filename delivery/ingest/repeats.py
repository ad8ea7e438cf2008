"""Idempotency of send_push: a push that comes again gets the first one's answer, and is sent once.

What comes again to the process that has the first one in flight, or had it in the last minutes, is found in memory
(recent_pushes.py): both wait for one result, also where whoever sent the first has broken off. What another process has
had, or this one's predecessor, is found with the batch's publication (seen_log.py), which is why a batch is sent with
Valkey's reply to that and not before (publishing.py). It is answered as its first one was, and waits until
that is known, for no longer than the first one's deadline.

One that failed may be tried anew, for its failure may have passed; not one that may yet arrive, for it would show
twice: that is FAIL again, with a row of its own. Any other push that comes again has no row but the first one's.
Invariants: whoever waits is answered by the deadline; OK is said only of what was sent or is saved in the queue.
"""

import asyncio
import logging
from typing import Final, NamedTuple

from delivery.ingest.limits import Allowance
from delivery.ingest.pending import PendingBatch, PendingPush
from delivery.ingest.recent_pushes import UNCERTAIN
from delivery.ingest.refusals import TurnedAwayPushes
from delivery.ingest.responses import Responses
from delivery.ingest.seen_log import SeenLog
from delivery.metrics import counting
from delivery.protocol import wire
from delivery.queue import seen

logger = logging.getLogger(__name__)

# Seconds between two looks at what other processes have in flight; after which whatever is saved at all is saved.
LOOK_INTERVAL: Final = 0.1
LONG_SAVED: Final = 60


class _Waiting(NamedTuple):
    """A push whose first one another process has: its own batch, and the loop's time by which it is answered."""

    push: PendingPush
    batch: PendingBatch
    until: float


class Repeats:
    """Answers the pushes of one web process that have come before."""

    def __init__(self, seen_log: SeenLog, responses: Responses, turned_away: TurnedAwayPushes) -> None:
        self._seen, self._responses, self._turned_away = seen_log, responses, turned_away
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None

    def join(self, first: PendingPush | bytes, push: PendingPush, allowance: Allowance) -> "asyncio.Future[bytes]":
        """Answer a push as its first one, which RecentPushes.find() gave; it counts as waiting meanwhile."""
        counting.repeated()
        if first is UNCERTAIN:
            return self._turned_away.turn_away(push, "repeated")
        if not isinstance(first, PendingPush):
            push.answer.set_result(first)
            return push.answer
        # The first one's answer becomes one that no caller can cancel: whoever asked before has mostly broken off.
        before, first.answer = first.answer, asyncio.get_running_loop().create_future()
        push.allowance = allowance
        allowance.acquire()
        self._responses.waiting += 1

        def pass_on(shared: "asyncio.Future[bytes]") -> None:
            self._responses.release(push)
            for answer in (before, push.answer):
                if not answer.done():
                    answer.set_result(shared.result())

        first.answer.add_done_callback(pass_on)
        return push.answer

    def answer(self, push: PendingPush, batch: PendingBatch, repeat: seen.Repeat) -> None:
        """Answer a push of a published batch, of which Valkey has said what it knows of the first one."""
        counting.repeated()
        waiting = _Waiting(push, batch, batch.deadline)
        if self._answered(waiting, repeat.state, repeat.age):
            return
        self._waiting.append(waiting)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        asked, self._waiting = self._waiting, []
        self._seen.refresh().add_done_callback(lambda _: self._on_looked(asked))

    def _on_looked(self, asked: list[_Waiting]) -> None:
        for each in asked:
            state, age = self._seen.find(each.push.digest) or (seen.ACCEPTED, 0)
            if not self._answered(each, state, age):
                self._waiting.append(each)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_INTERVAL, self._look) if self._waiting else None

    def _answered(self, waiting: _Waiting, state: int, age: int) -> bool:
        """Answer a push, if it is known by now what: the state and age of the first one, the latter in seconds."""
        push = waiting.push
        try:
            return self._answer_if_known(waiting, state, age)
        except Exception:  # a fault of ours at one push, which must leave nobody without an answer
            logger.exception("a push that came again could not be answered", extra={"trace": push.trace})
            if not push.answer.done():
                push.answer.set_result(wire.fail_body(f"internal_error {push.trace}"))
            self._responses.release(push)
            return True

    def _answer_if_known(self, waiting: _Waiting, state: int, age: int) -> bool:
        push, batch, until = waiting
        if state == seen.GONE:
            self._responses.answer(push, wire.REMOVE_BODY)
            return True
        is_saved = age >= LONG_SAVED or self._responses.is_saved(batch)  # the first one's stands before it in the file
        is_late = asyncio.get_running_loop().time() >= until
        if state != seen.ACCEPTED or (is_late and not is_saved):
            self._responses.release(push)
            self._responses.on_ended(push, wire.fail_body("repeated") if state == seen.FAILED else UNCERTAIN)
            self._turned_away.turn_away(push, "repeated")
            return True
        if is_saved and (is_late or age >= self._responses.deadline):
            self._responses.answer(push, wire.OK_BODY)
            return True
        return False
