"""What is in flight in a web process: a push that waits for its answer, and the batch that it travels in. Pure data."""

import asyncio
from typing import Final

from delivery.ingest.limits import Allowance
from delivery.protocol import wire
from delivery.queue import seen
from delivery.worker.batch_progress import BatchProgress
from tenants.directory.snapshot import Identity

# The position of a batch that is in flight and not in the queue: before those of all others.
NOWHERE: Final = 0


class PendingPush:
    """One push on its way: who sent it, the push, and the future of the answer's body.

    It counts as waiting, here and in its limits, as long as it has its `allowance`. `digest` names it (queue/seen.py).
    """

    __slots__ = ("allowance", "answer", "at", "digest", "push", "size", "trace", "who")

    def __init__(
        self, who: Identity, push: wire.Push, trace: str, at: float, size: int, answer: "asyncio.Future[bytes]"
    ):
        self.who, self.push, self.trace, self.at, self.size, self.answer = who, push, trace, at, size, answer
        self.allowance: Allowance | None = None
        self.digest = seen.NONE


class PendingBatch:
    """A batch that is being published, or has been and has pushes that wait for their answer.

    `position`: its place in the order in which batches are written to the queue: its number, a new one each time it is
    published again, and NOWHERE when the queue has refused it. `deadline` is a time of the loop. `pushes` has None in
    the place of one whose result has come. `sealed` are the pushes as they travel, kept while anybody waits: what the
    queue has lost is published again. `published`: the queue has it; `saved`: and will keep it, by a broker's own word
    (Valkey gives none: durability.py); `late`: its deadline has come; then `told` are those that were answered for it,
    with their indexes, and `mark` says how (delivery/queue/told.py). `own`: its progress, where this process sends it.
    """

    __slots__ = (
        "deadline",
        "id",
        "late",
        "mark",
        "number",
        "own",
        "position",
        "published",
        "pushes",
        "saved",
        "sealed",
        "told",
        "unanswered",
    )

    def __init__(self, number: int, batch_id: str, pushes: list[PendingPush], sealed: bytes, deadline: float):
        self.number, self.id, self.sealed, self.deadline = number, batch_id, sealed, deadline
        self.position = number
        self.pushes: list[PendingPush | None] = list(pushes)
        self.published = self.saved = self.late = False
        self.unanswered = len(pushes)
        self.own: BatchProgress | None = None
        self.told: tuple[tuple[int, PendingPush], ...] = ()
        self.mark = b""

    def answered(self) -> list[int]:
        """The indexes of the pushes whose results have come."""
        return [index for index, push in enumerate(self.pushes) if push is None]
