"""The responses on an HTTP/2 connection (RFC 9113, 8.1): from the frames of streams to what came of each request.

Invariants: a stream is handed to on_stream_ended once; a malformed response ends its stream and no other, and is no
answer (8.1.1); frames that are a part of no answer are counted, see MAX_CONTROL_FRAMES.
"""

from collections.abc import Callable
from typing import Final

from delivery.http2 import frames
from delivery.http2.connection_sender import MAX_RESPONSE_BYTES, MAX_RESPONSE_FIELDS, ConnectionSender
from delivery.http2.frames import FrameError, StreamError
from delivery.http2.response_headers import ResponseHeaders
from delivery.http2.stream import Stream
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import NOT_SENT

MAX_CONTROL_FRAMES: Final = 10_000
"""Frames that may come between two answers without being a part of one; more are a flood, which costs us time for
nothing (https://www.kb.cert.org/vuls/id/605641). A busy peer sends two WINDOW_UPDATE frames for each answer."""
_BLOCK_BYTES: Final = 64
"""So many bytes of a header block that is no answer count as a frame: reading them costs as much."""


class ConnectionResponses(ConnectionSender):
    """The responses of a connection, see the module."""

    __slots__ = ("_control_frames", "_on_stream_ended", "_response_headers")

    def __init__(self, on_capacity: Callable[[], None], on_stream_ended: Callable[[Stream], None]) -> None:
        """on_capacity: see ConnectionSender; on_stream_ended: takes each stream that has come to its end."""
        super().__init__(on_capacity)
        self._on_stream_ended = on_stream_ended
        self._control_frames = 0
        self._response_headers = ResponseHeaders(MAX_RESPONSE_FIELDS)

    def _fail_stream(self, stream_id: int, error: StreamError) -> None:
        """Reset a stream on which the peer does not keep to HTTP/2; what it has answered there is no answer."""
        stream = self.remove(stream_id)
        if stream is not None:
            self._reset(stream_id, error.code)
            stream.fail(TransportFault.PROTOCOL, str(error))
            self._on_stream_ended(stream)

    def _on_unsendable(self, stream: Stream) -> None:
        stream.fault, stream.error = TransportFault.PROTOCOL, "the peer takes no request with so many header fields"
        self._call_soon(self._on_stream_ended, stream)

    def _count_control_frame(self, weight: int = 1) -> None:
        self._control_frames += weight
        if self._control_frames > MAX_CONTROL_FRAMES:
            raise FrameError("flood of frames that answer nothing", frames.ENHANCE_YOUR_CALM)

    def _receive_on_closed(self, stream_id: int) -> None:
        """Refuse DATA or HEADERS of a stream that is not open (RFC 9113, 5.1 and 6.1), unless we have reset it."""
        self._check_opened(stream_id)
        self._count_control_frame()
        if stream_id not in self._reset_streams:
            self._reset(stream_id, frames.STREAM_CLOSED)

    def _receive_headers(self, flags: int, stream_id: int, block: bytes) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            self._count_control_frame(len(block) // _BLOCK_BYTES)
            self._receive_on_closed(stream_id)
        status, fields = self._response_headers.decode(block)  # of a reset stream, too: the next block may need it
        if stream is None:
            return
        ends = flags & frames.END_STREAM
        if not stream.status:
            if not status or (status < 200 and ends):
                raise StreamError("answer without a status")
            if status < 200:
                self._count_control_frame(1 + len(block) // _BLOCK_BYTES)
                return  # an interim response (RFC 9110, 15.2): the final one follows
            stream.receive_headers(status, fields)
            self._control_frames = 0
            if not ends and fields and (stream.content_length or 0) > MAX_RESPONSE_BYTES:
                self._truncate(stream)
                return
        elif status or not ends:
            raise StreamError("trailers that do not end the answer, or begin another")
        if ends:
            if fields or not status:  # trailers, or an answer whose fields were read
                self._check_length(stream)
            self._end_stream(stream)

    def _receive_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            self._receive_on_closed(stream_id)
            return
        ends = flags & frames.END_STREAM
        if not stream.status:
            raise StreamError("DATA frame before the status")
        if not payload:
            if not ends:
                self._count_control_frame()
        else:
            stream.received_bytes += len(payload)
            if stream.received_bytes > MAX_RESPONSE_BYTES:
                self._truncate(stream)
                return
            stream.receive_data(payload)
        if ends:
            if stream.status != 200:
                self._check_length(stream)
            self._end_stream(stream)

    @staticmethod
    def _check_length(stream: Stream) -> None:
        """Compare an answer's length with what it says of it (RFC 9113, 8.1.1). StreamError."""
        if stream.has_wrong_length:
            raise StreamError("answer of another length than it says")

    def _end_stream(self, stream: Stream) -> None:
        if stream.unsent_body:  # answered before all of it was sent: the rest never will be
            self.cancel(stream)
        else:
            del self.streams[stream.stream_id]
        self._on_stream_ended(stream)

    def _truncate(self, stream: Stream) -> None:
        """Reset a stream whose response body is too long; its status counts."""
        stream.discard_body()
        self.cancel(stream)
        self._on_stream_ended(stream)

    def _end_disowned(self, stream: Stream, fault: TransportFault, text: str) -> None:
        if not stream.status:  # what was answered was processed, whatever is said later
            stream.fault, stream.error, stream.wire = fault, text, NOT_SENT
        stream.discard_body()
        self._on_stream_ended(stream)
