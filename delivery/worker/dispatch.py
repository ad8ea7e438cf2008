"""Batch consumer: decrypts a batch of the queue, begins its pushes (batch_sender.py), waits until all are settled.

The pushes of several customers are begun in turn (delivery/queue/fair_turns.py), whichever batches they came in, and
whoever crowds the others out has to wait outside (crowding.py). One Dispatcher per worker process. Invariant: a batch
is given up (acknowledged) only after all of it is settled.
"""

import asyncio
import base64
import gc
import logging
from typing import Final

import msgspec
from django.conf import settings

from delivery.metrics import exporting
from delivery.protocol import policy
from delivery.queue import batch, directory_stamp, shared_clock, valkey
from delivery.queue.fair_turns import FREE_WEIGHT, WEIGHT, FairTurns
from delivery.queue.receipt import Receipt
from delivery.worker import crowding, places
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.batch_sender import BatchSender
from delivery.worker.credential_reports import Reporter
from delivery.worker.crowding import Crowding
from delivery.worker.due_delivery import DueDelivery
from tenants import vault
from tenants.directory.live import DIRECTORY
from tenants.supervision import supervise

logger = logging.getLogger(__name__)

# Pushes that are begun in one turn of the loop where customers share it: about three milliseconds' work.
TURN: Final = 32


class UnreadableBatch(Exception):
    """A batch that no key opens: it was altered, and will never be read."""


class Dispatcher(BatchSender):
    """See the module. Made by here(); serve() beside the batches, which wait until it has started."""

    def __init__(self) -> None:
        super().__init__(places.WORKER)
        self.cipher = vault.queue_cipher("queue")
        self.turns: FairTurns[tuple[BatchProgress, int]] = FairTurns(self._begin_waiting, TURN)
        self.started = False

    async def serve(self) -> None:
        """Start, then stay until cancelled; for supervise(), which starts it again when it could not."""
        self.start()
        await asyncio.Event().wait()

    def start(self) -> None:
        """Connect, begin to follow the directory, open the engine; on the running loop. May be called again."""
        if self.started:
            return
        link = valkey.shared(settings.REDIS_URL)
        self.open(link, Reporter(asyncio.get_running_loop()))
        self.due = DueDelivery(self)
        self._crowding = Crowding(self.places, self._batches, self.deliverer.routes.known, self.loop.time)
        self._tasks += [
            supervise("the directory's follower", lambda: DIRECTORY.follow(directory_stamp.reader(link))),
            supervise("the export of metrics", exporting.export, essential=False),
            supervise("the comparison of clocks", lambda: shared_clock.follow(link), essential=False),
            supervise("the delivery of what is due", self.due.run),
        ]
        # A push makes no cycles; collecting less often halves the worst waits (BENCHMARKS.md).
        gc.collect()
        gc.set_threshold(20_000, 50, 100)
        self.started = True

    def leave(self) -> None:
        """Begin nothing that nobody waits for: the process is about to stop."""
        if self.started:
            self.due.leave()
        super().leave()

    async def close(self) -> None:
        """Stop what runs beside the batches."""
        if self.started:
            await self.close_sending()
            self.link.close()

    async def run(self, batch_id: str, sealed: str, again: bool, receipt: Receipt | None = None) -> None:
        """Deliver one batch; returns when all of it is settled.

        again: it may have been begun before; receipt: of its message, which is acknowledged by the settlement then.
        Raises VaultError when it cannot be opened as long as a key is missing, UnreadableBatch when it never can.
        """
        while not (self.started and DIRECTORY.ready):  # the first seconds of a worker whose stores are away
            await asyncio.sleep(0.1)
        payload, done = await self._fetch(batch_id, sealed, again)
        if payload is None:
            if not again:
                logger.error("the pushes of a batch are gone from Valkey", extra={"batch": batch_id})
            return  # settled before: its payload went with it
        items, finished = self._opened(batch_id, payload), self.loop.create_future()
        work = BatchProgress(batch_id, items, finished, receipt, size=len(payload))
        self.begin(work, done)
        await work.finished

    def _begin_one(self, work: BatchProgress, index: int, item: batch.Item, now: float, clock: float) -> None:
        if self.turns.take_now(item.customer, clock):
            self._begin_or_put_off(work, index, item, now, clock)
            return
        weight = FREE_WEIGHT if DIRECTORY.is_trial(item.customer) else WEIGHT
        work.waiting += 1
        self.turns.put(item.customer, (work, index), item.size, weight=weight, urgent=policy.is_urgent(item.push))

    def _begin_waiting(self, whose_turn: tuple[BatchProgress, int]) -> None:
        work, index = whose_turn
        work.waiting -= 1
        work.started_at = clock = self.loop.time()
        self.deliverer.routes.refresh()
        self._begin_or_put_off(work, index, work.items[index], shared_clock.now(), clock)

    def _begin_or_put_off(self, work: BatchProgress, index: int, item: batch.Item, now: float, clock: float) -> None:
        if (
            self.places.are_few()
            and self._crowding.is_crowding(item)
            and self.deliverer.retries.put_off(work, index, crowding.PAUSE)
        ):
            return
        super()._begin_one(work, index, item, now, clock)

    def _opened(self, batch_id: str, payload: bytes) -> list[batch.Item]:
        try:
            return batch.decode_items(self.cipher.open_bytes(payload, batch_id.encode()))
        except vault.AlteredError as error:
            raise UnreadableBatch(str(error)) from None
        except (vault.VaultError, msgspec.DecodeError) as error:
            logger.critical("a batch of the queue cannot be opened and stays in it until it can: %s", error)
            raise vault.VaultError(str(error)) from error

    async def _fetch(self, batch_id: str, sealed: str, again: bool) -> tuple[bytes | None, bytes | None]:
        if sealed and not again:
            return base64.b64decode(sealed), None
        while True:
            try:
                found = await self.link.execute("MGET", batch.payload_key(batch_id), batch.progress_key(batch_id))
            except ConnectionError:
                await asyncio.sleep(0.1)
                continue
            if isinstance(found, Exception):
                logger.error("Valkey does not give a batch, asking again: %s", found)
                await asyncio.sleep(1)
                continue
            payload, done = found
            if done is not None and done[:1] == b"*":
                return None, None
            return (base64.b64decode(sealed) if sealed else payload), done


_here: Dispatcher | None = None


def here() -> Dispatcher:
    """This process's dispatcher."""
    global _here  # noqa: PLW0603  one per process, like its loop
    if _here is None:
        _here = Dispatcher()
    return _here
