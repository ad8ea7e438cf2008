"""One HTTP/2 connection, client side (RFC 9113): requests out (connection_sender.py), responses in. It knows nothing of
time or of dialling.

What we send is simple, so this is less than a library: requests with a small body, no server push, no dynamic header
table, and responses that are cut off above MAX_RESPONSE_BYTES, so that no window of ours ever closes. Invariants: a
request that was sent counts as NOT_SENT only where the peer has said that it did not process it; each stream is handed
to on_stream_ended once, or left in `streams` for on_lost.
"""

import logging
from collections.abc import Callable
from typing import Final

from hpack import HPACKError

from delivery.http2 import frames
from delivery.http2.connection_sender import MAX_RESPONSE_BYTES, RECEIVE_WINDOW, ConnectionSender
from delivery.http2.frames import FrameError
from delivery.http2.response_headers import ResponseHeaders
from delivery.http2.stream import Stream
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import NOT_SENT

log = logging.getLogger(__name__)

_PING_BYTES: Final = 8


class Connection(ConnectionSender):
    """A client connection, see the module. settings_received: whether the peer has sent its SETTINGS."""

    def __init__(
        self,
        on_capacity: Callable[[], None],
        on_stream_ended: Callable[[Stream], None],
        on_lost: Callable[[TransportFault, str], None],
    ) -> None:
        """on_capacity: see ConnectionSender; on_lost(fault, error): the connection has ended, or is of no use."""
        super().__init__(on_capacity)
        self._on_stream_ended, self._on_lost = on_stream_ended, on_lost
        self.settings_received = False
        self._parser = frames.FrameParser(MAX_RESPONSE_BYTES)
        self._response_headers = ResponseHeaders(MAX_RESPONSE_BYTES)

    def connection_lost(self, error: Exception | None) -> None:
        """Report the end of the connection, unless we closed it."""
        expected = self.closed or self.transport is None  # who still dials learns of it in another way
        self.closed, self.accepts_streams = True, False
        if expected:
            return
        # Without TLS's close_notify, it was closed all the same.
        closed = error is None or "EOF" in str(error)
        self._on_lost(TransportFault.CLOSED if closed else TransportFault.RESET, str(error or ""))

    def data_received(self, data: bytes) -> None:
        """Process frames of the peer."""
        if self.closed:
            return
        try:
            for frame_type, flags, stream_id, payload in self._parser.feed(data):
                self._receive_frame(frame_type, flags, stream_id, payload)
                if self.closed:
                    return
        except (FrameError, HPACKError) as error:
            self._fail(str(error))
            return
        except Exception as error:
            log.exception("a frame of a provider could not be processed")
            self._fail(type(error).__name__)
            return
        if self._parser.flow_controlled_bytes > RECEIVE_WINDOW // 2:
            self.write(frames.frame(frames.WINDOW_UPDATE, 0, 0, self._parser.flow_controlled_bytes.to_bytes(4, "big")))
            self._parser.flow_controlled_bytes = 0

    def _fail(self, reason: str) -> None:
        """Close the connection with PROTOCOL_ERROR: the peer does not keep to HTTP/2, or we do not understand it."""
        if not self.closed:
            self.close(frames.PROTOCOL_ERROR)
            self._on_lost(TransportFault.PROTOCOL, reason)

    def _receive_frame(self, frame_type: int, flags: int, stream_id: int, payload: bytes) -> None:
        if not self.settings_received and frame_type != frames.SETTINGS:
            raise FrameError("no SETTINGS frame at first")
        if frame_type == frames.HEADERS:
            self._receive_headers(flags, stream_id, payload)
        elif frame_type == frames.DATA:
            self._receive_data(flags, stream_id, payload)
        elif frame_type == frames.SETTINGS:
            self._receive_settings(flags, payload)
        elif frame_type == frames.WINDOW_UPDATE:
            self._receive_window_update(stream_id, frames.read_uint31(payload))
        elif frame_type == frames.RST_STREAM:
            self._receive_rst_stream(stream_id, frames.read_uint31(payload))
        elif frame_type == frames.GOAWAY:
            self._receive_goaway(frames.read_uint31(payload))
        elif frame_type == frames.PUSH_PROMISE:
            raise FrameError("PUSH_PROMISE frame")
        elif frame_type == frames.PING:
            if len(payload) != _PING_BYTES:
                raise FrameError("PING frame of a wrong size")
            if not flags & frames.ACK:
                self.acknowledge(frames.PING, payload)

    def _receive_headers(self, flags: int, stream_id: int, block: bytes) -> None:
        status, fields = self._response_headers.decode(block)  # of a reset stream, too: the next block may need it
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        ends = flags & frames.END_STREAM
        if not stream.status:
            if not status or (status < 200 and ends):
                raise FrameError("answer without a status")
            if status < 200:
                return  # an interim response (RFC 9110, 15.2): the final one follows
            stream.receive_headers(status, fields)
            if not ends and stream.content_length > MAX_RESPONSE_BYTES:
                self._truncate(stream)
                return
        if ends:
            self._end_stream(stream)

    def _receive_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        if not stream.status:
            raise FrameError("DATA frame before the status")
        stream.received_bytes += len(payload)
        if stream.received_bytes > MAX_RESPONSE_BYTES:
            self._truncate(stream)
            return
        if payload:
            stream.receive_data(payload)
        if flags & frames.END_STREAM:
            self._end_stream(stream)

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

    def _receive_settings(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        for key, value in frames.read_settings(payload):
            if key == frames.MAX_CONCURRENT_STREAMS:
                self.max_concurrent_streams = value
            elif key == frames.INITIAL_WINDOW_SIZE:
                self.set_initial_window(value)
        self.acknowledge(frames.SETTINGS)
        if not self.settings_received:
            self.settings_received = self.accepts_streams = True
        self.send_blocked()

    def _receive_window_update(self, stream_id: int, increment: int) -> None:
        if stream_id == 0 and not increment:
            raise FrameError("WINDOW_UPDATE frame out of bounds")
        self.increase_window(stream_id, increment)

    def _receive_rst_stream(self, stream_id: int, error_code: int) -> None:
        stream = self.streams.pop(stream_id, None)
        if stream is None:
            return
        if error_code == frames.REFUSED_STREAM:
            self._end_disowned(stream)
            return
        stream.fault, stream.error = TransportFault.RESET, f"stream reset with error {error_code}"
        stream.discard_body()
        self._on_stream_ended(stream)

    def _end_disowned(self, stream: Stream) -> None:
        if not stream.status:  # what was answered was processed, whatever is said later
            stream.fault, stream.wire = TransportFault.REFUSED_STREAM, NOT_SENT
        stream.discard_body()
        self._on_stream_ended(stream)

    def _receive_goaway(self, last_stream_id: int) -> None:
        """Open no more streams; the peer disowns those after last_stream_id, and goes on with the others."""
        self.accepts_streams = False
        for stream_id in [stream_id for stream_id in self.streams if stream_id > last_stream_id]:
            if (stream := self.streams.pop(stream_id, None)) is not None:
                self._end_disowned(stream)
        self._on_capacity()
