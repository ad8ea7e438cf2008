"""Own delivery: a web process sends the batches that it has taken on itself, and workers are what makes that durable.

A batch is written to this process's own processing list, as the very message that a worker would have taken from the
queue, under a lease of this process; and its pushes are begun with Valkey's reply to that, which says which came
before. One script settles and acknowledges, as a worker's does, and each push is answered as soon as its verdict is
there. When the process dies, its lease lapses, and the workers take the list over as they take over a dead worker's. To
the queue goes what exceeds its places (delivery/worker/places.py), and everything while no lease is held. Invariants:
nothing is sent that is not on its way into the list; a push that was told OK without its provider's word stands in the
list, and in the file on the disk.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import Final, Protocol

from django.conf import settings

from delivery.devices.dead import DeadDevices
from delivery.ingest.pending import PendingBatch, PendingPush
from delivery.ingest.responses import Responses
from delivery.outcomes.verdict import Answer
from delivery.protocol import wire
from delivery.queue import batch, seen, told, valkey
from delivery.queue.receipt import Receipt
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.batch_sender import BatchSender
from delivery.worker.credential_reports import ForwardingReporter
from tenants.directory.live import DIRECTORY
from tenants.supervision import supervise

logger = logging.getLogger(__name__)

# Seconds for the workers to be handed what is unfinished when the process leaves.
GIVE_UP_TIMEOUT: Final = 2.0


class Lease(Protocol):
    """What hpns/celery/lease.py offers."""

    def is_valid(self) -> bool:
        """Whether the server surely counts this process as alive: else nobody would take its list over."""

    async def keep(self) -> None:
        """Renew it, until cancelled."""

    async def recover(self, connection: valkey.Connection, key: str, known: Collection[bytes]) -> None:
        """Renew it where it may be lost; requeue what the list `key` has and is not `known`. Raises ConnectionError."""

    async def give_up(self) -> None:
        """Give it up, which requeues what is unfinished. Raises ConnectionError."""


class OwnDelivery:
    """See the module. One per web process, on its loop; start() before the first batch."""

    def __init__(self, link: valkey.Link, lease: Lease, key: str) -> None:
        """link: by which batches are published; key: of the processing list that goes with the lease."""
        self.key = key
        self._link, self._lease = link, lease
        self._sender = BatchSender()
        self._keeping: asyncio.Task[None] | None = None

    def start(self, responses: Responses, dead: DeadDevices) -> None:
        """Begin to hold the lease, and make what sends; on the running loop."""
        self._responses = responses
        self._sender.open(self._link, ForwardingReporter(asyncio.get_running_loop(), self._link), dead)
        self._keeping = supervise("the lease of this web process", self._lease.keep, essential=False)

    def has_room(self, held: int = 0) -> bool:
        """Whether one more batch may be taken; `held`: the bytes of memory (places.cost) that are to come."""
        return self._sender.places.has_room(held) and self._lease.is_valid() and DIRECTORY.ready

    def settle_along(self) -> None:
        """Settle what has ended: something else is written to Valkey in this turn of the loop."""
        self._sender.settler.settle_along()

    def deliver(self, pending: PendingBatch, message: bytes, repeated: Collection[int] = ()) -> None:
        """Begin to send a batch whose message was written to the list; its pushes are answered as they end.

        repeated: the indexes of those that came before, and are not sent.
        """
        finished = self._sender.loop.create_future()
        receipt, resolve = Receipt(self.key, message), self._responses.resolve

        def answer(index: int, given: Answer, text: str) -> None:
            push = pending.pushes[index]
            if pending.late and push is not None:
                work.told[index] = told.answer(push.push, pending.mark)
            if given is Answer.FAIL:
                body = wire.fail_body(text)
            else:
                body = wire.REMOVE_BODY if given is Answer.REMOVE else wire.OK_BODY
            try:
                resolve(pending, index, body)
            except Exception:  # a fault of ours, which must leave nobody without an answer, and no push without its row
                logger.exception("a push could not be answered", extra={"trace": work.items[index].trace})
                if push is not None and not push.answer.done():
                    push.answer.set_result(body)

        pending.own = work = BatchProgress(pending.id, _items(pending), finished, receipt, answer, len(pending.sealed))
        finished.add_done_callback(lambda _: _part(work))
        work.confirmed += repeated
        self._sender.begin(work, seen.progress(repeated) if repeated else None)

    async def on_reconnected(self, connection: valkey.Connection) -> None:
        """Have Valkey know the lease, and requeue what has ended here and is in the list all the same.

        A machine that lost its power may have kept a batch and lost its settlement, which nobody would make again.
        Raises ConnectionError.
        """
        await self._lease.recover(connection, self.key, self._sender.messages())

    def defer_again(self, pending: PendingBatch) -> None:
        """Move to the due list once more what Valkey has lost of a batch that is being sent here."""
        if pending.own is not None:
            self._sender.defer_again(pending.own)

    async def close(self) -> None:
        """Finish what is under way; what is unfinished then is the workers', at once."""
        if self._keeping is None:
            return
        self._sender.leave()
        try:
            async with asyncio.timeout(settings.ATTEMPT_DEADLINE):
                await self._sender.wait_until_idle()
        except TimeoutError:
            logger.warning("%d batches are not finished and go to the workers", self._sender.batches)
        self._keeping.cancel()
        try:
            async with asyncio.timeout(GIVE_UP_TIMEOUT):
                await self._lease.give_up()
        except (ConnectionError, TimeoutError) as error:
            logger.warning("could not hand over unfinished batches, the workers will see to them: %s", error)
        if not self._sender.batches:  # else the ends of what is cut off would be taken for the pushes' own
            await self._sender.close_sending()


def _part(work: BatchProgress) -> None:
    # Each holds the other, and would stay until the garbage collector comes, which is made to come seldom.
    work.answer = _answered


def _answered(_index: int, _answer: Answer, _text: str) -> None:
    """The end of a push of which all has been told."""


def _items(pending: PendingBatch) -> list[batch.Item]:
    return [_item(push) for push in pending.pushes if push is not None]


def _item(push: PendingPush) -> batch.Item:
    who = push.who
    # The moment as it stands in the message.
    at = round(push.at, 3)
    return batch.Item(push.trace, at, who.customer_id, who.server_id, who.key_id, push.size, push.push)
