"""Several web processes at one Valkey, for the tests of limits: each is a link of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import redis

from delivery.ingest.token_bucket import Bucket
from delivery.queue import valkey


@asynccontextmanager
async def links(url: str, count: int) -> AsyncIterator[list[valkey.Link]]:
    """Connected links; closed afterwards."""
    made = [valkey.Link(url) for _ in range(count)]
    for link in made:
        await link.start()
    try:
        yield made
    finally:
        for link in made:
            link.close()


def disconnect(store: redis.Redis) -> None:
    """Break every connection to this database but the caller's own; other databases belong to tests beside this one."""
    database, own = str(store.get_connection_kwargs()["db"]), store.client_id()
    for client in store.client_list(_type="normal"):
        if client["db"] == database and client["id"] != str(own):
            store.client_kill_filter(_id=client["id"])


class Swallowing:
    """A transport that writes nothing, and is else what it was."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Lose it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def swallow(link: valkey.Link) -> None:
    """Let nothing arrive that is written from now on, as when a connection is about to break.

    What was written before is answered, and no later command gets the reply to one that is lost.
    """
    protocol = link._protocol
    assert protocol is not None
    protocol._transport = cast(asyncio.Transport, Swallowing(protocol._transport))


async def until(done: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.001)


async def answered(*buckets: Bucket) -> None:
    """Wait until no lease is on its way."""
    await until(lambda: not any(bucket._leasing for bucket in buckets))


async def drained(*buckets: Bucket) -> int:
    """Take from all of them in turns until Valkey has closed them; returns how many were let in."""
    passed = 0
    while True:
        let_in = 0
        for bucket in buckets:
            for _ in range(7):
                let_in += bucket.take()
        passed += let_in
        await asyncio.sleep(0)
        if not let_in:
            await answered(*buckets)
            if not any(bucket.tokens for bucket in buckets) and all(bucket.empty_until for bucket in buckets):
                return passed
