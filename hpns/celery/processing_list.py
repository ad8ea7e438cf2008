"""Processing lists of one worker: removal of what it has taken, repeated until the server has confirmed it.

A message is acknowledged, requeued, or put aside because nobody can read it; each is one idempotent command
(commands.py). Invariant: what the server has not confirmed stays in `unconfirmed` and is sent again, so that no lost
reply keeps a message in the list.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from delivery.queue import valkey
from hpns.celery import commands

logger = logging.getLogger(__name__)


class _Removal:
    __slots__ = ("command", "is_lost", "is_repeated", "is_requeue", "item")

    def __init__(self, item: bytes, command: bytes, *, is_requeue: bool = False, is_repeated: bool = False) -> None:
        self.item, self.command = item, command
        self.is_requeue, self.is_repeated, self.is_lost = is_requeue, is_repeated, False


class ProcessingLists:
    """See the module. `on_confirmed` is called, without arguments, whenever a removal is confirmed."""

    def __init__(
        self, worker: str, link: valkey.Link, loop: asyncio.AbstractEventLoop, on_confirmed: Callable[[], None]
    ) -> None:
        self._worker, self._link, self._loop, self._on_confirmed = worker, link, loop, on_confirmed
        # By the message as it stands in the list. Bounded by the consumer, which takes nothing while it is long.
        self.unconfirmed: dict[bytes, _Removal] = {}
        self._problem: BaseException | None = None  # the latest

    def key(self, queue: str) -> str:
        """The key of this worker's processing list for `queue`."""
        return commands.processing_list(self._worker, queue)

    def acknowledge(self, queue: str, item: bytes) -> None:
        """Remove a message that is done with."""
        self._post(_Removal(item, commands.acknowledgement(self.key(queue), item)))

    def requeue(self, queue: str, item: bytes) -> None:
        """Move a message to the end of its queue: what cannot be done now must not stand in the way of what can."""
        self._post(_Removal(item, commands.requeueing(self.key(queue), queue, item), is_requeue=True))

    def put_aside(self, queue: str, item: bytes) -> None:
        """Move a message that nobody can read, or that no task survives, out of the way."""
        self._post(_Removal(item, commands.putting_aside(self.key(queue), item)))

    def is_new(self, item: bytes) -> bool:
        """Whether a message that was just taken is to be delivered: not when it was acknowledged, or put aside, before.

        It can only have come out of its queue again if it had left our list: a requeueing that waits for its reply was
        made, and after any other removal others had requeued it, since our lease had expired.
        """
        removal = self.unconfirmed.pop(item, None)
        if removal is None or removal.is_requeue:
            return True
        self._post(_Removal(item, removal.command, is_repeated=True))
        return False

    def repeat_lost(self) -> None:
        """Send again what was sent and not confirmed; called when the server answers."""
        lost = [removal for removal in self.unconfirmed.values() if removal.is_lost]
        if lost:
            logger.warning("%d acknowledgements were not confirmed, sending them again: %s", len(lost), self._problem)
        for removal in lost:
            removal.is_lost, removal.is_repeated = False, True
            self._post(removal)

    def _post(self, removal: _Removal) -> None:
        self.unconfirmed[removal.item] = removal
        reply: asyncio.Future[Any] = self._loop.create_future()
        reply.add_done_callback(lambda reply: self._on_reply(removal, reply))
        self._link.post(removal.command, 1, reply)

    def _on_reply(self, removal: _Removal, reply: "asyncio.Future[Any]") -> None:
        if self.unconfirmed.get(removal.item) is not removal:
            return  # another one has taken its place
        problem = ConnectionError() if reply.cancelled() else reply.exception()
        if problem is None and isinstance(reply.result(), Exception):
            problem = reply.result()
        if problem is not None:
            removal.is_lost, self._problem = True, problem
            return
        del self.unconfirmed[removal.item]
        if not reply.result() and not removal.is_repeated:
            logger.warning("a message that was done with had been requeued: this worker's lease had expired")
        self._on_confirmed()
