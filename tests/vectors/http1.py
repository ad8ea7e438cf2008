"""A client that sends exactly the bytes it is given: what no HTTP library does, and what a recording asks for.

Invariant: nothing is added to a request, nothing is sent twice, and an answer is read to its end and no further.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LONGEST = 30.0  # seconds; Mattermost itself waits so long


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; names of headers in lower case, status 0 when the connection ended without one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0


def request(method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | None) -> bytes:
    """The bytes of a request. A body goes as one chunk if the headers say chunked; nothing else looks at them."""
    headers = list(headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    sent = body or b""
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(sent), sent)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + sent


class Connection:
    """One connection, kept open between requests as long as the other side keeps it."""

    def __init__(self, port: int) -> None:
        """port: of 127.0.0.1; it is opened with the first request."""
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, content: bytes, *, last: bool = False) -> Answer:
        """Send a request and read its answer; `last`: close our side after it, so that what is missing stays so."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(LONGEST):
                if self._reader is None or self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
                self._writer.write(content)
                if last:
                    self._writer.write_eof()
                await self._writer.drain()
                status, headers, body = await self._read(self._reader, content[:5] == b"HEAD ")
        except (OSError, asyncio.IncompleteReadError):
            await self.close()
            return Answer(0, seconds=time.monotonic() - started)
        if last or headers.get("connection", "").lower() == "close" or b"\r\nConnection: close\r\n" in content[:1000]:
            await self.close()
        return Answer(status, headers, body, time.monotonic() - started)

    async def close(self) -> None:
        """Close it; the next request opens another."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass

    async def _read(self, reader: asyncio.StreamReader, headless: bool) -> tuple[int, dict[str, str], bytes]:
        while True:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
            status = int(first.split(" ", 2)[1])
            if status >= 200:
                break
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headless or status in (204, 304):
            return status, headers, b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
            return status, headers, body
        return status, headers, await reader.readexactly(int(headers.get("content-length", "0")))
