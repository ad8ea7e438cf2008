"""A customer whose provider is slow in a worker with few places: what it may hold of them, and what others find."""

import asyncio
import base64
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import redis
from pytest_django import Settings

from delivery.queue import batch, due_list, shared_clock, valkey
from delivery.worker import breaker, crowding, dispatch, places
from delivery.worker.dispatch import Dispatcher
from delivery.worker.places import MOST, PUSH, Places, cost
from delivery.worker.routes import Route
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.links import until
from tests.delivery.worker.delivering import PLATFORM, apple_target

SLOW, QUIET = 1, 2
PLACES = 30
"""Pushes that the worker of these tests has places for, at least."""


class Worker:
    """A worker with few places, whose pushes go to one server, with a credential for each customer."""

    def __init__(self, dispatcher: Dispatcher, origin: str) -> None:
        self.dispatcher, self._number = dispatcher, 0
        self.running: list[asyncio.Task[None]] = []
        routes = dispatcher.deliverer.routes
        routes.refresh()
        for customer in (SLOW, QUIET):
            target = msgspec.structs.replace(apple_target(origin), credential_id=customer)
            routes._known[customer, PLATFORM] = Route("apple_rn", 2, customer, False, target, None)

    def take(self, customer: int, token: str, **members: Any) -> None:
        """Take a push out of the queue, in a batch of its own."""
        self._number += 1
        push = {"platform": PLATFORM, "device_id": token, "server_id": "s", "ack_id": str(self._number)}
        plain = msgspec.json.encode({**push, "type": "message", **members})
        item = batch.encode_item(f"t-{self._number}", shared_clock.now(), customer, customer, 1, 100, plain)
        batch_id = f"abcdef:{self._number}"
        sealed = self.dispatcher.cipher.seal_bytes(batch.join([item]), batch_id.encode())
        running = self.dispatcher.run(batch_id, base64.b64encode(sealed).decode(), False)
        self.running.append(asyncio.create_task(running))

    async def take_slow(self, count: int) -> None:
        """Take so many of the slow customer's, one after the other."""
        for _ in range(count):
            self.take(SLOW, "silence")
            await asyncio.sleep(0)


@pytest.fixture
async def worker(
    valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, rough: RoughServer
) -> AsyncIterator[Worker]:
    settings.REDIS_URL, settings.PROVIDER_CA_FILE = valkey_url, rough.ca_file
    directory = SimpleNamespace(ready=True, follow=lambda _read: asyncio.Event().wait(), is_trial=lambda _: False)
    monkeypatch.setattr(dispatch, "DIRECTORY", directory)
    monkeypatch.setattr(breaker, "FEWEST", 10_000)
    monkeypatch.setattr(crowding, "COUNT_INTERVAL", 0.0)
    monkeypatch.setattr(places, "WORKER", Places(PLACES * cost(1, 400)))
    dispatcher = Dispatcher()
    dispatcher.start()
    yield Worker(dispatcher, rough.origin)
    await dispatcher.close()
    valkey.shared(valkey_url).close()


async def test_who_holds_two_thirds_of_the_places_is_put_off_and_others_find_room(
    worker: Worker, store: redis.Redis, rough: RoughServer
) -> None:
    worker.take(QUIET, "silence")
    await worker.take_slow(2 * PLACES)
    await until(lambda: not worker.dispatcher.turns.waiting)
    in_hand = sum(bool(work.open) for work in worker.dispatcher._batches)
    assert in_hand <= PLACES
    await until(lambda: store.zcard(due_list.DUE) >= PLACES)
    await until(worker.dispatcher.places.has_room)
    worker.take(QUIET, "ok_quiet")
    await until(lambda: rough.complete["ok_quiet"])


async def test_its_calls_are_not_put_off(worker: Worker, rough: RoughServer) -> None:
    worker.take(QUIET, "silence")
    await worker.take_slow(2 * PLACES)
    worker.take(SLOW, "ok_call", sub_type="calls")
    await until(lambda: rough.complete["ok_call"])


async def test_who_is_alone_may_hold_all_places(worker: Worker, store: redis.Redis, rough: RoughServer) -> None:
    before = rough.complete["silence"]
    await worker.take_slow(PLACES)
    await until(lambda: rough.complete["silence"] == before + PLACES)
    assert not store.zcard(due_list.DUE)


async def test_nothing_is_counted_while_half_of_the_places_are_free(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.dispatcher._crowding, "is_crowding", lambda item: pytest.fail("it counts"))
    worker.take(QUIET, "silence")
    await worker.take_slow(PLACES // 3)
    assert MOST // PUSH > 10_000  # a thousand a second of a silent provider's, twice over
