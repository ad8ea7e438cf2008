"""A worker's consumer without Celery, on a real Valkey behind a wire that can lose things."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from delivery.queue import valkey
from hpns.celery import consumer as consumer_module
from hpns.celery import lease
from hpns.celery.consumer import Consumer
from tests.wire import Wire, wire_to

QUEUE = "transport-test"


@pytest.fixture(autouse=True)
def directory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory of keys is no matter of these tests."""
    monkeypatch.setattr(consumer_module, "DIRECTORY", SimpleNamespace(ready=True))


@pytest.fixture
def store(valkey_url: str) -> redis.Redis:
    """The Valkey of a test, by a connection of its own."""
    return redis.Redis.from_url(valkey_url)


@pytest.fixture
async def wire(valkey_url: str) -> AsyncIterator[Wire]:
    """A wire to it."""
    async with wire_to(valkey_url) as wire:
        yield wire


class Worker:
    """A worker; tags: of the messages that it was handed, in order; messages: these, by tag."""

    def __init__(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        self.link = valkey.Link(url, loop=loop)
        self.link.start()
        self.room = True
        self.tags: list[str] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.consumer = Consumer(url, self.link, loop, lambda _: self.room, with_receipts=True)

    def begin(self, deliver: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.consumer.consume(QUEUE, deliver or self.deliver)

    def deliver(self, message: dict[str, Any]) -> None:
        tag = message["properties"]["delivery_tag"]
        self.tags.append(tag)
        self.messages[tag] = message

    @property
    def taken(self) -> str:
        """The key of its processing list."""
        return self.consumer.lists.key(QUEUE)

    def end(self) -> None:
        """Die: nothing is given back."""
        self.consumer.close()
        self.link.close()


@asynccontextmanager
async def worker(url: str, *, begin: bool = True) -> AsyncIterator[Worker]:
    """A worker that consumes, unless it is told to begin."""
    made = Worker(url)
    try:
        if begin:
            made.begin()
        yield made
    finally:
        made.end()
        await asyncio.sleep(0)


def message(tag: str = "") -> bytes:
    """A message as it stands in the queue."""
    properties = {"delivery_tag": tag or uuid.uuid4().hex, "delivery_info": {"redelivered": False}}
    return json.dumps({"body": "", "headers": {}, "properties": properties}, separators=(",", ":")).encode()


def redelivered(item: bytes, times: int = 1) -> bytes:
    """The same message as it stands there after it was requeued so many times."""
    return item.replace(b'"redelivered":false', b'"redelivered":%d' % times)


async def until(done: Callable[[], object], what: str) -> None:
    """Let the loop turn until something is so; fails with `what` when it takes a minute."""
    end = asyncio.get_running_loop().time() + 60
    while not done():
        assert asyncio.get_running_loop().time() < end, f"{what}: not within a minute"
        await asyncio.sleep(0.005)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat soon."""
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(lease, "RECHECK_SECONDS", 0.02)
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(consumer_module, "PAUSE_MIN", 0.01)
