"""The sending half of an HTTP/2 connection: flow control (RFC 9113, 5.2) and stream concurrency (5.1.2).

Invariants: a request is written once at most; it counts as sent (MAYBE) from the moment its last byte is handed to
the transport; a large body leaves a part of the connection's window to the requests that come after it, so that none
of them waits for it; no request has more fields than the peer takes. Frames of one turn of the loop leave together.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from delivery.http2 import frames, hpack_encoding
from delivery.http2.frames import FrameError, StreamError
from delivery.http2.reset_streams import ResetStreams
from delivery.http2.stale_connection import is_dropped
from delivery.http2.stream import Stream
from delivery.outcomes.verdict import MAYBE

MAX_RESPONSE_BYTES: Final = 65_536
MAX_RESPONSE_FIELDS: Final = 16_384
"""Bytes of the header list of a response (SETTINGS_MAX_HEADER_LIST_SIZE); that of a provider has hundreds."""
MAX_REQUEST_FIELDS: Final = 6_144
"""Bytes of the header block of a request; that of a push has 1 KB, with a long access token 3."""
_ANY_HEADER_LIST: Final = 8_000
"""No header list of ours is longer: MAX_REQUEST_FIELDS, and for each of some 15 fields its name and 32 bytes."""
DEFAULT_CONCURRENT_STREAMS: Final = 100
"""The limit where the peer sets none; RFC 9113 (6.5.2) recommends that none be lower."""
RECEIVE_WINDOW: Final = 2**30
_SETTINGS_FRAME: Final = frames.settings(
    {
        frames.HEADER_TABLE_SIZE: 0,
        frames.ENABLE_PUSH: 0,
        frames.INITIAL_WINDOW_SIZE: 2 * MAX_RESPONSE_BYTES,
        frames.MAX_HEADER_LIST_SIZE: MAX_RESPONSE_FIELDS,
    }
)
_MAX_STREAM_ID: Final = 2**31 - 1
LARGE_BYTES: Final = 8192
"""No push that a provider takes has a longer body, unless its text is made of characters that JSON escapes."""
RESERVED_WINDOW: Final = 16_384
"""Bytes of the connection's window that large bodies leave to others; its size is 65,535 where the peer grants none."""
DEFAULT_TABLE_SIZE: Final = 4096
_TABLE_SIZE_UPDATE: Final = b"\x20"
"""The dynamic table has size 0 from now on (RFC 7541, 6.3): we keep none."""
BUFFER_FULL: Final = 1
_CALM: Final = 2


class ConnectionSender(asyncio.Protocol, ABC):
    """The sending half, see the module.

    streams: the open ones, by their id; accepts_streams: whether more may be opened; max_concurrent_streams: how many
    at once the peer takes; closed: nothing is read or written any more.
    """

    # With more than 30 attributes, those of an instance are found more slowly: every answer pays for it.
    __slots__ = (
        *("streams", "accepts_streams", "max_concurrent_streams", "closed", "transport"),
        *("_blocked", "_call_soon", "_caution", "_connection_window", "_cramped", "_initial_window", "_large"),
        *("_max_header_list", "_next_stream_id", "_on_capacity", "_reset_streams", "_stream_limit", "_table_size"),
        *("_table_update_due", "_whole_bytes", "_window_grew", "_write_buffer"),
    )

    def __init__(self, on_capacity: Callable[[], None]) -> None:
        """on_capacity: called when more can be sent, or nothing more on this connection."""
        self._on_capacity = on_capacity
        self.transport: Any = None
        self._call_soon: Callable[..., object] = asyncio.get_running_loop().call_soon
        self.streams: dict[int, Stream] = {}
        self.accepts_streams = self.closed = False
        self.max_concurrent_streams = self._stream_limit = DEFAULT_CONCURRENT_STREAMS
        self._caution: int | None = None
        self._blocked = 0  # BUFFER_FULL, _CALM or both: no stream is opened meanwhile
        self._next_stream_id = 1
        self._connection_window = self._initial_window = 65_535
        self._whole_bytes = LARGE_BYTES  # no longer body leaves with its header block in one piece
        self._table_size = DEFAULT_TABLE_SIZE  # of the dynamic table, as the peer knows it from our header blocks
        self._table_update_due = False
        self._max_header_list = _ANY_HEADER_LIST  # or the peer's limit, where that is smaller
        self._window_grew = False  # flow control may have held up less since
        self._reset_streams = ResetStreams()
        self._large: dict[int, Stream] = {}  # open streams that have a large body, or a rest of one
        self._cramped: dict[int, Stream] = {}  # open streams whose smaller body did not fit into a window
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

    @property
    def used(self) -> bool:
        """Whether a request was begun on it."""
        return self._next_stream_id > 1

    def limit_streams(self, max_concurrent: int, caution: int | None) -> None:
        """Open no more streams at once than the peer takes, and than `caution` says; None: as many as that."""
        self.max_concurrent_streams, self._caution = max_concurrent, caution
        self._stream_limit = max_concurrent if caution is None else min(max_concurrent, max(1, caution))

    def can_send(self, size: int) -> bool:
        """Tell whether a request with a body of so many bytes can be sent now."""
        return (
            self.accepts_streams
            and not self._blocked
            and len(self.streams) < self._stream_limit
            # A large one is begun at once and sent in parts. So is any other while nothing else is under way: the
            # peer may enlarge the window only when all of it is used.
            and (size <= self._connection_window or size > LARGE_BYTES or not self.streams)
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
        if size > self._whole_bytes or size > self._connection_window:
            limit = self._max_header_list
            if limit < _ANY_HEADER_LIST and hpack_encoding.header_list_size(stream.header_block) > limit:
                del self.streams[stream_id]  # its id is given up (RFC 9113, 5.1.1)
                self._on_unsendable(stream)
                return
            if self._table_update_due:
                self._announce_table_size(stream)
            if size > min(self._initial_window, LARGE_BYTES, self._connection_window):
                self._send_in_parts(stream)
                return
        self._connection_window -= size
        stream.unsent_body = b""
        stream.wire = MAYBE
        self.write(frames.request(stream_id, stream.header_block, body))

    @abstractmethod
    def _on_unsendable(self, stream: Stream) -> None:
        """End a stream whose header list is longer than the peer takes; not before send() has returned."""

    def _announce_table_size(self, stream: Stream) -> None:
        """Begin a header block with the size of our dynamic table, as the peer's smaller limit asks for."""
        stream.header_block = _TABLE_SIZE_UPDATE + stream.header_block
        self._table_size, self._table_update_due = 0, False
        self._limit_whole_bodies()

    def _limit_whole_bodies(self) -> None:
        # While a table size update is due, every request takes the way that looks for it, and none pays for it later.
        looked_at = self._table_update_due or self._max_header_list < _ANY_HEADER_LIST
        self._whole_bytes = -1 if looked_at else min(self._initial_window, LARGE_BYTES)

    def _send_in_parts(self, stream: Stream) -> None:
        stream.send_window = self._initial_window
        waiting = self._large if len(stream.unsent_body) > LARGE_BYTES else self._cramped
        waiting[stream.stream_id] = stream
        self.write(frames.frame(frames.HEADERS, frames.END_HEADERS, stream.stream_id, stream.header_block))
        self._send_data(stream)

    def _send_data(self, stream: Stream) -> None:
        """Send as much of a body as the windows allow."""
        stream_id = stream.stream_id
        reserved = RESERVED_WINDOW if stream_id in self._large else 0
        while stream.unsent_body:
            window = min(self._connection_window - reserved, stream.send_window)
            size = min(len(stream.unsent_body), window, frames.MAX_PAYLOAD_BYTES)
            if size <= 0:
                return
            part, stream.unsent_body = stream.unsent_body[:size], stream.unsent_body[size:]
            self._connection_window -= size
            stream.send_window -= size
            if not stream.unsent_body and not stream.status:
                stream.wire = MAYBE
            self.write(frames.frame(frames.DATA, 0 if stream.unsent_body else frames.END_STREAM, stream_id, part))
        self._large.pop(stream_id, None)
        self._cramped.pop(stream_id, None)

    def remove(self, stream_id: int) -> Stream | None:
        """Remove and return an open stream, None where there is none: nothing more is sent on it."""
        self._large.pop(stream_id, None)
        self._cramped.pop(stream_id, None)
        return self.streams.pop(stream_id, None)

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
        if self.remove(stream.stream_id) is not None:
            self._reset(stream.stream_id, frames.CANCEL)

    def _reset(self, stream_id: int, error_code: int) -> None:
        """Send RST_STREAM for a stream that is no longer open, and remember it."""
        self.write(frames.frame(frames.RST_STREAM, 0, stream_id, error_code.to_bytes(4, "big")))
        self._reset_streams.add(stream_id)

    def _check_opened(self, stream_id: int) -> None:
        """Check that a frame's stream is one that we have opened (RFC 9113, 5.1 and 5.1.1): else FrameError."""
        if stream_id % 2 == 0 or stream_id >= self._next_stream_id:
            raise FrameError("frame of a stream that was never opened")

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
        self._blocked |= BUFFER_FULL

    def resume_writing(self) -> None:
        """Resume: the peer has caught up."""
        self._blocked &= ~BUFFER_FULL
        self._on_capacity()

    def hold(self) -> None:
        """Open no streams until release(): the peer asks for calm."""
        self._blocked |= _CALM

    def release(self) -> None:
        """Open streams again."""
        self._blocked &= ~_CALM
        self._on_capacity()

    def increase_window(self, increment: int) -> None:
        """Increase the connection's flow-control window. FrameError beyond what there can be (RFC 9113, 6.9.1)."""
        self._connection_window += increment
        if self._connection_window > frames.MAX_WINDOW:
            raise FrameError("WINDOW_UPDATE frame out of bounds", frames.FLOW_CONTROL_ERROR)
        self._window_grew = True

    def increase_stream_window(self, stream: Stream, increment: int) -> None:
        """Increase a stream's flow-control window. StreamError beyond what there can be."""
        stream.send_window += increment  # of a request that was sent whole it counts nothing but this
        if stream.send_window > frames.MAX_WINDOW:
            raise StreamError("WINDOW_UPDATE frame out of bounds", frames.FLOW_CONTROL_ERROR)
        if stream.unsent_body:
            self._send_data(stream)

    def set_initial_window(self, window: int) -> None:
        """Apply the peer's initial window size, also to the streams that wait (RFC 9113, 6.9.2). FrameError."""
        for stream in (*self._cramped.values(), *self._large.values()):
            stream.send_window += window - self._initial_window
            if stream.send_window > frames.MAX_WINDOW:
                raise FrameError("SETTINGS frame with a value out of bounds", frames.FLOW_CONTROL_ERROR)
        self._initial_window = window
        self._limit_whole_bodies()

    def set_max_header_list(self, limit: int) -> None:
        """Apply the peer's limit of a request's header list, in bytes as RFC 9113 (6.5.2) counts them."""
        self._max_header_list = min(limit, _ANY_HEADER_LIST)
        self._limit_whole_bodies()

    def set_header_table_size(self, limit: int) -> None:
        """Apply the peer's limit of our dynamic table; a smaller one has to be acknowledged (RFC 9113, 4.3.1)."""
        if limit < self._table_size:
            self._table_update_due = True
            self._limit_whole_bodies()

    def send_blocked(self) -> None:
        """Send what flow control has held up, large bodies last."""
        self._window_grew = False
        for stream in (*self._cramped.values(), *self._large.values()):
            self._send_data(stream)
        self._on_capacity()
