"""The writing half of an HTTP/2 connection (RFC 9113): requests within the peer's limits and windows.

Invariants: an exchange is written once at most; it counts as sent (MAYBE) from the moment its last byte is handed to
the transport. Frames of one turn of the loop leave together.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from delivery.http2 import frames
from delivery.http2.exchange import Exchange
from delivery.http2.frames import FrameError
from delivery.http2.idle import hung_up
from delivery.outcomes.verdict import MAYBE

MAX_ANSWER_BYTES: Final = 65_536
STREAMS_UNTOLD: Final = 100
"""Requests at once where the peer sets no limit; RFC 9113 (6.5.2) recommends that none be lower."""
OUR_WINDOW: Final = 2**30
_OUR_SETTINGS: Final = frames.settings(
    {frames.HEADER_TABLE_SIZE: 0, frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: 2 * MAX_ANSWER_BYTES}
)
_LAST_STREAM: Final = 2**31 - 1
_MOST_UNREAD: Final = 1_048_576
"""Bytes that may wait for a peer that goes on asking and reads nothing."""


class Outgoing(asyncio.Protocol):
    """See the module. streams: what was sent and has no end yet; fit: whether new requests may be sent; most: how many
    at once; over: nothing is read or written any more."""

    def __init__(self, ready: Callable[[], None]) -> None:
        """ready: told when more can be sent."""
        self._ready = ready
        self.transport: Any = None
        self._soon: Callable[..., object] = asyncio.get_running_loop().call_soon
        self.streams: dict[int, Exchange] = {}
        self.fit = self.over = False
        self.most = STREAMS_UNTOLD
        self._paused = False
        self._next = 1
        self._window = self._stream_window = 65_535
        self._out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet; requests wait for the peer's greeting, which says how many it takes."""
        self.transport = transport
        window = frames.frame(frames.WINDOW_UPDATE, 0, 0, (OUR_WINDOW - 65_535).to_bytes(4, "big"))
        # First, also where the peer was quicker and something waits to be written.
        self._out.insert(0, frames.PREFACE + _OUR_SETTINGS + window)
        self._soon(self._flush)

    def left(self) -> bool:
        """Tell whether the peer has hung up while nothing was under way, though nobody has told us yet."""
        if self.transport.is_closing():
            return True
        try:
            return hung_up(self.transport.get_extra_info("socket").fileno())
        except OSError:  # it broke while we looked
            return True

    def room(self, size: int) -> bool:
        """Tell whether a request with a body of so many bytes can be sent now."""
        return (
            self.fit
            and not self._paused
            and len(self.streams) < self.most
            # One that is larger than any window is begun when nothing else is under way, and sent in parts.
            and (size <= self._window or (self._window > 0 and not self.streams))
        )

    def send(self, exchange: Exchange) -> None:
        """Send a request for which there is room."""
        stream = exchange.stream = self._next
        self._next = stream + 2
        if self._next > _LAST_STREAM:
            self.fit = False
        self.streams[stream] = exchange
        body = exchange.rest
        size = len(body)
        if size <= self._window and size <= self._stream_window and size <= frames.MOST:
            self._window -= size
            exchange.rest = b""
            exchange.wire = MAYBE
            self.write(frames.request(stream, exchange.head, body))
        else:
            exchange.credit = self._stream_window
            self.write(frames.frame(frames.HEADERS, frames.END_HEADERS, stream, exchange.head))
            self._send_part(exchange)

    def _send_part(self, exchange: Exchange) -> None:
        """Send as much of a body as the windows allow."""
        while exchange.rest:
            size = min(len(exchange.rest), self._window, exchange.credit, frames.MOST)
            if size <= 0:
                return
            part, exchange.rest = exchange.rest[:size], exchange.rest[size:]
            self._window -= size
            exchange.credit -= size
            if not exchange.rest and not exchange.status:
                exchange.wire = MAYBE
            self.write(frames.frame(frames.DATA, 0 if exchange.rest else frames.END_STREAM, exchange.stream, part))

    def write(self, content: bytes) -> None:
        """Send whole frames, together with those of the same turn of the loop."""
        if not self._out:
            self._soon(self._flush)
        self._out.append(content)

    def _flush(self) -> None:
        if self.over or self.transport is None:
            return
        out, self._out = self._out, []
        if out:
            self.transport.write(b"".join(out))

    def forget(self, exchange: Exchange) -> None:
        """Give an exchange up that has been waited for long enough."""
        if self.streams.pop(exchange.stream, None) is not None:
            self.write(frames.frame(frames.RST_STREAM, 0, exchange.stream, frames.CANCEL.to_bytes(4, "big")))

    def close(self, code: int = frames.NO_ERROR) -> None:
        """End the connection; whatever is in `streams` is the caller's business."""
        if self.over:
            return
        self._flush()
        self.over, self.fit = True, False
        if self.transport is not None:
            self.transport.write(frames.frame(frames.GOAWAY, 0, 0, bytes(4) + code.to_bytes(4, "big")))
            self.transport.close()

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._paused = False
        self._ready()

    def acknowledge(self, kind: int, content: bytes = b"") -> None:
        """Answer a SETTINGS or PING frame. FrameError for a peer that goes on asking and reads nothing."""
        if self._paused and self.transport.get_write_buffer_size() > _MOST_UNREAD:
            raise FrameError("peer that asks and reads nothing")
        self.write(frames.frame(kind, frames.ACK, 0, content))

    def grant(self, stream: int, more: int) -> None:
        """Widen a window by what the peer grants; stream 0 is the connection. FrameError beyond what there can be."""
        if stream == 0:
            self._window += more
            if self._window > frames.MOST_WINDOW:
                raise FrameError("WINDOW_UPDATE frame out of bounds")
            self.go_on()
        elif (exchange := self.streams.get(stream)) is not None:
            exchange.credit += more
            self._send_part(exchange)

    def resize(self, window: int) -> None:
        """Begin each stream with a window of so many bytes, those under way included (RFC 9113, 6.9.2)."""
        for exchange in self.streams.values():
            exchange.credit += window - self._stream_window
        self._stream_window = window

    def go_on(self) -> None:
        """Send what the windows have held up."""
        for exchange in list(self.streams.values()):
            if exchange.rest:
                self._send_part(exchange)
        self._ready()
