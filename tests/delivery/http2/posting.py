"""Post one request through the engine and wait for what came of it."""

import asyncio
from typing import NamedTuple

from delivery.http2 import hpack_encoding
from delivery.http2.engine import Engine
from delivery.http2.stream import Stream

FIELD_BLOCK = hpack_encoding.field_block([(b"content-type", "application/json")])
BODY = b'{"aps":{"alert":"hi"}}' + b" " * 600


class Seen(NamedTuple):
    """The result of a request, copied from its Stream."""

    status: int
    fault: str
    wire: int
    error: str
    body: bytes
    ms: int
    new_connections: int


async def post(
    engine: Engine, origin: str, path: str, *, seconds: float = 10.0, credential: int = 1, body: bytes = BODY
) -> Seen:
    """One POST of path at origin."""
    seen: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()

    def on_done(stream: Stream) -> None:
        values = (stream.status, stream.fault, stream.wire, stream.error, stream.body, stream.ms)
        seen.set_result(Seen(*values, int(stream.opened_connection)))

    engine.channel(origin, credential).post(path, FIELD_BLOCK, body, seconds, on_done)
    return await asyncio.wait_for(seen, seconds + 2)
