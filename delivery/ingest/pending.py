"""What is in flight in a web process: a push that waits for its answer, and the batch that it travels in. Pure data."""

import asyncio

from delivery.ingest.limits import Allowance
from delivery.protocol import wire
from tenants.directory.snapshot import Identity


class PendingPush:
    """One push on its way: who sent it, the push, and the future of the answer's body."""

    __slots__ = ("allowance", "answer", "at", "push", "size", "trace", "who")

    def __init__(
        self, who: Identity, push: wire.Push, trace: str, at: float, size: int, answer: "asyncio.Future[bytes]"
    ):
        self.who, self.push, self.trace, self.at, self.size, self.answer = who, push, trace, at, size, answer
        self.allowance: Allowance | None = None


class PendingBatch:
    """A batch that is being published, or has been and has pushes that wait for their answer.

    `posted_at` and `deadline` are times of the loop; `commands` are kept until Valkey has confirmed them.
    """

    __slots__ = (
        "command_count",
        "commands",
        "deadline",
        "id",
        "number",
        "posted_at",
        "published",
        "pushes",
        "unanswered",
    )

    def __init__(self, number: int, batch_id: str, pushes: list[PendingPush], posted_at: float, deadline: float):
        self.number, self.id, self.pushes, self.posted_at, self.deadline = number, batch_id, pushes, posted_at, deadline
        self.published = False
        self.commands = b""
        self.command_count = 0
        self.unanswered = len(pushes)
