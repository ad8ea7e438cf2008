"""The other side of one Connection, without a network: frames in, frames out, in another implementation's bytes."""

import asyncio
from collections.abc import Callable
from typing import Any

from hpack import Encoder
from hyperframe.frame import Frame, HeadersFrame, SettingsFrame

from delivery.http2 import fields, frames
from delivery.http2.connection import Connection
from delivery.http2.exchange import Exchange
from delivery.outcomes.transport import TransportFault

HEAD = fields.opening("localhost") + fields.text(b"/3/device/ab")
AT = 1_000_000_000.0
"""When every request is sent: 2001-09-09 01:46:40."""
END = ("END_STREAM",)


def read(data: bytes) -> list[Any]:
    """The frames of some bytes as hyperframe reads them."""
    found = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]), strict=True)
        frame.parse_body(memoryview(data[9 : 9 + length]))
        found.append(frame)
        data = data[9 + length :]
    return found


class Peer:
    """A Connection over a transport that keeps what is written, and what became of it."""

    def __init__(self, *, made: bool = True) -> None:
        """made: whether the connection has begun."""
        self.ended: list[Exchange] = []
        self.lost: list[TransportFault] = []
        self.readies = 0
        self.written = b""
        self.closed = False
        self.unread = 0
        self.when_ended: Callable[[Exchange], None] = lambda exchange: None
        self.connection = Connection(self._ready, self._ended, lambda fault, error: self.lost.append(fault))
        if made:
            self.connection.connection_made(self)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return self.unread

    def _ended(self, exchange: Exchange) -> None:
        self.ended.append(exchange)
        self.when_ended(exchange)

    def _ready(self) -> None:
        self.readies += 1

    async def says(self, *said: Frame | bytes) -> list[Any]:
        """Let these frames come; return those that are written then."""
        self.connection.data_received(b"".join(one if isinstance(one, bytes) else one.serialize() for one in said))
        return await self.wrote()

    async def wrote(self) -> list[Any]:
        """The frames that were written since."""
        await asyncio.sleep(0)
        data, self.written = self.written.removeprefix(frames.PREFACE), b""
        return read(data)

    def send(self, body: bytes = b"{}") -> Exchange:
        """Send a request."""
        exchange = Exchange(HEAD, body, AT, 0.0, 0.0, lambda exchange: None, None)
        self.connection.send(exchange)
        return exchange


async def greeted(settings: dict[int, int] | None = None) -> Peer:
    """A peer that has said its settings."""
    peer = Peer()
    await peer.says(SettingsFrame(0, settings or {}))
    return peer


def head(stream: int, status: int, *others: tuple[str, str], flags: tuple[str, ...] = END) -> Frame:
    """The head of an answer."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return HeadersFrame(stream, encoder.encode([(":status", str(status)), *others]), flags=["END_HEADERS", *flags])


def outline(found: list[Any]) -> list[tuple[str, int, int]]:
    """Of each frame its type, stream and size of content."""
    return [(type(one).__name__.removesuffix("Frame"), one.stream_id, len(getattr(one, "data", b""))) for one in found]


def told(exchange: Exchange) -> tuple[int, str, int, bytes]:
    """What came of a request."""
    return exchange.status, exchange.fault, exchange.wire, exchange.body
