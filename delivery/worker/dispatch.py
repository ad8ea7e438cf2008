"""Batch consumer: decrypts a batch of the queue, begins each of its pushes (attempts.py), waits until all are settled.

One Dispatcher per worker process. Invariant: a batch is given up (acknowledged) only after all of it is settled.
"""

import asyncio
import base64
import gc
import logging
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
from django.conf import settings

from delivery.http2.engine import Engine
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.queue import batch, shared_clock, valkey
from delivery.worker import settlement
from delivery.worker.attempts import Deliverer
from delivery.worker.credential_reports import Reporter
from delivery.worker.settlement import BatchProgress, Settler
from tenants import vault
from tenants.directory.live import DIRECTORY
from tenants.supervision import supervise

logger = logging.getLogger(__name__)


class Dispatcher:
    """See the module. Made by here(); start() before the first batch."""

    def __init__(self) -> None:
        self.cipher = vault.queue_cipher("queue")
        self.in_flight = 0
        self._ready: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect, read the directory, open the engine. May be called again; returns when all is ready."""
        if self._ready is None:
            self.loop = asyncio.get_running_loop()
            self._ready = self.loop.create_future()
            self._tasks = [
                supervise("the directory's follower", DIRECTORY.follow),
                supervise("the export of metrics", counting.export, essential=False),
            ]
            self.link = valkey.shared(settings.REDIS_URL)
            self.reporter = Reporter(self.loop)
            self._tasks.append(supervise("the reports of credentials", self.reporter.run, essential=False))
            self._tasks.append(
                supervise("the comparison of clocks", lambda: shared_clock.follow(self.link), essential=False)
            )
            self.settler = Settler(self.link, self.loop, settings.HASH_KEY)
            self.engine = Engine(self.loop, settings.PROVIDER_CA_FILE, settings.HTTPS_PROXY, settings.NO_PROXY)
            self.engine.clock.second_opinion = shared_clock.at_valkey
            self.deliverer = Deliverer(self.loop, self.engine, self.reporter, self.settler)
            counting.register_gauges(self._gauges)
            # A push makes no cycles; collecting less often halves the worst waits (BENCHMARKS.md).
            gc.collect()
            gc.set_threshold(20_000, 50, 100)
            self._ready.set_result(None)
        await asyncio.shield(self._ready)

    def _gauges(self) -> Iterator[counting.Gauge]:
        yield "hpns_pushes_in_flight", ("worker",), self.in_flight
        for state in self.engine.channel_states():
            host = urlsplit(state.origin).hostname or ""
            yield "hpns_provider_connections", (host,), state.connections
            yield "hpns_provider_requests", (host,), state.in_flight

    async def close(self) -> None:
        """Stop what runs beside the batches."""
        if self._ready is None:
            return
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)  # meters.keep() writes down its last second
        await self.engine.close()
        self.link.close()

    async def run(self, batch_id: str, sealed: str, again: bool) -> None:
        """Deliver one batch; returns when all of it is settled. `again`: it may have been begun before."""
        await self.start()
        while not DIRECTORY.ready:  # the first seconds of a worker whose stores are away
            await asyncio.sleep(0.1)
        payload, done = await self._fetch(batch_id, sealed, again)
        if payload is None:
            if not again:
                logger.error("the pushes of a batch are gone from Valkey", extra={"batch": batch_id})
            return  # settled before: its payload went with it
        try:
            items = batch.decode_items(self.cipher.open_bytes(payload, batch_id.encode()))
        except (vault.VaultError, msgspec.DecodeError) as error:
            logger.critical("a batch of the queue cannot be opened and stays in it until it can: %s", error)
            raise vault.VaultError(str(error)) from error
        work = BatchProgress(batch_id, items, self.loop.create_future())
        self.in_flight += len(items)
        counting.batch(len(items))
        now, clock = shared_clock.now(), self.loop.time()
        work.started_at = clock
        self.deliverer.routes.refresh()  # what follows waits for nothing, so they stay as they are
        begin = self.deliverer.begin
        for index, item in enumerate(items):
            if done is not None and settlement.settled_before(done, index):
                work.unfinished -= 1
                work.partly_settled = True
                continue
            try:
                begin(work, index, item, now, clock)
            except Exception:
                logger.exception("a push could not be begun", extra={"trace": item.trace})
                self.deliverer.end(work, index, judge.refusal("internal_error"))
        if work.unfinished or work.ended:
            await work.finished
        self.in_flight -= len(items)

    async def _fetch(self, batch_id: str, sealed: str, again: bool) -> tuple[bytes | None, bytes | None]:
        if sealed and not again:
            return base64.b64decode(sealed), None
        while True:
            try:
                payload, done = await self.link.execute(
                    "MGET", batch.payload_key(batch_id), batch.progress_key(batch_id)
                )
            except ConnectionError:
                await asyncio.sleep(0.1)
                continue
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
