"""Resolves the answers of waiting pushes: from the results that workers report, or when their deadline has come.

Results come through a list in Valkey that belongs to this process (delivery/queue/batch.py has their form). Invariant:
each waiting push is answered once; a result that comes after the deadline changes nothing.
"""

import asyncio
import logging
import struct

import msgspec
from django.conf import settings

from delivery.ingest.pending import PendingBatch, PendingPush
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.protocol import wire
from delivery.queue import batch, shared_clock, valkey

logger = logging.getLogger(__name__)

# How often waiting pushes are looked at for their deadline, in seconds.
TICK = 0.05
# Part of the mean latency that the latest answer makes up.
LATENCY_WEIGHT = 0.01


class Responses:
    """The batches of one web process that are in flight, by number; `waiting` is how many pushes have no answer yet."""

    def __init__(self, process: str, deadline: float) -> None:
        """`deadline`: seconds from its batch's publication within which each push is answered."""
        self._process, self.deadline = process, deadline
        self.batches: dict[int, PendingBatch] = {}
        self.waiting = 0
        self.latency = 0.0  # seconds that answers take, of late

    def track(self, number: int, batch_id: str, pushes: list[PendingPush]) -> PendingBatch:
        """Keep a batch until all of its pushes are answered."""
        now = asyncio.get_running_loop().time()
        pending = self.batches[number] = PendingBatch(number, batch_id, pushes, now, now + self.deadline - TICK)
        return pending

    async def listen(self) -> None:
        """Read the list of results, until cancelled."""
        key = batch.reply_key(self._process)
        link = valkey.Link(settings.REDIS_URL)
        await link.start()
        while True:
            try:
                popped = await link.execute("BLMPOP", "5", "1", key, "LEFT", "COUNT", "100")
            except ConnectionError:
                await asyncio.sleep(0.05)
                continue
            if isinstance(popped, Exception):
                logger.error("Valkey gives no results: %s", popped)
                await asyncio.sleep(1)
            elif popped is not None:
                for blob in popped[1]:
                    self._on_results(blob)

    def _on_results(self, blob: bytes) -> None:
        try:
            short, texts = batch.unpack_results(blob)
        except (struct.error, msgspec.DecodeError):
            logger.exception("results from a worker cannot be read")
            return
        for number, index, code in short:
            self._resolve_push(number, index, wire.REMOVE_BODY if code else wire.OK_BODY)
        for number, index, text in texts:
            self._resolve_push(number, index, wire.fail_body(text))

    def _resolve_push(self, number: int, index: int, body: bytes) -> None:
        pending = self.batches.get(number)
        if pending is None:
            return  # answered by its deadline before
        pending.published = True
        push = pending.pushes[index]
        if not push.answer.done():
            self.latency += (self._respond(push, body) - self.latency) * LATENCY_WEIGHT
        pending.unanswered -= 1
        if not pending.unanswered:
            del self.batches[number]

    def _respond(self, push: PendingPush, body: bytes) -> float:
        """Answer one waiting push; returns for how many seconds it has waited."""
        push.answer.set_result(body)
        self.release(push)
        seconds = shared_clock.now() - push.at
        counting.answered(seconds)
        return seconds

    def release(self, push: PendingPush) -> None:
        """Count a push as waiting no longer, here and in its limits."""
        self.waiting -= 1
        if push.allowance is not None:
            push.allowance.release()

    def check_deadlines(self, now: float) -> None:
        """Answer the batches whose deadline has come, and forget those that are published; `now` in the loop's time."""
        for number, pending in list(self.batches.items()):
            if pending.deadline > now:
                break
            if pending.published:
                del self.batches[number]
            self._on_deadline(pending)

    def _on_deadline(self, pending: PendingBatch) -> None:
        """The deadline of a batch has come: what stands in the queue is OK, save tests; what may not is FAIL."""
        late = judge.refusal("late_test")
        down = judge.refusal("queue_down")
        for push in pending.pushes:
            if push.answer.done():
                continue
            if not pending.published:
                body = wire.fail_body(judge.text(down, push.trace))
            elif push.push.type == "test":
                body = wire.fail_body(judge.text(late, push.trace, seconds=int(self.deadline)))
            else:
                body = wire.OK_BODY
            self._respond(push, body)
