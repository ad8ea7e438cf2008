"""The sending half of an HTTP/2 connection: flow control (RFC 9113, 5.2) and stream concurrency (5.1.2).

Invariants: a request is written once at most; it counts as sent (MAYBE) from the moment its last byte is handed to
the transport. Frames of one turn of the loop leave together.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from delivery.http2 import frames
from delivery.http2.frames import FrameError
from delivery.http2.stale_connection import is_dropped
from delivery.http2.stream import Stream
from delivery.outcomes.verdict import MAYBE

MAX_RESPONSE_BYTES: Final = 65_536
DEFAULT_CONCURRENT_STREAMS: Final = 100
"""The limit where the peer sets none; RFC 9113 (6.5.2) recommends that none be lower."""
RECEIVE_WINDOW: Final = 2**30
_SETTINGS_FRAME: Final = frames.settings(
    {frames.HEADER_TABLE_SIZE: 0, frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: 2 * MAX_RESPONSE_BYTES}
)
_MAX_STREAM_ID: Final = 2**31 - 1
_MAX_WRITE_BUFFER_BYTES: Final = 1_048_576
"""Bytes that may wait for a peer that goes on asking and reads nothing."""


class ConnectionSender(asyncio.Protocol):
    """The sending half, see the module.

    streams: the open ones, by their id; accepts_streams: whether more may be opened; max_concurrent_streams: how many
    at once; closed: nothing is read or written any more.
    """

    def __init__(self, on_capacity: Callable[[], None]) -> None:
        """on_capacity: called when more can be sent, or nothing more on this connection."""
        self._on_capacity = on_capacity
        self.transport: Any = None
        self._call_soon: Callable[..., object] = asyncio.get_running_loop().call_soon
        self.streams: dict[int, Stream] = {}
        self.accepts_streams = self.closed = False
        self.max_concurrent_streams = DEFAULT_CONCURRENT_STREAMS
        self._paused = False
        self._next_stream_id = 1
        self._connection_window = self._initial_window = 65_535
        self._write_buffer: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the connection preface; requests wait for the peer's SETTINGS, which say how many it takes."""
        self.transport = transport
        window_update = frames.frame(frames.WINDOW_UPDATE, 0, 0, (RECEIVE_WINDOW - 65_535).to_bytes(4, "big"))
        # First, also where the peer was quicker and something waits to be written.
        self._write_buffer.insert(0, frames.PREFACE + _SETTINGS_FRAME + window_update)
        self._call_soon(self._flush)

    def is_stale(self) -> bool:
        """Tell whether the peer has closed the idle connection, though the event loop has not reported it yet."""
        if self.transport.is_closing():
            return True
        try:
            return is_dropped(self.transport.get_extra_info("socket").fileno())
        except OSError:  # it broke while we looked
            return True

    def can_send(self, size: int) -> bool:
        """Tell whether a request with a body of so many bytes can be sent now."""
        return (
            self.accepts_streams
            and not self._paused
            and len(self.streams) < self.max_concurrent_streams
            # One that is larger than any window is begun when nothing else is under way, and sent in parts.
            and (size <= self._connection_window or (self._connection_window > 0 and not self.streams))
        )

    def send(self, stream: Stream) -> None:
        """Send a request for which there is room."""
        stream_id = stream.stream_id = self._next_stream_id
        self._next_stream_id = stream_id + 2
        if self._next_stream_id > _MAX_STREAM_ID:
            self.accepts_streams = False
        self.streams[stream_id] = stream
        body = stream.unsent_body
        size = len(body)
        if size <= self._connection_window and size <= self._initial_window and size <= frames.MAX_PAYLOAD_BYTES:
            self._connection_window -= size
            stream.unsent_body = b""
            stream.wire = MAYBE
            self.write(frames.request(stream_id, stream.header_block, body))
        else:
            stream.send_window = self._initial_window
            self.write(frames.frame(frames.HEADERS, frames.END_HEADERS, stream_id, stream.header_block))
            self._send_data(stream)

    def _send_data(self, stream: Stream) -> None:
        """Send as much of a body as the windows allow."""
        while stream.unsent_body:
            size = min(len(stream.unsent_body), self._connection_window, stream.send_window, frames.MAX_PAYLOAD_BYTES)
            if size <= 0:
                return
            part, stream.unsent_body = stream.unsent_body[:size], stream.unsent_body[size:]
            self._connection_window -= size
            stream.send_window -= size
            if not stream.unsent_body and not stream.status:
                stream.wire = MAYBE
            self.write(
                frames.frame(frames.DATA, 0 if stream.unsent_body else frames.END_STREAM, stream.stream_id, part)
            )

    def write(self, serialized: bytes) -> None:
        """Send whole frames, together with those of the same turn of the loop."""
        if not self._write_buffer:
            self._call_soon(self._flush)
        self._write_buffer.append(serialized)

    def _flush(self) -> None:
        if self.closed or self.transport is None:
            return
        out, self._write_buffer = self._write_buffer, []
        if out:
            self.transport.write(b"".join(out))

    def cancel(self, stream: Stream) -> None:
        """Reset a stream (RST_STREAM, CANCEL) whose response is not waited for any longer."""
        if self.streams.pop(stream.stream_id, None) is not None:
            self.write(frames.frame(frames.RST_STREAM, 0, stream.stream_id, frames.CANCEL.to_bytes(4, "big")))

    def close(self, error_code: int = frames.NO_ERROR) -> None:
        """Send GOAWAY and close the connection; whatever is in `streams` is the caller's business."""
        if self.closed:
            return
        self._flush()
        self.closed, self.accepts_streams = True, False
        if self.transport is not None:
            self.transport.write(frames.frame(frames.GOAWAY, 0, 0, bytes(4) + error_code.to_bytes(4, "big")))
            self.transport.close()

    def pause_writing(self) -> None:
        """Pause: the peer reads more slowly than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """Resume: the peer has caught up."""
        self._paused = False
        self._on_capacity()

    def acknowledge(self, frame_type: int, payload: bytes = b"") -> None:
        """Acknowledge a SETTINGS or PING frame. FrameError for a peer that goes on asking and reads nothing."""
        if self._paused and self.transport.get_write_buffer_size() > _MAX_WRITE_BUFFER_BYTES:
            raise FrameError("peer that asks and reads nothing")
        self.write(frames.frame(frame_type, frames.ACK, 0, payload))

    def increase_window(self, stream_id: int, increment: int) -> None:
        """Increase a flow-control window; stream 0 is the connection. FrameError beyond what there can be."""
        if stream_id == 0:
            self._connection_window += increment
            if self._connection_window > frames.MAX_WINDOW:
                raise FrameError("WINDOW_UPDATE frame out of bounds")
            self.send_blocked()
        elif (stream := self.streams.get(stream_id)) is not None:
            stream.send_window += increment
            self._send_data(stream)

    def set_initial_window(self, window: int) -> None:
        """Apply the peer's initial window size, also to the open streams (RFC 9113, 6.9.2)."""
        for stream in self.streams.values():
            stream.send_window += window - self._initial_window
        self._initial_window = window

    def send_blocked(self) -> None:
        """Send what flow control has held up."""
        for stream in list(self.streams.values()):
            if stream.unsent_body:
                self._send_data(stream)
        self._on_capacity()
