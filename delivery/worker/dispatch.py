"""Batch consumer: decrypts a batch of the queue, begins its pushes (batch_sender.py), waits until all are settled.

One Dispatcher per worker process. Invariant: a batch is given up (acknowledged) only after all of it is settled.
"""

import asyncio
import base64
import gc
import logging

import msgspec
from django.conf import settings

from delivery.metrics import exporting
from delivery.queue import batch, directory_stamp, shared_clock, valkey
from delivery.queue.receipt import Receipt
from delivery.worker import places
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.batch_sender import BatchSender
from delivery.worker.credential_reports import Reporter
from delivery.worker.due_delivery import DueDelivery
from tenants import vault
from tenants.directory.live import DIRECTORY
from tenants.supervision import supervise

logger = logging.getLogger(__name__)


class UnreadableBatch(Exception):
    """A batch that no key opens: it was altered, and will never be read."""


class Dispatcher(BatchSender):
    """See the module. Made by here(); serve() beside the batches, which wait until it has started."""

    def __init__(self) -> None:
        super().__init__(places.WORKER)
        self.cipher = vault.queue_cipher("queue")
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
