"""Reading of HTTP/1.1 requests with httptools (llhttp, strict): heads within bounds, bodies in pieces as they come.

RFC 9110, RFC 9112. Invariants: a head has at most HEAD_MAX bytes and LINES_MAX lines; where it is in doubt how long a
body is, the request is refused and its connection with it, for the doubt is what requests are smuggled by.
"""

import logging
import re
from collections.abc import Callable
from typing import Final, NoReturn

import httptools

from hpns.web.repeated_head import RepeatedHead, learnt
from hpns.web.request_head import Headers, RequestHead
from tenants.known_key import KnownKey

logger = logging.getLogger(__name__)

# Bytes and lines of a head. Cookies and keys are far below.
HEAD_MAX, LINES_MAX = 128 * 1024, 100
# Heads of a connection that are remembered: one for pushes, and one for acks; and how often one is sought to remember.
REPEATED_MOST, REPEATED_SOUGHT = 2, 8
# A request line with a method that llhttp does not know; what else it cannot read is no request.
_UNKNOWN_METHOD: Final = re.compile(rb"[A-Z-]+ [!-~]+ HTTP/1\.[01]\r\n")


class RequestError(Exception):
    """What has come is no request that can be answered; `status` is that of the error. Nothing can be read after it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestReader:
    """The requests of one connection. on_head is called with a head and whether the connection may be kept for another
    request, and says whether others with the same head may follow; on_body is called with each piece of its body,
    on_complete at its end."""

    __slots__ = (
        "_begun", "_head_size", "_headers", "_is_between", "_is_upgrading", "_known_key", "_learning", "_on_complete",
        "_on_head", "_parser", "_peer", "_repeated", "_scheme", "_sought", "_status", "_target", "_tls", "is_in_head",
        "on_body",
    )  # fmt: skip

    def __init__(
        self,
        peer: str,
        scheme: str,
        on_head: Callable[[RequestHead, bool], bool],
        on_body: Callable[[bytes], None],
        on_complete: Callable[[], None],
        tls: str = "",
    ) -> None:
        self._peer, self._scheme, self._tls = peer, scheme, tls
        self._on_head, self.on_body, self._on_complete = on_head, on_body, on_complete
        self._known_key = KnownKey()
        self._is_between = True  # nothing of a request has come that is not whole
        self._repeated: tuple[RepeatedHead, ...] = ()
        self._learning: RequestHead | None = None
        self._sought = 0
        self.is_in_head = False  # a head has begun and is not whole
        self._is_upgrading = False
        self._head_size = self._status = self._begun = 0
        self._target = b""
        self._headers = Headers()
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: memoryview | bytes) -> None:
        """Read on. Raises RequestError."""
        was_between, begun_before = self._is_between, self._begun
        if was_between and self._repeated and self._read_repeated(bytes(data)):
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._feed_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if not self._status:
                logger.exception("a request could not be read for a fault of ours")
            raise RequestError(self._status or 500) from error
        except httptools.HttpParserInvalidMethodError as error:
            is_first = self._begun <= begun_before + 1
            raise RequestError(405 if is_first and _UNKNOWN_METHOD.match(data) else 400) from error
        except httptools.HttpParserError as error:
            raise RequestError(400) from error
        if self.is_in_head:
            self._head_size += len(data)
            if self._head_size > HEAD_MAX:
                raise RequestError(431)
        elif self._learning is not None:
            head, self._learning = self._learning, None
            if was_between and self._is_between and self._begun == begun_before + 1:
                self._learn(bytes(data), head)

    def _read_repeated(self, data: bytes) -> bool:
        """Read a request whose head came before; false where it has none of those that are remembered."""
        for repeated in self._repeated:
            if (found := repeated.read(data)) is not None:
                head, body = found
                try:
                    self._on_head(head, True)
                    self.on_body(body)
                    self._on_complete()
                except RequestError:
                    raise
                except Exception as error:
                    logger.exception("a request could not be read for a fault of ours")
                    raise RequestError(500) from error
                return True
        return False

    def _learn(self, data: bytes, head: RequestHead) -> None:
        """Remember the head of a request that was all that has come."""
        self._sought += 1
        if (found := learnt(data, head)) is not None:
            self._repeated = (found, *self._repeated)[:REPEATED_MOST]

    def close(self) -> None:
        """Break the cycle of this and its parser: nothing is read any more."""
        del self._parser, self._on_head, self.on_body, self._on_complete

    # --- The parser's callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self.is_in_head = True
        self._is_between = False
        self._begun += 1
        self._head_size = 0
        self._target = b""
        self._headers = Headers()

    def on_url(self, target: bytes) -> None:
        """A piece of the target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head, or of trailers, which mean nothing here."""
        if not self.is_in_head:
            return
        name, headers = name.lower(), self._headers
        if name not in headers.lines:
            headers.lines[name] = value
        else:
            headers.repeat(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        parser, lines = self._parser, self._headers.lines
        if len(lines) + len(self._headers.repeated) > LINES_MAX:
            self._reject(431)
        method, version = parser.get_method().decode("ascii"), parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._reject(505)
        if self._headers.repeated and any(name == b"host" for name, _ in self._headers.repeated):
            self._reject(400)  # RFC 9112, 3.2
        if parser.should_upgrade():
            if method == "CONNECT":
                self._reject(405)
            self._is_upgrading = True
            return
        if b"transfer-encoding" in lines:
            self._check_transfer_encoding(version)
        if b"expect" in lines and lines[b"expect"].strip().lower() != b"100-continue":
            self._reject(417)
        self.is_in_head = False
        head = RequestHead(
            method,
            self._target,
            version,
            self._headers,
            client=self._peer,
            scheme=self._scheme,
            tls=self._tls,
            known_key=self._known_key,
        )
        try:
            # A connection of HTTP/1.0 is not kept: a client of it that wants that has to be told in its own way.
            keep_alive = version == "1.1" and parser.should_keep_alive()
            if self._on_head(head, keep_alive) and keep_alive and self._sought < REPEATED_SOUGHT:
                self._learning = None if _is_special(self._headers) else head
        except RequestError as error:
            self._reject(error.status)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if not self._is_upgrading:
            self._is_between = True
            self._on_complete()

    def _check_transfer_encoding(self, version: str) -> None:
        codings = [value for name, value in self._headers.pairs() if name == b"transfer-encoding"]
        if b"content-length" in self._headers.lines or len(codings) > 1 or version == "1.0":
            self._reject(400)
        if codings[0].strip().lower() != b"chunked":
            self._reject(501)

    def _reject(self, status: int) -> NoReturn:
        """Make the parser stop: feed() raises RequestError."""
        self._status = status
        raise RequestError(status)

    def _feed_without_upgrade(self, rest: memoryview | bytes) -> None:
        """Read a request that offers another protocol as if it did not, which any server may (RFC 9110, 7.8): llhttp
        takes it to have no body, and what follows for the other protocol."""
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self._target, version)]
        for name, value in self._headers.pairs():
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                value = b", ".join(option for option in options if option.lower() != b"upgrade")
            if name != b"upgrade" and (value or name != b"connection"):
                lines.append(b"%b: %b" % (name, value))
        self._is_upgrading = False
        self._parser = httptools.HttpRequestParser(self)
        self.feed(b"\r\n".join([*lines, b"\r\n"]))
        if rest:
            self.feed(rest)


def _is_special(headers: Headers) -> bool:
    """Whether there is more to do about a request than to read its head and as much of a body as it says."""
    lines = headers.lines
    return bool(headers.repeated) or b"transfer-encoding" in lines or b"expect" in lines
