"""HTTP/2 framing (RFC 9113, 4 and 6): serialises the frames that we send, and parses those of a peer. Pure.

A frame is its length (3 bytes), type, flags, stream identifier (4 bytes), and then its payload.
"""

import struct
from collections.abc import Iterator
from typing import Final

_unpack_header: Final = struct.Struct(">HBBBL").unpack_from
_iter_settings: Final = struct.Struct(">HL").iter_unpack
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES: Final = 9
MAX_PAYLOAD_BYTES: Final = 16_384
"""Every peer takes as much, and we take no more (SETTINGS_MAX_FRAME_SIZE's smallest value)."""
MAX_WINDOW: Final = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
_NAMES: Final = {PRIORITY: "PRIORITY", RST_STREAM: "RST_STREAM", SETTINGS: "SETTINGS", PING: "PING", GOAWAY: "GOAWAY"}
END_STREAM: Final = 1
ACK: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
PRIORITY_FLAG: Final = 32
_PRIORITY_BYTES: Final = 5
_HEADERS_FLAGS: Final = END_HEADERS | PRIORITY_FLAG
_MAX_FRAGMENTS: Final = 32
"""Frames of one header block; more are no block but an attack."""

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
MAX_HEADER_LIST_SIZE: Final = 6
_MAX_SETTINGS: Final = 32
"""Values in one SETTINGS frame; RFC 9113 knows six, and 2,730 would fit."""

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2
FLOW_CONTROL_ERROR: Final = 3
STREAM_CLOSED: Final = 5
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
COMPRESSION_ERROR: Final = 9
ENHANCE_YOUR_CALM: Final = 11

_CONTROL_FRAMES: Final[dict[int, tuple[int, int, bool]]] = {
    PRIORITY: (_PRIORITY_BYTES, _PRIORITY_BYTES, False),
    RST_STREAM: (4, 4, False),
    SETTINGS: (0, MAX_PAYLOAD_BYTES, True),
    PING: (8, 8, True),
    GOAWAY: (8, MAX_PAYLOAD_BYTES, True),
}
"""Of each type the smallest and the largest payload, and whether it is of the connection (True) or of a stream."""


class FrameError(Exception):
    """A connection error (RFC 9113, 5.4.1), with its error code: the peer does not keep to HTTP/2."""

    def __init__(self, text: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code


class StreamError(Exception):
    """A stream error (RFC 9113, 5.4.2), with its error code: one stream is of no use, the connection goes on."""

    def __init__(self, text: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code


def frame(frame_type: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return b"%b%c%c%b%b" % (len(payload).to_bytes(3, "big"), frame_type, flags, stream_id.to_bytes(4, "big"), payload)


def request(stream_id: int, header_block: bytes, body: bytes) -> bytes:
    """Return a whole request: HEADERS, and DATA that ends the stream. Both must have MAX_PAYLOAD_BYTES at most."""
    identifier = stream_id.to_bytes(4, "big")
    return b"%b\x01\x04%b%b%b\x00\x01%b%b" % (
        len(header_block).to_bytes(3, "big"),
        identifier,
        header_block,
        len(body).to_bytes(3, "big"),
        identifier,
        body,
    )


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    payload = b"".join([key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values.items()])
    return frame(SETTINGS, 0, 0, payload)


def check_control_frame(frame_type: int, stream_id: int, size: int) -> None:
    """Check the size and the stream of a control frame (RFC 9113, 6.3 to 6.8); other types pass (5.5).

    Raises FrameError, or StreamError where the frame's stream alone is concerned.
    """
    bounds = _CONTROL_FRAMES.get(frame_type)
    if bounds is None:
        return
    smallest, largest, of_connection = bounds
    if of_connection is not (stream_id == 0):
        raise FrameError(f"{_NAMES[frame_type]} frame on stream {stream_id}")
    if not smallest <= size <= largest:
        error = StreamError if frame_type == PRIORITY else FrameError
        raise error(f"{_NAMES[frame_type]} frame of a wrong size", FRAME_SIZE_ERROR)


def read_settings(payload: bytes) -> dict[int, int]:
    """Return the values of a SETTINGS frame by their identifiers, of each the last (RFC 9113, 6.5.3).

    FrameError where one is out of bounds, or where there are far more than any peer has to say.
    """
    if len(payload) % 6:
        raise FrameError("SETTINGS frame of a wrong size", FRAME_SIZE_ERROR)
    if len(payload) > 6 * _MAX_SETTINGS:
        raise FrameError("SETTINGS frame with too many values", ENHANCE_YOUR_CALM)
    values = {}
    for key, value in _iter_settings(payload):
        if key == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise FrameError("SETTINGS frame with a value out of bounds", FLOW_CONTROL_ERROR)
        # A server may not allow what a client alone can (RFC 9113, 6.5.2).
        if (key == MAX_FRAME_SIZE and not MAX_PAYLOAD_BYTES <= value < 2**24) or (key == ENABLE_PUSH and value):
            raise FrameError("SETTINGS frame with a value out of bounds")
        values[key] = value
    return values


def read_uint32(payload: bytes, at: int = 0) -> int:
    """Return a 32-bit unsigned integer of a frame that is long enough for it."""
    return int.from_bytes(payload[at : at + 4], "big")


def read_uint31(payload: bytes, at: int = 0) -> int:
    """Return a 31-bit unsigned integer, as read_uint32."""
    return read_uint32(payload, at) & MAX_WINDOW


class FrameParser:
    """Parses a byte stream into frames: padding is taken off, and a header block of several frames is joined."""

    def __init__(self, max_block_bytes: int) -> None:
        """max_block_bytes: how long a header block may be."""
        self._max_block_bytes = max_block_bytes
        self.flow_controlled_bytes = 0  # of DATA frames, with their padding
        self._buffer = b""
        self._fragments = 0
        self._block: tuple[int, int, bytes] | None = None

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield (type, flags, stream id, payload) of each frame that is whole. FrameError where one is out of order."""
        if self._buffer:
            data = self._buffer + data
        at, end = 0, len(data)
        while end - at >= HEADER_BYTES:
            high, low, frame_type, flags, stream_id = _unpack_header(data, at)
            size = high << 8 | low
            if size > MAX_PAYLOAD_BYTES:
                raise FrameError("frame that is too long", FRAME_SIZE_ERROR)
            begin = at + HEADER_BYTES
            if begin + size > end:
                break
            at = begin + size
            payload = data[begin:at]
            stream_id &= MAX_WINDOW
            if frame_type == DATA:
                self.flow_controlled_bytes += size
            if (
                self._block is not None
                or frame_type > HEADERS
                or flags & PADDED
                or (frame_type and flags & _HEADERS_FLAGS != END_HEADERS)
            ):
                parsed = self._parse_uncommon(frame_type, flags, stream_id, payload)
                if parsed is not None:
                    yield parsed
            else:
                yield frame_type, flags, stream_id, payload
        self._buffer = data[at:]

    def _parse_uncommon(
        self, frame_type: int, flags: int, stream_id: int, payload: bytes
    ) -> tuple[int, int, int, bytes] | None:
        """Parse a frame that may be padded, or a fragment of a header block; None when the block goes on."""
        if self._block is not None:
            first_id, first_flags, block = self._block
            if frame_type != CONTINUATION or stream_id != first_id:
                raise FrameError("header block that was broken off")
            return self._join_fragment(first_flags | flags & END_HEADERS, stream_id, block + payload)
        if frame_type == CONTINUATION:
            raise FrameError("CONTINUATION frame of no header block")
        if frame_type not in (DATA, HEADERS):
            return frame_type, flags, stream_id, payload
        if flags & PADDED:
            if not payload or payload[0] >= len(payload):
                raise FrameError("frame with too much padding")
            payload = payload[1 : len(payload) - payload[0]]
        if frame_type == DATA:
            return frame_type, flags, stream_id, payload
        if flags & PRIORITY_FLAG:
            if len(payload) < _PRIORITY_BYTES:
                raise FrameError("HEADERS frame of a wrong size", FRAME_SIZE_ERROR)
            payload = payload[_PRIORITY_BYTES:]
        return self._join_fragment(flags, stream_id, payload)

    def _join_fragment(self, flags: int, stream_id: int, block: bytes) -> tuple[int, int, int, bytes] | None:
        self._fragments += 1
        if len(block) > self._max_block_bytes or self._fragments > _MAX_FRAGMENTS:
            raise FrameError("header block that is too long", ENHANCE_YOUR_CALM)
        if flags & END_HEADERS:
            self._block, self._fragments = None, 0
            return HEADERS, flags, stream_id, block
        self._block = (stream_id, flags, block)
        return None
