"""Post one request through the engine and wait for what came of it."""

import asyncio
from typing import NamedTuple

from delivery.http2 import fields
from delivery.http2.engine import Engine
from delivery.http2.exchange import Exchange

HEAD = fields.block([(b"content-type", "application/json")])
BODY = b'{"aps":{"alert":"hi"}}' + b" " * 600


class Seen(NamedTuple):
    """What an Exchange told while it could be asked."""

    status: int
    fault: str
    wire: int
    error: str
    body: bytes
    ms: int
    new_connections: int


async def post(
    engine: Engine, origin: str, path: str, *, seconds: float = 2.0, credential: int = 1, body: bytes = BODY
) -> Seen:
    """One POST of path at origin."""
    seen: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()

    def done(exchange: Exchange) -> None:
        told = (exchange.status, exchange.fault, exchange.wire, exchange.error, exchange.body, exchange.ms)
        seen.set_result(Seen(*told, int(exchange.opened)))

    engine.channel(origin, credential).post(path, HEAD, body, seconds, done)
    return await asyncio.wait_for(seen, seconds + 2)
