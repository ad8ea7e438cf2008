"""What waits in a web process: one push for its answer, and the batch that it travels in. Pure data."""

import asyncio

from delivery.ingest.limits import Pair
from delivery.protocol import wire
from tenants.directory.snapshot import Identity


class Pending:
    """One push on its way: who sent it, the push, and the future of the answer's body."""

    __slots__ = ("answer", "at", "pair", "push", "size", "trace", "who")

    def __init__(
        self, who: Identity, push: wire.Push, trace: str, at: float, size: int, answer: "asyncio.Future[bytes]"
    ):
        self.who, self.push, self.trace, self.at, self.size, self.answer = who, push, trace, at, size, answer
        self.pair: Pair | None = None


class Sent:
    """A batch on its way to the queue or beyond."""

    __slots__ = ("arrived", "commands", "count", "id", "left", "number", "pending", "since", "until")

    def __init__(self, number: int, batch_id: str, pending: list[Pending], since: float, until: float):
        self.number, self.id, self.pending, self.since, self.until = number, batch_id, pending, since, until
        self.arrived = False
        self.commands = b""
        self.count = 0
        self.left = len(pending)
