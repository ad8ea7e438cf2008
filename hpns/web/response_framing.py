"""Framing of an HTTP/1.1 response: its head, and by what its reader knows where its body ends. RFC 9112, 6."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

# Statuses whose responses have no body (RFC 9110, 15.3.5 and 15.4.5).
BODILESS: Final = frozenset((204, 304))


class FramingError(Exception):
    """A response that cannot be written: a line break in its head, or a body that is not as long as it said."""


class ResponseFraming:
    """One response. `is_delimited`: its end is known without the end of its connection.

    `length`: of its body, where all of it is here; a Content-Length among the headers goes before it.
    """

    __slots__ = ("_head", "_is_bodiless", "_is_chunked", "_remaining", "is_delimited")

    def __init__(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], length: int | None, *, method: str, version: str
    ) -> None:
        self._is_bodiless = method == "HEAD" or status in BODILESS
        self._is_chunked = False
        if method == "HEAD":
            length = None  # what is here is not what a GET would get
        self._head = [b"HTTP/1.1 %d %b" % (status, _phrase(status))]
        for name, value in headers:
            name = name.lower()
            if b"\r" in value or b"\n" in value or b"\0" in value:
                raise FramingError("a line break in a header")
            if name == b"content-length":
                length = int(value)
            # The others are of the connection, which is not the application's.
            elif name not in (b"transfer-encoding", b"connection", b"keep-alive", b"date"):
                self._head.append(name + b": " + value)
        self._remaining = length
        self.is_delimited = self._is_bodiless or length is not None or version == "1.1"
        if status in BODILESS:
            return
        if length is not None:
            self._head.append(b"content-length: %d" % length)
        elif version == "1.1" and method != "HEAD":
            self._is_chunked = True
            self._head.append(b"transfer-encoding: chunked")

    def head(self, date: bytes, *, keep_alive: bool) -> bytes:
        """The bytes of the head."""
        lines = [*self._head, b"date: " + date]
        if not keep_alive:
            lines.append(b"connection: close")
        return b"\r\n".join([*lines, b"", b""])

    def piece(self, body: bytes, *, more: bool) -> bytes:
        """A piece of the body as it goes on the wire. Raises FramingError."""
        if self._is_bodiless:
            return b""
        if self._is_chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return piece if more else piece + b"0\r\n\r\n"
        if self._remaining is not None:
            self._remaining -= len(body)
            if self._remaining < 0 or (self._remaining and not more):
                raise FramingError("a body that is not as long as its Content-Length")
        return body


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
