"""Batch sender: begins the pushes of batches, and looks after each batch until the last of it is settled.

It is what workers (dispatch.py) and web processes (delivery/ingest/own_delivery.py) have in common: one per process, on
its loop. Invariant: a batch is let go only after all of it is settled.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from delivery.devices.dead import DeadDevices
from delivery.devices.remove_fuse import RemoveFuse
from delivery.http2.engine import Engine
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.queue import batch, shared_clock, valkey
from delivery.worker import settlement
from delivery.worker.attempts import Deliverer
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.breaker_reports import BreakerReports
from delivery.worker.credential_reports import Reporter
from delivery.worker.places import Places, cost
from delivery.worker.settlement import Settler
from tenants.directory.live import DIRECTORY
from tenants.supervision import supervise

logger = logging.getLogger(__name__)

# Seconds beyond the deadline of its attempts after which a push counts as forgotten.
OVERDUE: Final = 10.0
# Seconds for Valkey to confirm, when the process stops, what has become of the pushes that were cut off.
SETTLE_TIMEOUT: Final = 1.0


class BatchSender:
    """See the module. open() before the first batch."""

    def __init__(self, places: Places | None = None) -> None:
        """places: of this process, if others look at them."""
        self.in_flight = 0
        self.places = places or Places()
        self._batches: set[BatchProgress] = set()
        self._busy = asyncio.Event()  # set at a batch, for who waits for one
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def batches(self) -> int:
        """How many batches are under way."""
        return len(self._batches)

    def messages(self) -> frozenset[bytes]:
        """The messages of the batches that are under way, as they stand in a processing list."""
        return frozenset(work.receipt.item for work in self._batches if work.receipt is not None)

    def open(self, link: valkey.Link, reporter: Reporter, dead: DeadDevices | None = None) -> None:
        """Make what sends and settles, on the running loop; `link`: for settlements; `dead`: this process's dead
        devices, if pushes come in here. What can fail comes first."""
        loop = asyncio.get_running_loop()
        engine = Engine(loop, settings.PROVIDER_CA_FILE, settings.HTTPS_PROXY, settings.NO_PROXY)
        engine.clock.second_opinion = shared_clock.at_valkey
        self.loop, self.engine, self.link, self.reporter = loop, engine, link, reporter
        self.settler = Settler(link, loop, settings.HASH_KEY)
        self.fuse = RemoveFuse(link, settings.HASH_KEY, DIRECTORY)
        self.deliverer = Deliverer(
            loop, engine, reporter, self.settler, self.fuse, dead or DeadDevices(link, settings.HASH_KEY, DIRECTORY)
        )
        self._breakers = BreakerReports(self.deliverer.breakers, link, loop)
        self._tasks = [
            supervise("the reports of credentials", reporter.run, essential=False),
            supervise("the deadlines of batches", self._enforce_deadlines),
            supervise("the counts of removed devices", self.fuse.run, essential=False),
            supervise("the reports of open circuit breakers", self._breakers.run, essential=False),
        ]
        counting.register_gauges(self._gauges)

    def _gauges(self) -> Iterator[counting.Gauge]:
        yield "hpns_pushes_in_flight", ("worker",), self.in_flight
        for state in self.engine.channel_states():
            host = urlsplit(state.origin).hostname or ""
            yield "hpns_provider_connections", (host,), state.connections
            yield "hpns_provider_requests", (host,), state.in_flight
        for breaker in self.deliverer.breakers.open():
            yield "hpns_breakers_open", (breaker.host,), 1

    def begin(self, work: BatchProgress, done: bytes | None = None) -> None:
        """Begin all pushes of a batch but those that `done` (see settlement.py) has as settled; never waits.

        `work.finished` is done when all of it is settled.
        """
        items = work.items
        counting.batch(len(items))
        self.in_flight += len(items)
        self.places.take(cost(len(items), work.size))
        self._batches.add(work)
        self._busy.set()
        work.finished.add_done_callback(lambda _: self._let_go(work))
        try:
            self._begin_each(work, done)
        except Exception:  # a fault of ours: the batch is in our hands, so each of its pushes has to end here
            logger.exception("a batch could not be begun", extra={"batch": work.id})
            for index in list(work.open):
                self.deliverer.end(work, index, judge.refusal("internal_error"))
        if not (work.open or work.ended or work.has_deferred) and not work.finished.done():
            work.finished.set_result(None)

    def _begin_each(self, work: BatchProgress, done: bytes | None) -> None:
        now, clock = shared_clock.now(), self.loop.time()
        work.started_at = clock
        self.deliverer.routes.refresh()  # what follows waits for nothing, so they stay as they are
        begin = self._begin_one
        for index, item in enumerate(work.items):
            if done is not None and settlement.settled_before(done, index):
                work.open.discard(index)
                work.partly_settled = True
            else:
                begin(work, index, item, now, clock)

    def _begin_one(self, work: BatchProgress, index: int, item: batch.Item, now: float, clock: float) -> None:
        """Begin one push; now: the shared time, clock: the loop's."""
        try:
            self.deliverer.begin(work, index, item, now, clock)
        except Exception:
            logger.exception("a push could not be begun", extra={"trace": item.trace})
            self.deliverer.end(work, index, judge.refusal("internal_error"))

    def begin_again(self, work: BatchProgress) -> None:
        """Begin a push of the due list, which is the only one of its batch, with its attempts so far."""
        self.in_flight += 1
        self.places.take(cost(1, work.size))
        self._batches.add(work)
        work.finished.add_done_callback(lambda _: self._let_go(work))
        work.started_at = self.loop.time()
        try:
            self.deliverer.begin_again(work, shared_clock.now(), work.started_at)
        except Exception:  # a fault of ours: the push is in our hands, so it has to end here
            logger.exception("a push could not be tried again", extra={"trace": work.items[0].trace})
            self.deliverer.end(work, 0, judge.refusal("internal_error"))

    def defer_again(self, work: BatchProgress) -> None:
        """Move to the due list once more what Valkey has lost of it."""
        if work.deferred_before and not work.finished.done():
            work.deferred, work.deferred_before = work.deferred + work.deferred_before, []
            self.settler.settle(work)

    def leave(self) -> None:
        """Let nothing wait here any more for its next try: the process is about to stop."""
        if self._tasks:
            self.deliverer.retries.leave()

    def _let_go(self, work: BatchProgress) -> None:
        self._batches.discard(work)
        self.in_flight -= len(work.items)
        self.places.give_back(cost(len(work.items), work.size))

    async def _enforce_deadlines(self) -> None:
        """End what should have ended long ago: a fault of ours must not hold a batch, and its place, for ever."""
        while True:
            if not self._batches:
                self._busy.clear()
                await self._busy.wait()
            await asyncio.sleep(OVERDUE / 10)
            latest = self.loop.time() - settings.ATTEMPT_DEADLINE - OVERDUE
            overdue = [work for work in self._batches if work.open and not work.waiting and work.started_at < latest]
            for work in overdue:
                for index in list(work.open):
                    logger.critical("a push has not ended in time", extra={"trace": work.items[index].trace})
                    self.deliverer.end(work, index, judge.refusal("internal_error"))

    async def wait_until_idle(self) -> None:
        """Return when no batch is under way."""
        while self._batches:
            await asyncio.wait([work.finished for work in self._batches])

    async def close_sending(self) -> None:
        """Stop what runs beside the batches, and close the connections to providers."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            withdrawing = self.loop.create_task(self._breakers.withdraw())
            await asyncio.wait((*self._tasks, withdrawing), timeout=1)  # what is kept by one may be its last second's
            self.leave()
            await self.engine.close()
            # What that cut off is tried again by others, as soon as Valkey has it.
            if self._batches and self.link.up:
                await asyncio.wait([work.finished for work in self._batches], timeout=SETTLE_TIMEOUT)
