"""Atomic settlement of ended pushes: the row for the log, the answer for the waiting server, the batch's progress.

A script in Valkey does all of it atomically and once per push, whoever calls it and however often: a worker that was
taken for dead and the one that took its batch over may both settle it, and a settlement whose answer got lost is
simply made again. Invariant: a push has its row and its answer, or neither.

Keys: done:BATCH lapses KEPT seconds after the last push of the batch was settled, BEGUN seconds after any other. Its
first byte is "*" when the whole batch was settled at once; else bit 8 + i tells that push i is settled.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Any

from delivery.log.rows import NO_KEY, ROWS, fingerprint, row
from delivery.metrics import counting
from delivery.outcomes.verdict import Attempt, Verdict
from delivery.queue import batch, shared_clock, valkey
from delivery.worker.routes import Route

logger = logging.getLogger(__name__)

# Seconds that progress is remembered: far longer than it takes to notice that a worker died.
KEPT = 300
# The same while pushes of the batch are left: as long as its payload may wait for a worker, or those that were settled
# before an outage would be sent again after it.
BEGUN = 8 * 24 * 3600
# Seconds after which answers that no process fetches go away.
UNFETCHED = 60
# Seconds before a settlement that may not have been applied is made again.
PAUSE = 0.2

# It frees more than it takes, so it must work when memory is full (allow-oom): else nothing would ever drain.
SCRIPT = f"""#!lua flags=allow-oom
local done, rows, reply, payload = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if ARGV[1] == 'all' then
  if not redis.call('SET', done, '*', 'NX', 'EX', {KEPT}) then return 0 end
  redis.call('RPUSH', rows, ARGV[4])
else
  local before = redis.call('GET', done)
  if before and string.sub(before, 1, 1) == '*' then return 1 end
  for i = 4, #ARGV, 2 do
    if redis.call('SETBIT', done, 8 + ARGV[i], 1) == 0 then redis.call('RPUSH', rows, ARGV[i + 1]) end
  end
  redis.call('EXPIRE', done, ARGV[2] == 'last' and {KEPT} or {BEGUN})
end
redis.call('RPUSH', reply, ARGV[3])
redis.call('EXPIRE', reply, {UNFETCHED})
if ARGV[2] == 'last' then redis.call('DEL', payload) end
return 1
"""
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


def command(
    batch_id: str, rows: Sequence[tuple[int, bytes]], reply: bytes, *, whole: bool, last: bool, by_name: bool = True
) -> bytes:
    """The packed command that settles `rows` (index, line of the log) of a batch with the results in `reply`.

    whole: these are all pushes of the batch, and nothing of it has been settled before; the answer 0 says that
    something had, and the caller repeats with whole=False. last: nothing of the batch is left, its payload goes.
    by_name: refer to the script by its hash; the answer NOSCRIPT means that it has to be sent in full once.
    """
    ingest = batch_id.partition(":")[0]
    keys = (batch.progress_key(batch_id), ROWS, batch.reply_key(ingest), batch.payload_key(batch_id))
    end = "last" if last else ""
    head = ("EVALSHA", SHA) if by_name else ("EVAL", SCRIPT)
    if whole:
        return valkey.pack((*head, "4", *keys, "all", end, reply, b"".join([row for _, row in rows])))
    pairs = [part for index, row in rows for part in (str(index), row)]
    return valkey.pack((*head, "4", *keys, "some", end, reply, *pairs))


def settled_before(done: bytes | None, index: int) -> bool:
    """Whether push `index` was settled, going by the value of done:BATCH (None: the key is not there)."""
    if not done:
        return False
    if done[:1] == b"*":
        return True
    bit = 8 + index
    return bit >> 3 < len(done) and bool(done[bit >> 3] & (128 >> (bit & 7)))


class BatchProgress:
    """The progress of one batch: its pushes, their attempts and routes, and which have ended."""

    __slots__ = (
        "attempts",
        "deadlines",
        "ended",
        "finished",
        "id",
        "items",
        "number",
        "partly_settled",
        "routes",
        "started_at",
        "timer",
        "unfinished",
    )

    def __init__(self, batch_id: str, items: list[batch.Item], finished: "asyncio.Future[None]") -> None:
        self.id = batch_id
        self.number = int(batch_id.rpartition(":")[2])
        self.items = items
        self.unfinished = len(items)
        self.finished = finished
        self.started_at = 0.0  # by the loop's clock
        self.partly_settled = False  # some of it was settled by another worker, or earlier by this one
        self.ended: list[tuple[int, Verdict, str]] = []
        # For each item, by its index: what was tried, on which route (None: it did not come to that), and until when.
        self.attempts: list[tuple[Attempt, ...]] = [()] * self.unfinished
        self.routes: list[Route | None] = [None] * self.unfinished
        self.deadlines = [0.0] * self.unfinished
        self.timer: asyncio.TimerHandle | None = None


class Settler:
    """Settles what has ended of a batch, and makes sure that it was applied."""

    def __init__(self, link: valkey.Link, loop: asyncio.AbstractEventLoop, hash_key: bytes) -> None:
        self.link, self.loop, self.hash_key = link, loop, hash_key

    def settle(self, work: BatchProgress) -> None:
        """Settle what has ended since the last call; `work.finished` is set when nothing of the batch is left."""
        work.timer = None
        ended, work.ended = work.ended, []
        if not ended:
            return
        whole = len(ended) == len(work.items) and not work.partly_settled
        work.partly_settled = True
        now = shared_clock.now()
        rows, short, texts = [], [], []
        for index, verdict, text in ended:
            item = work.items[index]
            rows.append((index, self._row(work, index, verdict, now)))
            counting.ended(item.push, verdict, now - item.at)
            if text:
                texts.append((work.number, index, text))
            else:
                short.append((work.number, index, int(verdict.answer)))
        self._post(work, rows, batch.pack_results(short, texts), whole, not work.unfinished, True)

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

    def _post(
        self, work: BatchProgress, rows: list[tuple[int, bytes]], reply: bytes, whole: bool, last: bool, by_name: bool
    ) -> None:
        answer: asyncio.Future[Any] = self.loop.create_future()

        def answered(future: "asyncio.Future[Any]") -> None:
            if future.cancelled():
                return
            trouble = future.exception() or (future.result() if isinstance(future.result(), Exception) else None)
            if trouble is None and future.result():
                if last and not work.finished.done():
                    work.finished.set_result(None)
            elif trouble is None:  # part of it was settled before
                self._post(work, rows, reply, False, last, by_name)
            elif "NOSCRIPT" in str(trouble):
                self._post(work, rows, reply, whole, last, False)
            else:
                # Nothing of it was applied, or all of it and the answer got lost: made again, it does no harm.
                logger.warning("results could not be handed to Valkey, trying again: %s", trouble)
                self.loop.call_later(PAUSE, self._post, work, rows, reply, whole, last, True)

        answer.add_done_callback(answered)
        self.link.post(command(work.id, rows, reply, whole=whole, last=last, by_name=by_name), 1, answer)
