"""One HTTP/2 connection, client side (RFC 9113): requests out (connection_sender.py), responses in
(connection_responses.py), and what the peer says of the connection. It knows nothing of time or of dialling.

What we send is simple, so this is less than a library: requests with a small body, no server push, no dynamic header
table, and responses that are cut off above MAX_RESPONSE_BYTES, so that no window of ours ever closes. Invariants: a
request that was sent counts as NOT_SENT only where the peer has said that it did not process it; each stream is handed
to on_stream_ended once, or left in `streams` for on_lost; a peer that floods us is left, see MAX_CONTROL_FRAMES, and no
peer has more of a turn of the loop than TURN_BYTES take. What RFC 9113 forbids ends its stream or the connection, as it
demands; a malformed response ends its stream alone (8.1.1).
"""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from hpack import HPACKError

from delivery.http2 import error_codes, frames
from delivery.http2.connection_responses import ConnectionResponses
from delivery.http2.connection_sender import BUFFER_FULL, MAX_RESPONSE_FIELDS, RECEIVE_WINDOW
from delivery.http2.frames import FrameError, StreamError
from delivery.http2.stream import Stream
from delivery.http2.turns import TURN_BYTES, Turns
from delivery.outcomes.transport import TransportFault

log = logging.getLogger(__name__)

_EXPENSIVE: Final = {frames.SETTINGS: 100, frames.GOAWAY: 100}
"""What counts as so many of them, since it concerns all open streams; a peer sends few in a connection's life."""
_MAX_WRITE_BUFFER_BYTES: Final = 1_048_576
"""Bytes that may wait for a peer that goes on asking and reads nothing."""
_GOAWAY_BYTES: Final = 8
_WINDOW_UPDATE_BYTES: Final = 4


class Notice(Protocol):
    """Hears what a peer has said: an error code (RFC 9113, 7), a text for the log, and whether it was a GOAWAY."""

    def __call__(self, error_code: int, text: str, *, goaway: bool) -> None:
        """Take it; nothing may be raised."""


class Connection(ConnectionResponses):
    """A client connection, see the module.

    settings_received: whether the peer has sent its SETTINGS; goaway_text: what its GOAWAY said, "" before it; taken:
    how many requests it took in all, once it has disowned others by GOAWAY, None before that; refusal: the reason for
    which a GOAWAY turned the credential down, "" where none did.
    """

    __slots__ = (
        *("_on_lost", "_on_notice", "_parser", "_turns", "_refusals"),
        *("goaway_text", "ping_unanswered", "refusal", "settings_received", "taken"),
    )

    def __init__(
        self,
        on_capacity: Callable[[], None],
        on_stream_ended: Callable[[Stream], None],
        on_lost: Callable[[TransportFault, str], None],
        on_notice: Notice,
        refusals: frozenset[str] = frozenset(),
    ) -> None:
        """on_capacity: see ConnectionSender; on_lost(fault, error): the connection has ended, or is of no use.

        on_notice(error code, text, goaway): the peer has sent GOAWAY, or has reset a stream to ask for calm. It comes
        before the streams end that this concerns. refusals: the reasons in a GOAWAY's debug data that turn down the
        credential with which the connection was opened.
        """
        super().__init__(on_capacity, on_stream_ended)
        self._on_lost, self._on_notice = on_lost, on_notice
        self._refusals = refusals
        self.settings_received = self.ping_unanswered = False
        self.goaway_text = self.refusal = ""
        self.taken: int | None = None
        self._turns = Turns(self._process, self._call_soon)
        self._parser = frames.FrameParser(MAX_RESPONSE_FIELDS)

    def connection_lost(self, error: Exception | None) -> None:
        """Report the end of the connection, unless we closed it, once all that came before is processed."""
        self._turns.drain()
        expected = self.closed or self.transport is None  # who still dials learns of it in another way
        self.closed, self.accepts_streams = True, False
        if expected:
            return
        # Without TLS's close_notify, it was closed all the same.
        closed = error is None or "EOF" in str(error)
        text = "; ".join(filter(None, (self.goaway_text, str(error or ""))))
        self._on_lost(TransportFault.CLOSED if closed else TransportFault.RESET, text)

    def data_received(self, data: bytes) -> None:
        """Process frames of the peer."""
        if len(data) > TURN_BYTES or self._turns.unread:
            self._turns.defer(data, self.transport)
        else:
            self._process(data)

    def _process(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            for frame_type, flags, stream_id, payload in self._parser.feed(data):
                try:
                    self._receive_frame(frame_type, flags, stream_id, payload)
                except StreamError as error:
                    self._fail_stream(stream_id, error)
                if self.closed:
                    return
        except FrameError as error:
            self._fail(str(error), error.code)
            return
        except HPACKError as error:
            self._fail(str(error), frames.COMPRESSION_ERROR)
            return
        except Exception as error:
            log.exception("a frame of a provider could not be processed")
            self._fail(type(error).__name__, frames.INTERNAL_ERROR)
            return
        if self._window_grew:
            self.send_blocked()
        if self._parser.flow_controlled_bytes > RECEIVE_WINDOW // 2:
            self.write(frames.frame(frames.WINDOW_UPDATE, 0, 0, self._parser.flow_controlled_bytes.to_bytes(4, "big")))
            self._parser.flow_controlled_bytes = 0

    def _fail(self, reason: str, error_code: int) -> None:
        """Close the connection: the peer does not keep to HTTP/2, or we do not understand it."""
        if not self.closed:
            self.close(error_code)
            self._on_lost(TransportFault.PROTOCOL, reason)

    def _receive_frame(self, frame_type: int, flags: int, stream_id: int, payload: bytes) -> None:
        if not self.settings_received and (frame_type != frames.SETTINGS or flags & frames.ACK):
            raise FrameError("no SETTINGS frame at first")
        if frame_type == frames.HEADERS:
            self._receive_headers(flags, stream_id, payload)
        elif frame_type == frames.DATA:
            self._receive_data(flags, stream_id, payload)
        elif frame_type == frames.WINDOW_UPDATE:
            self._count_control_frame()
            self._receive_window_update(stream_id, payload)
        else:
            self._count_control_frame(_EXPENSIVE.get(frame_type, 1))
            frames.check_control_frame(frame_type, stream_id, len(payload))
            self._receive_control_frame(frame_type, flags, stream_id, payload)

    def _receive_control_frame(self, frame_type: int, flags: int, stream_id: int, payload: bytes) -> None:
        if frame_type == frames.SETTINGS:
            self._receive_settings(flags, payload)
        elif frame_type == frames.RST_STREAM:
            self._check_opened(stream_id)
            self._receive_rst_stream(stream_id, frames.read_uint32(payload))
        elif frame_type == frames.GOAWAY:
            last_stream_id, error_code = frames.read_uint31(payload), frames.read_uint32(payload, 4)
            self._receive_goaway(last_stream_id, error_code, payload[_GOAWAY_BYTES:])
        elif frame_type == frames.PUSH_PROMISE:
            raise FrameError("PUSH_PROMISE frame")
        elif frame_type == frames.PING:
            if flags & frames.ACK:
                self.ping_unanswered = False
            else:
                self.acknowledge(frames.PING, payload)

    def ping(self) -> None:
        """Send a PING; ping_unanswered is set until the peer has answered it (RFC 9113, 6.7)."""
        self.ping_unanswered = True
        self.write(frames.frame(frames.PING, 0, 0, bytes(8)))

    def acknowledge(self, frame_type: int, payload: bytes = b"") -> None:
        """Acknowledge a SETTINGS or PING frame. FrameError for a peer that goes on asking and reads nothing."""
        if self._blocked & BUFFER_FULL and self.transport.get_write_buffer_size() > _MAX_WRITE_BUFFER_BYTES:
            raise FrameError("peer that asks and reads nothing")
        self.write(frames.frame(frame_type, frames.ACK, 0, payload))

    def _receive_settings(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if payload:
                raise FrameError("SETTINGS frame of a wrong size", frames.FRAME_SIZE_ERROR)
            return
        for key, value in frames.read_settings(payload).items():
            if key == frames.MAX_CONCURRENT_STREAMS:
                self.limit_streams(value, self._caution)
            elif key == frames.INITIAL_WINDOW_SIZE:
                self.set_initial_window(value)
            elif key == frames.HEADER_TABLE_SIZE:
                self.set_header_table_size(value)
            elif key == frames.MAX_HEADER_LIST_SIZE:
                self.set_max_header_list(value)
        self.acknowledge(frames.SETTINGS)
        if not self.settings_received:
            self.settings_received = self.accepts_streams = True
        self._window_grew = True

    def _receive_window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != _WINDOW_UPDATE_BYTES:
            raise FrameError("WINDOW_UPDATE frame of a wrong size", frames.FRAME_SIZE_ERROR)
        increment = int.from_bytes(payload, "big") & frames.MAX_WINDOW
        if stream_id:
            stream = self.streams.get(stream_id)
            if stream is None:
                self._check_opened(stream_id)
            elif increment:
                self.increase_stream_window(stream, increment)
            else:
                raise StreamError("WINDOW_UPDATE frame out of bounds")
        elif increment:
            self.increase_window(increment)
        else:
            raise FrameError("WINDOW_UPDATE frame out of bounds")

    def _receive_rst_stream(self, stream_id: int, error_code: int) -> None:
        text = f"RST_STREAM {error_codes.name(error_code)}"
        if error_code == frames.ENHANCE_YOUR_CALM:
            self._on_notice(error_code, text, goaway=False)
        stream = self.remove(stream_id)
        if stream is None:
            return
        if error_code == frames.REFUSED_STREAM:
            self._end_disowned(stream, TransportFault.REFUSED_STREAM, text)
            return
        stream.fault, stream.error = TransportFault.RESET, text
        stream.discard_body()
        self._on_stream_ended(stream)

    def _receive_goaway(self, last_stream_id: int, error_code: int, debug_data: bytes) -> None:
        """Open no more streams; the peer disowns those after last_stream_id, and goes on with the others."""
        self.accepts_streams = False
        self.goaway_text = error_codes.goaway_text(error_code, debug_data)
        reason = error_codes.goaway_reason(debug_data)
        fault, text = TransportFault.GOAWAY, self.goaway_text
        if reason in self._refusals:
            self.refusal = text = reason
            fault = TransportFault.CREDENTIAL
        disowned = [stream_id for stream_id in self.streams if stream_id > last_stream_id]
        if disowned:
            self.taken = (last_stream_id + 1) // 2  # ours are odd
        self._on_notice(error_code, self.goaway_text, goaway=True)
        for stream_id in disowned:
            if (stream := self.remove(stream_id)) is not None:
                self._end_disowned(stream, fault, text)
        self._on_capacity()
