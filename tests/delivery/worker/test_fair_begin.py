"""A worker that has the pushes of several customers: whose are begun next, whichever batches they came in."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import cast

import pytest
import redis
from pytest_django import Settings

from delivery.log.rows import ROWS
from delivery.queue import batch, shared_clock, valkey
from delivery.queue.fair_turns import FREE_WEIGHT, WEIGHT
from delivery.worker import batch_sender, dispatch
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.dispatch import TURN, Dispatcher
from delivery.worker.places import cost
from tests.delivery.links import until

FLOOD, QUIET, FREE = 1, 2, 3


class Worker:
    """A worker's dispatcher, and the names of the pushes in the order in which they were begun."""

    def __init__(self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dispatcher, self.begun = dispatcher, list[str]()
        begin = dispatcher.deliverer.begin

        def noted(work: BatchProgress, index: int, item: batch.Item, now: float, clock: float) -> None:
            self.begun.append(item.trace)
            begin(work, index, item, now, clock)

        monkeypatch.setattr(dispatcher.deliverer, "begin", noted)
        self._running: list[asyncio.Task[None]] = []

    def take(self, customer: int, names: Sequence[str], more: str = '"type":"message"') -> None:
        """Take a batch out of the queue: pushes of a customer that has no such app, so that each ends as it begins."""
        push = b'{"platform":"nobodys","device_id":"one","server_id":"s",%b}' % more.encode()
        at = shared_clock.now()
        items = [batch.encode_item(name, at, customer, customer, 1, len(push), push) for name in names]
        batch_id = f"abcdef:{len(self._running) + 1}"
        sealed = self.dispatcher.cipher.seal_bytes(batch.join(items), batch_id.encode())
        running = self.dispatcher.run(batch_id, base64.b64encode(sealed).decode(), False)
        self._running.append(asyncio.create_task(running))

    async def all_settled(self) -> None:
        """Wait until all batches are settled."""
        async with asyncio.timeout(60):
            await asyncio.gather(*self._running)


@pytest.fixture
async def worker(valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    """One that has just had a push of either customer."""
    settings.REDIS_URL = valkey_url
    monkeypatch.setattr(batch_sender, "OVERDUE", 0.1)
    directory = SimpleNamespace(
        ready=True, follow=lambda _read: asyncio.Event().wait(), is_trial=lambda customer: customer == FREE
    )
    monkeypatch.setattr(dispatch, "DIRECTORY", directory)
    dispatcher = Dispatcher()
    dispatcher.start()
    made = Worker(dispatcher, monkeypatch)
    made.take(FLOOD, ["first"])
    made.take(QUIET, ["second"])
    await made.all_settled()
    made.begun.clear()
    yield made
    await dispatcher.close()
    valkey.shared(valkey_url).close()


async def test_a_quiet_customers_push_goes_ahead_of_batches_that_came_before_it(
    worker: Worker, store: redis.Redis
) -> None:
    for number in range(5):
        worker.take(FLOOD, [f"f{number}-{each}" for each in range(200)])
    worker.take(QUIET, ["q"])
    await worker.all_settled()
    assert worker.begun.index("q") < 3 * TURN
    assert len(worker.begun) == 1_001
    # What is settled together is one element.
    assert b"".join(cast("list[bytes]", store.lrange(ROWS, 0, -1))).count(b"\n") == 1_003


async def test_of_what_waits_a_customer_of_the_free_service_gets_a_quarter_of_anothers_part(worker: Worker) -> None:
    for number in range(3):
        worker.take(FREE, [f"free{number}-{each}" for each in range(200)])
        worker.take(QUIET, [f"paid{number}-{each}" for each in range(200)])
    await worker.all_settled()
    paid = max(place for place, name in enumerate(worker.begun) if name.startswith("paid"))
    free = sum(name.startswith("free") for name in worker.begun[:paid])
    assert 600 / WEIGHT * FREE_WEIGHT * 0.5 < free < 600 / WEIGHT * FREE_WEIGHT + 3 * TURN


async def test_a_call_and_a_test_and_a_wipe_go_ahead_of_their_own_customers_messages(worker: Worker) -> None:
    for number in range(5):
        worker.take(FLOOD, [f"f{number}-{each}" for each in range(200)])
    worker.take(FLOOD, ["call"], '"transport":"voip","sub_type":"calls"')
    worker.take(FLOOD, ["test"], '"type":"test"')
    worker.take(FLOOD, ["wipe"], '"type":"session","cont_ava":1')
    await worker.all_settled()
    assert {"call", "test", "wipe"} <= set(worker.begun[: 3 * TURN])


async def test_a_customer_that_is_alone_in_a_worker_waits_for_no_turn(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.dispatcher.turns._shared_until = 0.0  # a second has passed in which no other customer has pushed
    worker.dispatcher.turns._tenant = FLOOD
    monkeypatch.setattr(worker.dispatcher.turns, "put", lambda *_args, **_more: pytest.fail("it waits"))
    worker.take(FLOOD, [f"f{each}" for each in range(200)])
    await worker.all_settled()
    assert worker.begun == [f"f{each}" for each in range(200)]


async def test_what_waits_for_its_turn_is_not_taken_for_overdue_and_holds_its_places(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = worker.dispatcher
    held = dispatcher.places.held
    monkeypatch.setattr(dispatcher.turns, "_is_taking", True)  # nobody's turn comes
    worker.take(QUIET, ["q"])
    await until(lambda: dispatcher._batches)
    (work,) = dispatcher._batches
    assert dispatcher.places.held - held == cost(1, work.size)
    overdue = BatchProgress("abcdef:99", list(work.items), dispatcher.loop.create_future())
    work.started_at = overdue.started_at = dispatcher.loop.time() - 1_000
    dispatcher._batches.add(overdue)
    async with asyncio.timeout(60):
        await overdue.finished
    assert (worker.begun, work.open) == ([], {0})
    dispatcher.turns._take_turn()
    await worker.all_settled()
    assert worker.begun == ["q"]
    assert caplog.text.count("has not ended in time") == 1
    assert dispatcher.places.held == held
