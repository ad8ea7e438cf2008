"""A web process's side of pushes, for the tests of what comes before the queue."""

import asyncio
import base64
import json
from typing import Any

import redis
from django.conf import settings

from delivery.ingest.outbox import Outbox
from delivery.log.rows import COLUMNS, ROWS
from delivery.queue import batch
from tenants import vault
from tenants.authentication import Keyless
from tenants.directory.live import Directory
from tenants.directory.snapshot import Identity, Limit, Snapshot
from tenants.network import TrustedProxies
from tests.delivery.links import until

# Up to which batches count as saved, for a Valkey that keeps no file where a push is to be OK at its deadline.
SAVED = 1 << 60
TINY = Limit(1, 3)
REGISTERED = "7up1nnng4trrmqbo9o8az4zmhy"
ACME = Identity(3, 2, 1, active=True, rejection_code="", digest=b"")
LISTED = Identity(0, 2, 1, active=True, rejection_code="", digest=b"")
ANYBODY = Identity(0, 9, 8, active=True, rejection_code="", digest=b"", tls=False, trial=True, anonymous=True)
PUSH = {"platform": "apple_rn-v2", "device_id": "d", "server_id": REGISTERED, "type": "message", "message": "lunch?"}


def keyless(listed: Identity | None = LISTED, anybody: Identity | None = ANYBODY) -> Keyless:
    """Who is behind pushes without a key."""
    directory = Directory()
    by_server_id = {REGISTERED: [listed]} if listed else {}
    directory.install(Snapshot(1, 1.0, {}, [], [], by_server_id, [anybody] if anybody else []), "postgres")
    return Keyless(directory)


def proxies() -> TrustedProxies:
    """The trusted proxies of the settings."""
    return TrustedProxies(settings.TRUSTED_PROXIES)


def body(**members: Any) -> bytes:
    """A push on the wire."""
    return json.dumps({**PUSH, **members}).encode()


async def error_of(future: "asyncio.Future[bytes]") -> str:
    """The text of a FAIL, "" for OK."""
    return str(json.loads(await future).get("error", ""))


async def queued(outbox: Outbox, store: redis.Redis) -> list[batch.Item]:
    """What stands in the queue."""
    outbox._flush()
    await outbox.link.drain()
    items = []
    for message in reversed(store.lrange("push", 0, -1)):
        args, _, _ = json.loads(json.loads(message)["body"])
        sealed = base64.b64decode(args[1]) if len(args) > 1 else store.get(f"batch:{args[0]}")
        items += batch.decode_items(vault.queue_cipher("queue").open_bytes(sealed, args[0].encode()))
    return items


async def rows(store: redis.Redis, count: int) -> list[dict[str, str]]:
    """The rows for the log, once they stand for `count` pushes."""

    def found() -> list[dict[str, str]]:
        lines = b"".join(store.lrange(ROWS, 0, -1)).decode().splitlines()
        return [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines]

    await until(lambda: sum(int(row["count"]) for row in found()) >= count)
    assert sum(int(row["count"]) for row in found()) == count
    return found()
