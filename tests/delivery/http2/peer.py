"""The peer of one Connection, without a network: frames in, frames out, in another implementation's bytes."""

import asyncio
from collections.abc import Callable
from typing import Any

from hpack import Encoder
from hyperframe.frame import Frame, HeadersFrame, SettingsFrame

from delivery.http2 import frames, hpack_encoding
from delivery.http2.connection import Connection
from delivery.http2.stream import Stream
from delivery.outcomes.transport import TransportFault

HEADER_BLOCK = hpack_encoding.request_start("localhost") + hpack_encoding.string_literal(b"/3/device/ab")
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

    def __init__(self, *, connected: bool = True, refusals: frozenset[str] = frozenset()) -> None:
        """connected: whether the transport is there from the start; refusals: see Connection."""
        self.ended: list[Stream] = []
        self.lost: list[TransportFault] = []
        self.lost_texts: list[str] = []
        self.capacity_calls = 0
        self.written = b""
        self.closed = False
        self.write_buffer_size = 0
        self.reading_paused = False
        self.on_stream_ended: Callable[[Stream], None] = lambda stream: None
        self.notices: list[tuple[int, str, bool]] = []
        self.connection = Connection(self._count_capacity, self._stream_ended, self._lost, self._notice, refusals)
        if connected:
            self.connection.connection_made(self)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        assert not self.reading_paused
        self.reading_paused = True

    def resume_reading(self) -> None:
        assert self.reading_paused
        self.reading_paused = False

    def get_write_buffer_size(self) -> int:
        return self.write_buffer_size

    def _stream_ended(self, stream: Stream) -> None:
        self.ended.append(stream)
        self.on_stream_ended(stream)

    def _lost(self, fault: TransportFault, error: str) -> None:
        self.lost.append(fault)
        self.lost_texts.append(error)

    def _notice(self, error_code: int, text: str, *, goaway: bool) -> None:
        self.notices.append((error_code, text, goaway))

    def _count_capacity(self) -> None:
        self.capacity_calls += 1

    async def deliver(self, *received: Frame | bytes) -> list[Any]:
        """Deliver these frames to the connection; return those that it writes then."""
        self.connection.data_received(b"".join(one if isinstance(one, bytes) else one.serialize() for one in received))
        while self.reading_paused and not self.closed:
            await asyncio.sleep(0)
        return await self.written_frames()

    async def written_frames(self) -> list[Any]:
        """The frames that were written since."""
        await asyncio.sleep(0)
        data, self.written = self.written.removeprefix(frames.PREFACE), b""
        return read(data)

    def send(self, body: bytes = b"{}", header_block: bytes = HEADER_BLOCK) -> Stream:
        """Send a request."""
        stream = Stream(header_block, body, AT, 0.0, 0.0, lambda stream: None, None)
        self.connection.send(stream)
        return stream


async def connected_peer(settings: dict[int, int] | None = None, *, refusals: frozenset[str] = frozenset()) -> Peer:
    """A peer that has sent its SETTINGS."""
    peer = Peer(refusals=refusals)
    await peer.deliver(SettingsFrame(0, settings or {}))
    return peer


def headers(stream_id: int, status: int, *others: tuple[str, str], flags: tuple[str, ...] = END) -> Frame:
    """The HEADERS frame of a response."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return HeadersFrame(stream_id, encoder.encode([(":status", str(status)), *others]), flags=["END_HEADERS", *flags])


def outline(found: list[Any]) -> list[tuple[str, int, int]]:
    """Of each frame its type, stream id and size of payload."""
    return [(type(one).__name__.removesuffix("Frame"), one.stream_id, len(getattr(one, "data", b""))) for one in found]


def result(stream: Stream) -> tuple[int, str, int, bytes]:
    """The result of a request."""
    return stream.status, stream.fault, stream.wire, stream.body
