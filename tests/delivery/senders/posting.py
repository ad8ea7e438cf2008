"""Post one request through the engine and wait for what came of it."""

import asyncio
from typing import NamedTuple

import pycurl

from delivery.senders.exchange import Exchange
from delivery.senders.http2 import Engine

HEADERS = ["content-type: application/json", "accept:"]
BODY = b'{"aps":{"alert":"hi"}}' + b" " * 600


class Seen(NamedTuple):
    """What an Exchange told while it could be asked."""

    status: int
    word: str
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
        connects = exchange.curl.getinfo(pycurl.NUM_CONNECTS)
        told = (exchange.status, exchange.word, exchange.wire, exchange.error, exchange.body, exchange.ms, connects)
        seen.set_result(Seen(*told))

    engine.channel(origin, credential).post(origin + path, HEADERS, body, seconds, done)
    return await asyncio.wait_for(seen, seconds + 2)
