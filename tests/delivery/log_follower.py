"""A web process's side of the log of pushes, for the tests of it: it publishes batches of names."""

import asyncio
from typing import Any

from delivery.ingest.pending import PendingBatch, PendingPush
from delivery.ingest.queue_memory import QueueMemory
from delivery.ingest.seen_log import Note, SeenLog
from delivery.protocol.wire import Push
from delivery.queue import seen, valkey
from tests.delivery.web_process import ACME

KEY = b"k" * 32
LIST = "taken:somebody"


def name(number: int) -> bytes:
    """The digest of one push."""
    return seen.digest(1, 2, Push(device_id="d", ack_id=f"a{number}", type="message"), KEY)


class Process:
    """One web process: what it knows of the log, and the batches that it publishes."""

    def __init__(self, link: valkey.Link, letter: str) -> None:
        self.link, self.letter, self.number = link, letter, 0
        self.log = SeenLog(link, QueueMemory(link))
        self.replies: list[Any] = []

    def batch(self, *digests: bytes) -> PendingBatch:
        """A batch of pushes with these names."""
        self.number += 1
        pushes = []
        for digest in digests:
            push = PendingPush(ACME, Push(), "t", 0.0, 1, self.link._loop.create_future())  # type: ignore[union-attr]
            push.digest = digest
            pushes.append(push)
        return PendingBatch(self.number, f"{self.letter}:{self.number}", pushes, b"", 0.0)

    def post(self, *digests: bytes, first: bool = False) -> "asyncio.Future[list[seen.Repeat]]":
        """Publish a batch; the future gives which of its pushes came before."""
        pending = self.batch(*digests)
        message = f'{{"redelivered":false}} {pending.id}'
        self.link.post(valkey.pack(("LPUSH", LIST, message)), 1)
        command, note = self.log.note(pending, LIST, in_queue=True, surely_first=first)
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[seen.Repeat]] = loop.create_future()
        if note is None:
            found.set_result([])
            return found
        reply: asyncio.Future[Any] = loop.create_future()
        reply.add_done_callback(lambda reply: self._on_reply(note, pending, reply, found))
        self.link.post(command, 1, reply)
        return found

    def _on_reply(
        self,
        note: Note,
        pending: PendingBatch,
        reply: "asyncio.Future[Any]",
        found: "asyncio.Future[list[seen.Repeat]]",
    ) -> None:
        self.replies.append(reply.result())
        found.set_result(self.log.noted(note, pending, reply.result()))

    async def send(self, *digests: bytes) -> list[tuple[int, int]]:
        """Publish a batch; returns the places and states of its pushes that came before."""
        return [(repeat.place, repeat.state) for repeat in await self.post(*digests)]

    def end(self, digest: bytes, state: int) -> None:
        """Say how a push ended."""
        self.link.post(seen.marking([(digest, state)]), 1)

    async def knows(self, digest: bytes) -> int:
        """The state of a push by now, -1 for one that is not known."""
        await self.log.refresh()
        found = self.log.find(digest)
        return -1 if found is None else found.state
