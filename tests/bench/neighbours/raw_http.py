"""HTTP/1.1 on raw sockets, as cheap as asyncio lets it be: requests are bytes, of answers only the length is read."""

import asyncio
import secrets
import ssl
import time
from typing import NamedTuple

ACK = b"@@ACK@@"
"""Stands in a request for an id that is never used twice, of 26 bytes."""
_RUN = secrets.token_hex(7).encode()
_number = 0


class Answer(NamedTuple):
    """An answer: its status and its body."""

    status: int
    body: bytes

    @property
    def word(self) -> str:
        """What the answer comes to in a word: OK, REMOVE, the code of a FAIL, or the status of a page."""
        if self.status != 200:
            return str(self.status)
        if not self.body.startswith(b'{"status":"'):
            return "200"
        said = self.body[11:].partition(b'"')[0].decode("latin-1")
        if said != "FAIL":
            return said
        return self.body.partition(b'"error":"')[2].partition(b" ")[0].decode("latin-1")[:60] or "FAIL"


def with_id(request: bytes) -> bytes:
    """The request with an id of its own, and the length as its head gives it: an id has 26 bytes."""
    global _number  # noqa: PLW0603  one count per process
    _number += 1
    return request.replace(ACK, b"%b%012d" % (_RUN, _number))


def post(path: str, body: bytes, *headers: str, host: str = "localhost") -> bytes:
    """A POST as a Mattermost server sends it."""
    length = len(body) + body.count(ACK) * (26 - len(ACK))
    lines = (f"POST {path} HTTP/1.1", f"Host: {host}", "User-Agent: Mattermost-Bot/1.1", *headers)
    return "".join(f"{line}\r\n" for line in (*lines, f"Content-Length: {length}", "")).encode() + body


def get(path: str, *headers: str, host: str = "localhost") -> bytes:
    """A GET."""
    more = "".join(f"{header}\r\n" for header in headers)
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


class Connection:
    """One connection to the front door; opened by the first request, and again after it broke."""

    def __init__(self, port: int, source: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.port, self.source, self.tls = port, source, tls
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, if it is not connected. Raises OSError."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1",
                self.port,
                local_addr=(self.source, 0) if self.source else None,
                ssl=self.tls,
                server_hostname="localhost" if self.tls else None,
                limit=1 << 20,
            )
        return self._reader, self._writer

    async def ask(self, request: bytes) -> Answer:
        """Send one request and read its answer. Raises OSError, EOFError."""
        reader, writer = await self.open()
        try:
            writer.write(with_id(request))
            head = await reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            if b"transfer-encoding: chunked" in lower:
                body = await _chunks(reader)
            else:
                length = lower.partition(b"content-length:")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
            if b"connection: close" in lower:
                self.close()
            return Answer(int(head.split(b" ", 2)[1]), body)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while length := int(await reader.readline(), 16):
        body += await reader.readexactly(length)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def trusting(ca_file: str) -> ssl.SSLContext | None:
    """What a Mattermost server does TLS with: TLS 1.3, no ALPN; None without a CA."""
    if not ca_file:
        return None
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


async def timed(connection: Connection, request: bytes, seconds: float, due: float = 0.0) -> tuple[str, float]:
    """Ask, within some seconds; the word of the answer, or what went wrong, and the seconds since it was due."""
    due = due or time.perf_counter()
    try:
        async with asyncio.timeout(max(0.001, seconds - (time.perf_counter() - due))):
            word = (await connection.ask(request)).word
    except TimeoutError:
        word = "no answer"
    except (OSError, EOFError, ValueError) as error:
        word = type(error).__name__
    return word, time.perf_counter() - due


def asked(port: int, request: bytes, seconds: float) -> str:
    """The word of one answer, on a connection of its own."""

    async def ask() -> str:
        connection = Connection(port)
        word, _ = await timed(connection, request, seconds)
        connection.close()
        return word

    return asyncio.run(ask())
