"""The frames of HTTP/2 (RFC 9113, section 6): those that we write, and those of a peer cut apart. Pure.

A frame is its length (3 bytes), type, flags, stream (4 bytes), and then its content.
"""

import struct
from collections.abc import Iterator
from typing import Final

_head: Final = struct.Struct(">HBBBL").unpack_from
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD: Final = 9
MOST: Final = 16_384
"""Bytes of content that every peer takes, and the most that we take (SETTINGS_MAX_FRAME_SIZE's smallest value)."""
MOST_WINDOW: Final = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM: Final = 1
ACK: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
WITH_PRIORITY: Final = 32
_WHOLE: Final = END_HEADERS | WITH_PRIORITY
_MOST_PARTS: Final = 32
"""Frames of one header block; more are no block but an attack."""

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
REFUSED_STREAM: Final = 7
CANCEL: Final = 8


class FrameError(Exception):
    """The peer does not keep to HTTP/2."""


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    """Return a whole frame."""
    return b"%b%c%c%b%b" % (len(content).to_bytes(3, "big"), kind, flags, stream.to_bytes(4, "big"), content)


def request(stream: int, head: bytes, body: bytes) -> bytes:
    """Return a whole request: HEADERS, and DATA that ends the stream. Both must have MOST bytes at most."""
    number = stream.to_bytes(4, "big")
    return b"%b\x01\x04%b%b%b\x00\x01%b%b" % (
        len(head).to_bytes(3, "big"),
        number,
        head,
        len(body).to_bytes(3, "big"),
        number,
        body,
    )


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    content = b"".join([key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values.items()])
    return frame(SETTINGS, 0, 0, content)


def read_settings(content: bytes) -> list[tuple[int, int]]:
    """Return the identifiers and values of a SETTINGS frame. FrameError where one is out of bounds."""
    if len(content) % 6:
        raise FrameError("SETTINGS frame of a wrong size")
    values = []
    for at in range(0, len(content), 6):
        key, value = int.from_bytes(content[at : at + 2], "big"), int.from_bytes(content[at + 2 : at + 6], "big")
        if (
            (key == INITIAL_WINDOW_SIZE and value > MOST_WINDOW)
            or (key == MAX_FRAME_SIZE and not MOST <= value < 2**24)
            or (key == ENABLE_PUSH and value > 1)
        ):
            raise FrameError("SETTINGS frame with a value out of bounds")
        values.append((key, value))
    return values


def number(content: bytes, at: int = 0) -> int:
    """Return a 31-bit number. FrameError where the frame is too short for it."""
    if len(content) < at + 4:
        raise FrameError("frame that is too short")
    return int.from_bytes(content[at : at + 4], "big") & MOST_WINDOW


class Parser:
    """Cuts what a peer sends into frames: padding is taken off, and a header block that comes in several is joined."""

    def __init__(self, most_block: int) -> None:
        """most_block: bytes that a header block may have."""
        self._most_block = most_block
        self.flow = 0  # bytes of DATA frames as flow control counts them: with their padding
        self._rest = b""
        self._parts = 0
        self._block: tuple[int, int, bytes] | None = None

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield (type, flags, stream, content) of each frame that is whole. FrameError where one is out of order."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= HEAD:
            high, low, kind, flags, stream = _head(data, at)
            size = high << 8 | low
            if size > MOST:
                raise FrameError("frame that is too long")
            begin = at + HEAD
            if begin + size > end:
                break
            at = begin + size
            content = data[begin:at]
            stream &= MOST_WINDOW
            if kind == DATA:
                self.flow += size
            if self._block is not None or kind > HEADERS or flags & PADDED or (kind and flags & _WHOLE != END_HEADERS):
                whole = self._uncommon(kind, flags, stream, content)
                if whole is not None:
                    yield whole
            else:
                yield kind, flags, stream, content
        self._rest = data[at:]

    def _uncommon(self, kind: int, flags: int, stream: int, content: bytes) -> tuple[int, int, int, bytes] | None:
        """Take a frame that may be padded, or a part of a header block; None when the block goes on."""
        if self._block is not None:
            first, begun, block = self._block
            if kind != CONTINUATION or stream != first:
                raise FrameError("header block that was broken off")
            return self._headers(begun | flags & END_HEADERS, stream, block + content)
        if kind == CONTINUATION:
            raise FrameError("CONTINUATION frame of no header block")
        if kind not in (DATA, HEADERS):
            return kind, flags, stream, content
        if flags & PADDED:
            if not content or content[0] >= len(content):
                raise FrameError("frame with too much padding")
            content = content[1 : len(content) - content[0]]
        if kind == DATA:
            return kind, flags, stream, content
        if flags & WITH_PRIORITY:
            content = content[5:]
        return self._headers(flags, stream, content)

    def _headers(self, flags: int, stream: int, block: bytes) -> tuple[int, int, int, bytes] | None:
        self._parts += 1
        if len(block) > self._most_block or self._parts > _MOST_PARTS:
            raise FrameError("header block that is too long")
        if flags & END_HEADERS:
            self._block, self._parts = None, 0
            return HEADERS, flags, stream, block
        self._block = (stream, flags, block)
        return None
