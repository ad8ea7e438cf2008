"""Atomic settlement of ended pushes: the row for the log, the answer for the waiting server, the batch's progress.

A script in Valkey does all of it atomically and once per push, whoever calls it and however often: a worker that was
taken for dead and the one that took its batch over may both settle it, and a settlement whose answer got lost is
simply made again. The last settlement of a batch also acknowledges its message, where the transport has given a receipt
for it. What is tried again later goes to the due list in the same script (delivery/queue/due_list.py). Invariant: a
push has its row and its answer, or neither.

Keys: done:BATCH lapses KEPT seconds after the last push of the batch was settled, BEGUN seconds after any other. Its
first byte is "*" when the whole batch was settled at once; else bit 8 + i tells that push i is settled, and the first
byte may be a mark of what the servers were told at the deadline (delivery/queue/told.py), which the rows have to say.
"""

import asyncio
import logging
from typing import Any

from delivery.log.rows import NO_KEY, fingerprint, row, with_answer
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.outcomes.verdict import Answer, Verdict
from delivery.protocol.wire import Push
from delivery.queue import batch, seen, shared_clock, told, valkey
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.due_item import DueItem, bounded
from delivery.worker.due_settlement import DueSettler
from delivery.worker.settlement_script import BEGUN, KEPT, SCRIPT, SHA, Deferred, command, settled_before
from tenants.directory.live import DIRECTORY

logger = logging.getLogger(__name__)

__all__ = ["BEGUN", "KEPT", "SCRIPT", "SHA", "Deferred", "Settler", "command", "settled_before"]

# Seconds before a settlement that may not have been applied is made again, doubled each time.
PAUSE, PAUSE_MAX = 0.2, 2.0
# Seconds between two warnings of that, for all batches together.
WARNING_INTERVAL = 1.0
# Seconds for which what has been answered waits to be settled together with others, or along with whatever is written
# to Valkey meanwhile, and, for the rest of its batch, at most: nobody waits for it, and a process that dies in between
# has the pushes sent again under the same ids. A process that settled alone would wake for it, and again for the reply.
TOGETHER, TOGETHER_MOST = 0.05, 0.1


class _Settlement:
    """One settlement of some pushes of a batch, until the server has confirmed it."""

    __slots__ = ("by_name", "deferred", "last", "mark", "pause", "reply", "rows", "states", "whole", "work")

    def __init__(self, work: BatchProgress, rows: list[tuple[int, bytes]], reply: bytes, *, whole: bool) -> None:
        self.work, self.rows, self.reply, self.whole = work, rows, reply, whole
        self.deferred: list[Deferred] = []
        self.last = False
        self.by_name = True
        self.mark = b""
        self.pause = PAUSE
        # The command that says what those of its pushes that were not sent ended as; b"" where all were.
        self.states = b""

    def go_by(self, mark: bytes) -> None:
        """Let the rows say what their servers were told by the mark of the batch; the process that told it knows."""
        self.mark, items = mark, self.work.items
        if self.work.answer is not None:
            return
        self.rows = [(index, with_answer(line, told.answer(items[index].push, mark))) for index, line in self.rows]


class Settler:
    """Settles what has ended of a batch, and makes sure that it was applied."""

    def __init__(self, link: valkey.Link, loop: asyncio.AbstractEventLoop, hash_key: bytes) -> None:
        self.link, self.loop, self.hash_key = link, loop, hash_key
        self._warn_at = 0.0
        self._due: list[tuple[BatchProgress, float]] = []
        self._timer: asyncio.TimerHandle | None = None
        self.due = DueSettler(link, loop, self.row, hash_key)

    def settle_soon(self, work: BatchProgress) -> None:
        """Settle what has ended of a batch together with others: one whose pushes are answered without it."""
        now = self.loop.time()
        self._due.append((work, now + TOGETHER_MOST))
        work.is_due = True
        if self._timer is None:
            self._wait(now)

    def _wait(self, now: float) -> None:
        """Set the timer: the first of those that are due has the least time left."""
        _, latest = self._due[0]
        self._timer = self.loop.call_later(min(TOGETHER, latest - now), self._settle_due)

    def settle_along(self) -> None:
        """Settle those that have ended whole: something else is written to Valkey in this turn of the loop."""
        if self._due:
            self._settle_due()

    def _settle_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due, now = self._due, self.loop.time()
        self._due = [(work, latest) for work, latest in due if work.open and latest > now]
        if self._due:
            self._wait(now)
        ripe = [work for work, latest in due if not work.open or latest <= now]
        for work in ripe:
            work.is_due = False
        for work in ripe:
            try:
                self.settle(work)
            except Exception:  # a fault of ours, which must not hold up the others
                logger.exception("a batch could not be settled", extra={"batch": work.id})

    def settle(self, work: BatchProgress) -> None:
        """Settle what has ended since the last call; `work.finished` is set when nothing of the batch is left."""
        work.timer = None
        if work.claim is not None:
            self.due.settle(work)
            return
        ended, work.ended = work.ended, []
        if not ended and not work.deferred:
            return
        whole = len(ended) == len(work.items) and not work.partly_settled
        work.partly_settled = True
        now = shared_clock.now()
        rows, short, texts, states = [], [], [], []
        for index, verdict, text in ended:
            item = work.items[index]
            line = self.row(work, index, verdict, now)
            rows.append((index, with_answer(line, work.told[index]) if index in work.told else line))
            if item.customer not in DIRECTORY.canaries:
                counting.ended(item.push, verdict, now - item.at, item.key != 0)
            if verdict.answer is not Answer.OK and item.push.ack_id:
                name = seen.digest(item.customer, item.server, item.push, self.hash_key)
                states.append((name, seen.state_of(verdict)))
            if work.answer is not None:
                continue
            if text:
                texts.append((work.number, index, text))
            else:
                short.append((work.number, index, int(verdict.answer)))
        work.unconfirmed += 1
        reply = batch.pack_results(short, texts) if work.answer is None and ended else b""
        settlement = _Settlement(work, rows, reply, whole=whole)
        settlement.states = seen.marking(states) if states else b""
        if work.deferred:
            deferred, work.deferred = work.deferred, []
            work.deferred_before += deferred
            settlement.deferred = [self._deferred(work, index, due_ms) for index, due_ms in deferred]
        self._post(settlement)

    def _deferred(self, work: BatchProgress, index: int, due_ms: int) -> Deferred:
        item = work.items[index]
        sealed = self.due.sealed(DueItem(item, bounded(work.attempts[index]), work.id, index))
        return Deferred(index, item.trace, due_ms, sealed)

    def row(self, work: BatchProgress, index: int, verdict: Verdict, now: float) -> bytes:
        """The row of a push that has ended, even where the best that there is cannot be made."""
        try:
            return self._row(work, index, verdict, now)
        except Exception:
            # Its neighbours in the batch shall have their answers, and it has its own.
            item = work.items[index]
            logger.exception("the row of a push could not be made", extra={"trace": item.trace})
            return self._bare_row(item, now)

    def _row(self, work: BatchProgress, index: int, verdict: Verdict, now: float) -> bytes:
        item = work.items[index]
        route = work.routes[index]
        return row(
            item.trace,
            item.at,
            now,
            f"{item.customer}\t{item.server}\t{item.key or NO_KEY}",
            None if route is None else route.app_id,
            item.push,
            fingerprint(item.push.device_id, self.hash_key),
            item.size,
            verdict,
            work.attempts[index],
        )

    def _bare_row(self, item: batch.Item, now: float) -> bytes:
        """The row of a push of which nothing but whose it is can be written."""
        who = f"{item.customer}\t{item.server}\t{item.key or NO_KEY}"
        verdict = judge.refusal("internal_error")
        return row(item.trace, item.at, now, who, None, Push(), fingerprint("", self.hash_key), item.size, verdict, ())

    def _post(self, settlement: _Settlement, *, out_of_turn: bool = False) -> None:
        work = settlement.work
        # Not while an earlier one waits to be made again, nor ahead of another one whose reply is on its way and may
        # say the same: the batch would be acknowledged without it.
        settlement.last = work.all_posted() and not work.lost and not (out_of_turn and work.unconfirmed > 1)
        reply: asyncio.Future[Any] = self.loop.create_future()
        reply.add_done_callback(lambda reply: self._on_reply(settlement, reply))
        self.link.post(
            settlement.states
            + command(
                work.id,
                settlement.rows,
                settlement.reply,
                whole=settlement.whole,
                last=settlement.last,
                receipt=work.receipt,
                by_name=settlement.by_name,
                mark=settlement.mark,
                deferred=settlement.deferred,
                keep=work.has_deferred,
            ),
            2 if settlement.states else 1,
            reply,
        )

    def _on_reply(self, settlement: _Settlement, reply: "asyncio.Future[Any]") -> None:
        if reply.cancelled():
            return
        problem = reply.exception() or (reply.result() if isinstance(reply.result(), Exception) else None)
        if problem is None and reply.result() in told.MARKS:
            settlement.go_by(reply.result())
            self._post(settlement, out_of_turn=True)
        elif problem is None and reply.result():
            self._on_confirmed(settlement)
        elif problem is None:  # part of it was settled before
            settlement.whole = False
            self._post(settlement, out_of_turn=True)
        elif "NOSCRIPT" in str(problem):
            settlement.by_name = False
            self._post(settlement, out_of_turn=True)
        else:
            # Nothing of it was applied, or all of it and the answer got lost: made again, it does no harm.
            if self.loop.time() >= self._warn_at:
                self._warn_at = self.loop.time() + WARNING_INTERVAL
                logger.warning("results could not be handed to Valkey, trying again: %s", problem)
            settlement.work.lost += 1
            self.loop.call_later(settlement.pause, self._post_again, settlement)
            settlement.pause = min(settlement.pause * 2, PAUSE_MAX)

    def _post_again(self, settlement: _Settlement) -> None:
        settlement.work.lost -= 1
        settlement.by_name = True
        self._post(settlement)

    def _on_confirmed(self, settlement: _Settlement) -> None:
        work = settlement.work
        work.unconfirmed -= 1
        if settlement.last:
            work.is_acknowledged = True
            if work.receipt is not None:
                work.receipt.removed = True
        if work.is_acknowledged:  # and finished when an earlier one that was refused is made, too
            if not work.unconfirmed and not work.finished.done():
                work.finished.set_result(None)
            return
        work.confirmed += [index for index, _ in settlement.rows]
        if work.all_posted() and not work.unconfirmed:
            # The last one went out while an earlier one was lost, and that is confirmed now: nothing is left to settle.
            work.unconfirmed += 1
            self._post(_Settlement(work, [], b"", whole=False))
