"""Batch consumer: decrypts a batch of the queue, begins each of its pushes (attempts.py), waits until all are settled.

One Dispatcher per worker process. Invariant: a batch is given up (acknowledged) only after all of it is settled.
"""

import asyncio
import base64
import gc
import logging
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import msgspec
from django.conf import settings

from delivery.http2.engine import Engine
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.queue import batch, shared_clock, valkey
from delivery.queue.receipt import Receipt
from delivery.worker import settlement
from delivery.worker.attempts import Deliverer
from delivery.worker.credential_reports import Reporter
from delivery.worker.settlement import BatchProgress, Settler
from tenants import vault
from tenants.directory.live import DIRECTORY
from tenants.supervision import supervise

logger = logging.getLogger(__name__)

# Seconds beyond the deadline of its attempts after which a push counts as forgotten.
OVERDUE: Final = 10.0


class UnreadableBatch(Exception):
    """A batch that no key opens: it was altered, and will never be read."""


class Dispatcher:
    """See the module. Made by here(); serve() beside the batches, which wait until it has started."""

    def __init__(self) -> None:
        self.cipher = vault.queue_cipher("queue")
        self.in_flight = 0
        self._started = False
        self._batches: set[BatchProgress] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(self) -> None:
        """Start, then stay until cancelled; for supervise(), which starts it again when it could not."""
        self.start()
        await asyncio.Event().wait()

    def start(self) -> None:
        """Connect, begin to follow the directory, open the engine; on the running loop. May be called again."""
        if self._started:
            return
        loop = asyncio.get_running_loop()
        # What can fail comes first: nothing runs yet that would have to be stopped.
        engine = Engine(loop, settings.PROVIDER_CA_FILE, settings.HTTPS_PROXY, settings.NO_PROXY)
        engine.clock.second_opinion = shared_clock.at_valkey
        self.loop, self.engine = loop, engine
        self.link = valkey.shared(settings.REDIS_URL)
        self.reporter = Reporter(loop)
        self.settler = Settler(self.link, loop, settings.HASH_KEY)
        self.deliverer = Deliverer(loop, engine, self.reporter, self.settler)
        self._tasks = [
            supervise("the directory's follower", DIRECTORY.follow),
            supervise("the export of metrics", counting.export, essential=False),
            supervise("the reports of credentials", self.reporter.run, essential=False),
            supervise("the deadlines of batches", self._enforce_deadlines),
            supervise("the comparison of clocks", lambda: shared_clock.follow(self.link), essential=False),
        ]
        counting.register_gauges(self._gauges)
        # A push makes no cycles; collecting less often halves the worst waits (BENCHMARKS.md).
        gc.collect()
        gc.set_threshold(20_000, 50, 100)
        self._started = True

    def _gauges(self) -> Iterator[counting.Gauge]:
        yield "hpns_pushes_in_flight", ("worker",), self.in_flight
        for state in self.engine.channel_states():
            host = urlsplit(state.origin).hostname or ""
            yield "hpns_provider_connections", (host,), state.connections
            yield "hpns_provider_requests", (host,), state.in_flight

    async def close(self) -> None:
        """Stop what runs beside the batches."""
        if not self._started:
            return
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)  # meters.keep() writes down its last second
        await self.engine.close()
        self.link.close()

    async def run(self, batch_id: str, sealed: str, again: bool, receipt: Receipt | None = None) -> None:
        """Deliver one batch; returns when all of it is settled.

        again: it may have been begun before; receipt: of its message, which is acknowledged by the settlement then.
        Raises VaultError when it cannot be opened as long as a key is missing, UnreadableBatch when it never can.
        """
        while not (self._started and DIRECTORY.ready):  # the first seconds of a worker whose stores are away
            await asyncio.sleep(0.1)
        payload, done = await self._fetch(batch_id, sealed, again)
        if payload is None:
            if not again:
                logger.error("the pushes of a batch are gone from Valkey", extra={"batch": batch_id})
            return  # settled before: its payload went with it
        work = BatchProgress(batch_id, self._opened(batch_id, payload), self.loop.create_future(), receipt)
        self.in_flight += len(work.items)
        self._batches.add(work)
        try:
            await self._deliver(work, done)
        finally:
            self._batches.discard(work)
            self.in_flight -= len(work.items)

    def _opened(self, batch_id: str, payload: bytes) -> list[batch.Item]:
        try:
            return batch.decode_items(self.cipher.open_bytes(payload, batch_id.encode()))
        except vault.AlteredError as error:
            raise UnreadableBatch(str(error)) from None
        except (vault.VaultError, msgspec.DecodeError) as error:
            logger.critical("a batch of the queue cannot be opened and stays in it until it can: %s", error)
            raise vault.VaultError(str(error)) from error

    async def _deliver(self, work: BatchProgress, done: bytes | None) -> None:
        items = work.items
        counting.batch(len(items))
        now, clock = shared_clock.now(), self.loop.time()
        work.started_at = clock
        self.deliverer.routes.refresh()  # what follows waits for nothing, so they stay as they are
        begin = self.deliverer.begin
        for index, item in enumerate(items):
            if done is not None and settlement.settled_before(done, index):
                work.open.discard(index)
                work.partly_settled = True
                continue
            try:
                begin(work, index, item, now, clock)
            except Exception:
                logger.exception("a push could not be begun", extra={"trace": item.trace})
                self.deliverer.end(work, index, judge.refusal("internal_error"))
        if work.open or work.ended:
            await work.finished

    async def _enforce_deadlines(self) -> None:
        """End what should have ended long ago: a fault of ours must not hold a batch, and its place, for ever."""
        while True:
            await asyncio.sleep(OVERDUE / 10)
            latest = self.loop.time() - settings.ATTEMPT_DEADLINE - OVERDUE
            for work in [work for work in self._batches if work.open and work.started_at < latest]:
                for index in list(work.open):
                    logger.critical("a push has not ended in time", extra={"trace": work.items[index].trace})
                    self.deliverer.end(work, index, judge.refusal("internal_error"))

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
