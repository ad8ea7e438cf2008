"""Settlement of pushes of the due list: each ends with its row, or gets its next time, once and for certain.

What Valkey has not confirmed is sent again: both commands may be repeated. Invariant: a push is let go only when Valkey
has confirmed what became of it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings

from delivery.log.rows import KEPT, ROWS, with_answer, with_count, with_trace
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.outcomes.verdict import Answer, Outcome, Verdict
from delivery.protocol import schedule
from delivery.providers import table
from delivery.queue import batch, dead_letters, due_list, seen, shared_clock, told, valkey
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.due_item import DueItem, bounded, seal
from tenants import vault
from tenants.directory.live import DIRECTORY
from tenants.providers.table import family_of

logger = logging.getLogger(__name__)

# Seconds before what may not have been applied is sent again, doubled each time.
PAUSE: Final = 0.2
PAUSE_MOST: Final = 2.0
# Seconds beyond the deadline of a push for which its result is left for the web process: its clock may be behind.
LATE: Final = 1.0
RowMaker = Callable[[BatchProgress, int, Verdict, float], bytes]


class DueSettler:
    """Settles the batches of one push that come out of the due list, in one process, on its loop."""

    def __init__(self, link: valkey.Link, loop: asyncio.AbstractEventLoop, row: RowMaker, hash_key: bytes) -> None:
        """row: makes the row of a push; hash_key: by which pushes are known that come again."""
        self._link, self._loop, self._row, self._hash_key = link, loop, row, hash_key
        self._cipher: vault.QueueCipher | None = None

    @property
    def cipher(self) -> vault.QueueCipher:
        """What items are sealed with; made when it is needed for the first time."""
        if self._cipher is None:
            self._cipher = vault.queue_cipher("queue")
        return self._cipher

    def sealed(self, due: DueItem) -> bytes:
        """An item as it stands in the list."""
        return seal(self.cipher, due)

    def settle(self, work: BatchProgress) -> None:
        """Settle what has become of the push; `work.finished` is set when that is confirmed."""
        now = shared_clock.now()
        if work.deferred:
            [(_, due_ms)], work.deferred = work.deferred, []
            self._postpone(work, due_ms)
        elif work.ended:
            [(_, verdict, text)], work.ended = work.ended, []
            item = work.items[0]
            if item.customer not in DIRECTORY.canaries:
                counting.ended(item.push, verdict, now - item.at, item.key != 0)
            before = []
            is_replay = dead_letters.is_replay(_claim(work).id)
            if (verdict.answer is not Answer.OK or is_replay) and item.push.ack_id:
                name = seen.digest(item.customer, item.server, item.push, self._hash_key)
                before.append(seen.marking([(name, seen.state_of(verdict))]))
            if is_replay:  # its push was counted when it ended
                verdict = judge.late_by_others(verdict)
                row = with_count(with_trace(self._row(work, 0, verdict, now), dead_letters.replay_trace(item.trace)), 0)
            else:
                row = self._row(work, 0, verdict, now)
                before += self._letter(work, verdict, now)
            self._end(work, row, self._result(work, verdict, text, now - item.at), before)

    def _letter(self, work: BatchProgress, verdict: Verdict, now: float) -> list[bytes]:
        """The command that keeps a push that has failed, where sending it once more may help and harms nobody."""
        item = work.items[0]
        until = min(item.at + schedule.of(item.push).lifetime, now + dead_letters.KEPT)
        if verdict.answer is not Answer.FAIL or until - now < dead_letters.LEAST or item.customer in DIRECTORY.canaries:
            return []
        family = family_of(item.push.platform)
        if verdict.outcome is Outcome.UNKNOWN and not (family and table.PROVIDERS[family].replaces(item.push)):
            return []  # it may have been shown
        outcome, attempts, claim = verdict.outcome.value, work.attempts[0], _claim(work)
        letter = dead_letters.Letter(
            *(item.trace, item.customer, item.server, item.push.type[:KEPT], item.at, now),
            *(outcome, verdict.code, len(attempts), until),
        )
        due = DueItem(item, bounded(attempts), claim.batch_id, claim.place, claim.mark)
        return [dead_letters.keeping(letter, self.sealed(due))]

    def _result(self, work: BatchProgress, verdict: Verdict, text: str, age: float) -> bytes:
        """What is left for the web process, as long as a server may wait there."""
        if age > settings.PUSH_DEADLINE + LATE:
            return b""
        claim = _claim(work)
        number = int(claim.batch_id.rpartition(":")[2])
        short = [] if text else [(number, claim.place, int(verdict.answer))]
        return batch.pack_results(short, [(number, claim.place, text)] if text else [])

    def _postpone(self, work: BatchProgress, due_ms: int) -> None:
        claim = _claim(work)
        due = DueItem(work.items[0], bounded(work.attempts[0]), claim.batch_id, claim.place, claim.mark)
        command = due_list.postponing(claim, due_ms, self.sealed(due))
        self._post(work, command, lambda: self._postpone(work, due_ms))

    def _end(self, work: BatchProgress, line: bytes, result: bytes, before: list[bytes]) -> None:
        claim = _claim(work)
        if claim.mark:  # the server was told something at its deadline, and the row has to say what
            line = with_answer(line, told.answer(work.items[0].push, claim.mark))
        command = b"".join(before) + due_list.ending(claim, ROWS, line, result)
        self._post(work, command, lambda: self._end(work, line, result, before), count=1 + len(before))

    def _post(
        self, work: BatchProgress, command: bytes, again: Callable[[], None], *, count: int = 1, pause: float = PAUSE
    ) -> None:
        """Send commands until the last is confirmed; again: makes them anew, for the mark that the batch turned out to
        have."""

        def repeat() -> None:
            self._post(work, command, again, count=count, pause=min(pause * 2, PAUSE_MOST))

        def on_reply(reply: "asyncio.Future[Any]") -> None:
            if reply.cancelled():
                return
            problem = reply.exception() or (reply.result() if isinstance(reply.result(), Exception) else None)
            if problem is not None:
                logger.warning("what became of a push could not be handed to Valkey, trying again: %s", problem)
                self._loop.call_later(pause, repeat)
            elif reply.result() in told.MARKS:
                work.claim = _claim(work)._replace(mark=reply.result())
                again()
            elif not work.finished.done():
                work.finished.set_result(None)

        reply: asyncio.Future[Any] = self._loop.create_future()
        reply.add_done_callback(on_reply)
        self._link.post(command, count, reply)


def _claim(work: BatchProgress) -> due_list.Claim:
    assert work.claim is not None  # noqa: S101  it is what brings a batch here
    return work.claim
