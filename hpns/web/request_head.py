"""The head of an HTTP request as the parser has read it: method, target, version and header lines."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import unquote

import httptools

from tenants.directory.snapshot import Identity
from tenants.known_key import KnownKey

# A target that is its own path: visible ASCII, nothing escaped, no query, no fragment.
PLAIN_PATH: Final = re.compile(rb"/[!-\"$&->@-~]*\Z")
# What may stand in a header's value that is read as text: visible ASCII, blanks and tabs (RFC 9110, 5.5).
_TEXT: Final = re.compile(rb"[\t\x20-\x7e]*\Z")


class Headers:
    """Header lines by lower-case name. `lines` holds the first line of each name, `repeated` all others, in order.

    `get` knows the first line of a name alone; it and `get_all` leave out a line that is not printable ASCII.
    """

    __slots__ = ("lines", "repeated")

    def __init__(self, lines: dict[bytes, bytes] | None = None) -> None:
        self.lines: dict[bytes, bytes] = {} if lines is None else lines
        self.repeated: Sequence[tuple[bytes, bytes]] = ()

    def repeat(self, name: bytes, value: bytes) -> None:
        """Add a line of a name that has one."""
        if isinstance(self.repeated, list):
            self.repeated.append((name, value))
        else:
            self.repeated = [(name, value)]

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """The headers of pairs with names in lower case."""
        headers = cls()
        for name, value in pairs:
            if name in headers.lines:
                headers.repeat(name, value)
            else:
                headers.lines[name] = value
        return headers

    def __contains__(self, name: str) -> bool:
        return name.encode() in self.lines

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first line of a name as text."""
        value = self.lines.get(name.encode())
        return default if value is None or not _TEXT.match(value) else value.decode("ascii")

    def get_all(self, name: str) -> list[str]:
        """All lines of a name as text, in their order."""
        wanted = name.encode()
        return [value.decode("ascii") for found, value in self.pairs() if found == wanted and _TEXT.match(value)]

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """All lines; those of one name in their order."""
        yield from self.lines.items()
        yield from self.repeated

    def items(self) -> Iterator[tuple[str, str]]:
        """All lines as text, whatever it is (ISO 8859-1)."""
        for name, value in self.pairs():
            yield name.decode("latin-1"), value.decode("latin-1")


class RequestHead:
    """One request's head. `client`: the peer, "address:port"; `scheme`: of the connection; `version`: 1.0 or 1.1;
    `tls`: the connection's version of TLS, such as "TLSv1.3", "" for none; `known_key`: its last request's key;
    `admitted`: see tenants.authentication.KeyedRequest."""

    __slots__ = ("admitted", "client", "headers", "known_key", "method", "scheme", "target", "tls", "version")

    def __init__(
        self,
        method: str,
        target: bytes,
        version: str,
        headers: Headers,
        *,
        client: str = "",
        scheme: str = "http",
        tls: str = "",
        known_key: KnownKey | None = None,
    ) -> None:
        self.method, self.target, self.version, self.headers = method, target, version, headers
        self.client, self.scheme, self.tls = client, scheme, tls
        self.known_key = known_key or KnownKey()
        self.admitted: tuple[int, Identity] | None = None


def path_of(target: bytes) -> tuple[str, bytes, bytes, bytes]:
    """Split a request target: the path without its %-escapes, the path as it was sent, query, and authority (host and
    port) of the absolute form, "" without one. Raises ValueError for a target without a path (RFC 9112, 3.2)."""
    if PLAIN_PATH.match(target):
        return target.decode("ascii"), target, b"", b""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError as error:
        raise ValueError("the target is no URL") from error
    authority = b""
    if url.host:
        host = b"[" + url.host + b"]" if b":" in url.host else url.host
        authority = host if url.port is None else b"%b:%d" % (host, url.port)
    path = url.path or (b"/" if authority else b"")
    if not path.startswith(b"/"):
        raise ValueError("the target has no path")
    return (
        unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1"),
        path,
        url.query or b"",
        authority,
    )
