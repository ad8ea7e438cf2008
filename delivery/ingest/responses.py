"""Resolves the answers of waiting pushes: from the results that workers report, or when their deadline has come.

Results come through a list in Valkey that belongs to this process (delivery/queue/batch.py has their form). Invariants:
each waiting push is answered once; a result that comes after the deadline changes nothing; a push without a result is
OK only if its batch stands in the queue's file on the disk.
"""

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
from django.conf import settings

from delivery.ingest.pending import NOWHERE, PendingBatch, PendingPush
from delivery.ingest.recent_pushes import UNCERTAIN
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.outcomes.verdict import Answer
from delivery.protocol import wire
from delivery.queue import batch, shared_clock, told, valkey

logger = logging.getLogger(__name__)

# Seconds between two looks at what is past its deadline and not in the queue for sure; and those by which pushes are
# answered before their deadline.
TICK: Final = 0.05
# Part of the mean latency that the latest answer makes up.
LATENCY_WEIGHT = 0.01
# Seconds for which Valkey holds back its reply while there are no results.
BLOCK_SECONDS: Final = 5
# Batches that are remembered, with how many pushes each, until they are synced.
UNSYNCED_MOST: Final = 1_000


class Responses:
    """The batches of one web process that are in flight, by number.

    `waiting`: pushes without an answer; `kept_bytes`: of sealed batches. `newest`, `synced`: the positions of the last
    batch that the queue has, and of the last that it has saved on its disk, with all that it has before that one;
    `saves_at_once`: it saves each before it confirms it; `is_taken`: whether a worker takes pushes from the queue, as
    far as is known.
    """

    def __init__(
        self,
        process: str,
        deadline: float,
        public_url: str = "",
        on_late: Callable[[PendingBatch], None] = lambda _pending: None,
        on_ended: Callable[[PendingPush, bytes], None] = lambda _push, _body: None,
    ) -> None:
        """`deadline`: seconds from its batch's publication within which each push is answered; `public_url`: the
        address of the pages, for the texts of failures; `on_late`: gets each batch in the queue of which pushes were
        answered at the deadline; `on_ended`: each push with its answer, or at its deadline, and then with its
        result."""
        self._on_late, self.on_ended = on_late, on_ended
        self.is_taken: Callable[[], bool] = lambda: True
        self.on_released: Callable[[int, int], None] = lambda _customer, _in_flight: None
        self._process, self.deadline, self._public_url = process, deadline, public_url
        self.batches: dict[int, PendingBatch] = {}
        self._awaited: asyncio.Future[None] | None = None
        self._unsynced_awaited: asyncio.Future[None] | None = None
        self.waiting = 0
        self.latency = 0.0  # seconds that answers take, of late
        self.kept_bytes = 0
        self.newest = self.synced = 0
        self.saves_at_once = False
        self._unsynced: deque[tuple[int, int]] = deque(maxlen=UNSYNCED_MOST)

    def track(self, number: int, batch_id: str, pushes: list[PendingPush], sealed: bytes) -> PendingBatch:
        """Keep a batch until all of its pushes are answered."""
        deadline = asyncio.get_running_loop().time() + self.deadline - TICK
        pending = self.batches[number] = PendingBatch(number, batch_id, pushes, sealed, deadline)
        self.kept_bytes += len(sealed)
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)
        return pending

    async def wait_for_batches(self) -> None:
        """Return when there are batches in flight; for one who waits at a time."""
        if not self.batches:
            self._awaited = asyncio.get_running_loop().create_future()
            await self._awaited

    def on_published(self, pending: PendingBatch) -> None:
        """The queue has a batch."""
        pending.published = True
        self.newest = max(self.newest, pending.position)
        if self._unsynced_awaited is not None and self.newest > self.synced:
            awaited, self._unsynced_awaited = self._unsynced_awaited, None
            if not awaited.done():
                awaited.set_result(None)

    async def wait_for_unsynced(self) -> None:
        """Return when the queue has batches that it has not saved yet; for one who waits at a time."""
        if self.newest <= self.synced:
            self._unsynced_awaited = asyncio.get_running_loop().create_future()
            await self._unsynced_awaited

    def forget(self, pending: PendingBatch, *, queued: bool = True) -> bool:
        """Keep a batch no longer, which the queue has or (queued=False) has not; False if that has been said before."""
        if self.batches.pop(pending.number, None) is None:
            return False
        self._drop_sealed(pending)
        if queued and pending.told:
            self._on_late(pending)
        if queued and pending.position > self.synced:
            self._unsynced.append((pending.position, len(pending.pushes)))
        return True

    def discard(self, number: int) -> None:
        """Keep a batch no longer, if it is kept, that could not be published."""
        if number in self.batches:
            self.forget(self.batches[number], queued=False)

    def _drop_sealed(self, pending: PendingBatch) -> None:
        self.kept_bytes -= len(pending.sealed)
        pending.sealed = b""

    def on_synced(self, position: int) -> None:
        """The queue has saved all batches that it has, up to this position."""
        self.synced = position
        self._keep_unsynced(lambda unsynced: unsynced > position)

    def _keep_unsynced(self, which: Callable[[int], bool]) -> None:
        kept = [(position, pushes) for position, pushes in self._unsynced if which(position)]
        self._unsynced.clear()
        self._unsynced.extend(kept)

    def on_lost(self, position: int) -> int:
        """The queue has no batch after this position; returns how many pushes were in those that are kept no longer."""
        self.newest, self.synced = min(self.newest, position), min(self.synced, position)
        pushes = sum(pushes for lost, pushes in self._unsynced if lost > position)
        self._keep_unsynced(lambda unsynced: unsynced <= position)
        return pushes

    async def listen(self) -> None:
        """Read the list of results, until cancelled."""
        key = batch.reply_key(self._process)
        link = valkey.Link(settings.REDIS_URL, name="answers")
        try:
            while True:
                await link.start()
                try:
                    popped = await link.execute("BLMPOP", str(BLOCK_SECONDS), "1", key, "LEFT", "COUNT", "100")
                except ConnectionError:
                    continue  # the link logs it
                if isinstance(popped, Exception):
                    logger.error("Valkey gives no results: %s", popped)
                    await asyncio.sleep(1)
                elif popped is not None:
                    for blob in popped[1]:
                        self._on_results(blob)
        finally:
            link.close()

    def _on_results(self, blob: bytes) -> None:
        try:
            short, texts = batch.unpack_results(blob)
            for number, index, code in short:
                self._resolve_push(number, index, wire.REMOVE_BODY if code else wire.OK_BODY)
            for number, index, text in texts:
                self._resolve_push(number, index, wire.fail_body(text))
        except (struct.error, msgspec.DecodeError):
            logger.exception("results from a worker cannot be read")

    def _resolve_push(self, number: int, index: int, body: bytes) -> None:
        pending = self.batches.get(number)
        if pending is None:
            return  # answered by its deadline before
        if not 0 <= index < len(pending.pushes):
            logger.error("a worker reports push %d of a batch of %d", index, len(pending.pushes))
            return
        if not pending.published and pending.own is None:  # the results overtook the confirmation
            self.on_published(pending)
        self.resolve(pending, index, body)

    def resolve(self, pending: PendingBatch, index: int, body: bytes) -> None:
        """A push has its result: answer it, and keep its batch no longer when that was the last."""
        push = pending.pushes[index]
        if push is None:
            return  # a batch that two workers had; whose result came first has been told
        pending.pushes[index] = None
        self.on_ended(push, body)
        if not push.answer.done():
            self.latency += (self._respond(push, body) - self.latency) * LATENCY_WEIGHT
        else:
            self.release(push)  # whoever asked has given up
        pending.unanswered -= 1
        if not pending.unanswered:
            self.forget(pending)

    def take_out(self, pending: PendingBatch, index: int) -> PendingPush | None:
        """Take a push out of its published batch, which is answered for itself; None for one that has its answer."""
        push, pending.pushes[index] = pending.pushes[index], None
        if push is not None:
            pending.unanswered -= 1
            if not pending.unanswered:
                self.forget(pending)
        return push

    def answer(self, push: PendingPush, body: bytes) -> None:
        """Answer a push that was taken out of its batch."""
        self.on_ended(push, body)
        if push.answer.done():
            self.release(push)
        else:
            self._respond(push, body)

    def _respond(self, push: PendingPush, body: bytes) -> float:
        """Answer one waiting push; returns for how many seconds it has waited."""
        push.answer.set_result(body)
        self.release(push)
        seconds = shared_clock.now() - push.at
        counting.answered(seconds)
        return seconds

    def release(self, push: PendingPush) -> None:
        """Count a push as waiting no longer, here and in its limits."""
        if push.allowance is not None:
            self.waiting -= 1
            push.allowance.release()
            self.on_released(push.who.customer_id, push.allowance.customer.in_flight)
            push.allowance = None

    def seconds_left(self, now: float) -> float:
        """Seconds until check_deadlines() has something to do, at least TICK; `now` in the loop's time. It is not to be
        later: the batches stand in the order of their deadlines."""
        first = next(iter(self.batches.values()), None)
        return TICK if first is None else max(TICK, first.deadline - now)

    def check_deadlines(self, now: float, *, queue_up: bool) -> None:
        """Answer the batches whose deadline has come, and forget those that are published; `now` in the loop's time.

        queue_up: whether the queue is there; while it is not, what it has not saved is no longer known to be in it.
        """
        for pending in list(self.batches.values()):
            if pending.deadline > now:
                break
            if not pending.late:
                self._on_deadline(pending)
            if pending.published and (queue_up or self.is_saved(pending)):
                self.forget(pending)

    def is_saved(self, pending: PendingBatch) -> bool:
        """Whether a batch, and whatever was written before it, is on the queue's disk."""
        synced = NOWHERE < pending.position <= self.synced
        return pending.saved or synced or (self.saves_at_once and pending.published)

    def _on_deadline(self, pending: PendingBatch) -> None:
        """The deadline of a batch has come: what is saved in the queue is OK, what may not be is FAIL. So are tests,
        and where nobody takes pushes what will be of no use when somebody does."""
        self._drop_sealed(pending)  # nobody waits any more, so it is not published again
        code = ""
        if not self.is_saved(pending):
            code = "queue_unsaved" if pending.published else "queue_down"
        pending.mark = (
            told.FAIL if code else told.OK if _is_in_hands(pending) or self.is_taken() else told.OK_IF_LASTING
        )
        pending.told = tuple(
            (index, push) for index, push in enumerate(pending.pushes) if push is not None and not push.answer.done()
        )
        for push in pending.pushes:
            if push is None:
                continue
            try:
                self._end_late(push, pending, code)
            except Exception:  # a fault of ours at one push, which must not leave the others without an answer
                logger.exception("a push could not be answered at its deadline", extra={"trace": push.trace})
                if not push.answer.done():
                    push.answer.set_result(wire.fail_body(f"internal_error {push.trace}"))
                self.release(push)
        pending.late = True

    def _end_late(self, push: PendingPush, pending: PendingBatch, code: str) -> None:
        late = "late_test" if push.push.type == "test" and pending.published else code
        if not late and told.answer(push.push, pending.mark) is Answer.FAIL:
            late = "no_worker"
        body = wire.OK_BODY
        if late:
            text = judge.text(judge.refusal(late), push.trace, self._public_url, seconds=int(self.deadline))
            body = wire.fail_body(text)
        self.answer(push, body)
        if late and pending.own is not None:  # its request is out, whatever was told
            self.on_ended(push, UNCERTAIN)


def _is_in_hands(pending: PendingBatch) -> bool:
    """Whether this process sends all of a batch itself: what is tried again later is the workers'."""
    return pending.own is not None and not pending.own.has_deferred
