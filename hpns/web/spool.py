"""Spooling of pages' responses: the body is complete before its first byte goes out.

A page has a thread and a connection to PostgreSQL while it is made, and a download is written as fast as its reader
takes it: were it sent while it is made, a slow reader would keep both. And where pieces end too early, the reader would
take the half for the whole. So a slow reader holds an open file without a name, and no place among the pages, no
connection to the database and no memory. Invariant: an answer says how long it is, and one that broke off while it was
made is never begun.
"""

import asyncio
import tempfile
from typing import IO, Final

from hpns.web.asgi_exchange import Message, Send

# Bytes that stay in memory: pages' styles and scripts are smaller.
IN_MEMORY: Final = 1024 * 1024
# Bytes that are read from the file at once.
PIECE: Final = 64 * 1024


class Spool:
    """Spool of one response, in memory, from IN_MEMORY bytes on in a file. close() ends it."""

    def __init__(self) -> None:
        self._buffer: list[bytes] = []
        self._file: IO[bytes] | None = None
        self.size = 0

    async def add(self, piece: bytes) -> None:
        """Append a chunk. Raises OSError when the disk is full."""
        self.size += len(piece)
        self._buffer.append(piece)
        if self._file is not None or self.size > IN_MEMORY:
            data, self._buffer = b"".join(self._buffer), []
            # Not on the loop: a disk that is slow must not keep pushes waiting.
            await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="hpns-answer-")  # noqa: SIM115  see close()
        self._file.write(data)

    async def send(self, send: Send, start: Message) -> None:
        """Send the complete response by ASGI, as fast as its reader takes it."""
        await send({**start, "headers": self._with_length(start)})
        if self._file is not None:
            await asyncio.to_thread(self._file.seek, 0)
            while piece := await asyncio.to_thread(self._file.read, PIECE):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"".join(self._buffer)})

    def _with_length(self, start: Message) -> list[tuple[bytes, bytes]]:
        """The headers; without a body the length is whatever they say, as that of an answer to HEAD."""
        headers = list(start.get("headers", ()))
        if not self.size:
            return headers
        return [*(each for each in headers if each[0].lower() != b"content-length"), _length(self.size)]

    def close(self) -> None:
        """Remove the file, if there is one."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()


def _length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", str(size).encode()
