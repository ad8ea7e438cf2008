"""Marks batches whose pushes were answered at their deadline, so that the rows of the log say what servers were told.

See delivery/queue/told.py. Invariants: what cannot be marked now, because Valkey is away, is marked when it is back;
what waits for that is bounded, and what is left out is counted and said.
"""

import asyncio
import logging
from collections import deque
from typing import Any, Final, NamedTuple

from delivery.ingest.pending import PendingBatch, PendingPush
from delivery.log import told as log_told
from delivery.outcomes.verdict import Answer
from delivery.queue import told, valkey
from delivery.worker.settlement import settled_before

logger = logging.getLogger(__name__)

# Pushes of batches that wait to be marked; of each no more is kept than where its row stands.
PUSHES_MOST: Final = 100_000
PAUSE: Final = 1.0


class _Late(NamedTuple):
    """A batch to be marked; `told`: of its pushes by their indexes, trace, acceptance and what the server was told."""

    batch_id: str
    mark: bytes
    told: dict[int, tuple[str, float, Answer]]


class LateMarks:
    """The marks of one web process; flush() when Valkey is back."""

    def __init__(self, link: valkey.Link) -> None:
        self._link = link
        self._waiting: deque[_Late] = deque()
        self._pushes = self._left_out = 0
        self._retry: asyncio.TimerHandle | None = None

    def add(self, pending: PendingBatch) -> None:
        """Mark a batch of which some pushes were answered at the deadline."""
        late = _Late(pending.id, pending.mark, {index: _told(push, pending.mark) for index, push in pending.told})
        if self._pushes + len(late.told) > PUSHES_MOST:
            self._left_out += len(late.told)
            return
        self._pushes += len(late.told)
        self._waiting.append(late)
        self.flush()

    def flush(self) -> None:
        """Write the marks that wait; what Valkey does not take is tried again."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if not self._link.up:
            return  # it is called again when it is
        if self._left_out:
            logger.error("of %d late pushes the log may not say what their servers were told", self._left_out)
            self._left_out = 0
        waiting, self._waiting = self._waiting, deque()
        for late in waiting:
            self._post(late)

    def _post(self, late: _Late) -> None:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        reply.add_done_callback(lambda reply: self._on_reply(late, reply))
        self._link.post(told.marking(late.batch_id, late.mark), 1, reply)

    def _on_reply(self, late: _Late, reply: "asyncio.Future[Any]") -> None:
        if reply.cancelled():
            return
        if reply.exception() is not None or isinstance(reply.result(), Exception):
            self._waiting.append(late)  # it may be marked, which does no harm
            if self._retry is None:
                self._retry = asyncio.get_running_loop().call_later(PAUSE, self.flush)
            return
        self._pushes -= len(late.told)
        settled = [each for index, each in late.told.items() if settled_before(reply.result(), index)]
        if not settled:
            return
        entries = [log_told.entry(trace, at, answer.name) for trace, at, answer in settled]
        push = valkey.pack(("RPUSH", log_told.TOLD, *entries))
        self._link.post(push + valkey.pack(("LTRIM", log_told.TOLD, str(-log_told.ENTRIES_MOST), "-1")), 2)


def _told(push: PendingPush, mark: bytes) -> tuple[str, float, Answer]:
    return push.trace, push.at, told.answer(push.push, mark)
