"""Spool of a page's response: it is made whole, in memory or in a temporary file, before its first byte goes out.

So a slow reader holds what is left of the response and nothing else: no place in a gate, no thread, no connection to
the database. Invariants: an answer says how long it is, and one that broke off while it was made is never begun; the
files of all responses together, and of one customer or client, are bounded; a file has no name, so that nothing is left
of it whatever ends the process.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from delivery.executors import BoundedExecutor
from hpns.web.asgi_types import Message, Send
from hpns.web.page_limit import Shares

# Bytes that stay in memory: pages' styles and scripts are smaller.
IN_MEMORY: Final = 1024 * 1024
# Bytes of the files of all responses, and of one client's or customer's. In containers /tmp is memory, and
# docker-compose.yml gives it more than this.
FILES_MAX: Final = 256 * 1024 * 1024
FILES_SHARE: Final = FILES_MAX // 2
# Not on the loop: a disk that is slow must keep nobody else waiting. One call for each response at a time.
FILES: Final = BoundedExecutor("temporary files", threads=4, queued=500)
# Bytes that are read from a file at once: as much as the sockets on the way hold anyway.
PIECE: Final = 256 * 1024
# These have no body, and say no length. RFC 9110, 8.6
WITHOUT_LENGTH: Final = (204, 304)


class SpoolFullError(Exception):
    """The files of responses that wait for their readers take all the place that there is for them."""


class Spool:
    """The response to one request: `capture` is Django's send(), `replay` sends it on. close() ends it."""

    def __init__(self, files: Shares, keys: Sequence[str]) -> None:
        """files: the bytes of all spools' files; keys: whose share this one's are."""
        self._files, self._keys = files, keys
        self._start: Message | None = None
        self._buffer: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._size = self._in_file = 0
        self._complete = False

    @property
    def complete(self) -> bool:
        """Whether the response is there, whole."""
        return self._complete

    async def capture(self, message: Message) -> None:
        """Keep one message of ASGI. Raises OSError when the disk is full, SpoolFullError when the share is, and
        ExecutorFullError when too many wait for the disk."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        piece, self._complete = message.get("body", b""), not message.get("more_body")
        self._size += len(piece)
        self._buffer.append(piece)
        if self._file is not None or self._size > IN_MEMORY:
            data, self._buffer = b"".join(self._buffer), []
            if self._files.take(self._keys, len(data)) is not None:
                raise SpoolFullError
            self._in_file += len(data)
            await FILES.run(self._write, data)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            # With a name that says what it is to whoever looks for what fills the disk; then without one.
            self._file = tempfile.NamedTemporaryFile(prefix="hpns-answer-", delete=False)  # noqa: SIM115  see close()
            Path(self._file.name).unlink()
        self._file.write(data)

    async def replay(self, send: Send) -> None:
        """Send the complete response, no faster than it is taken."""
        assert self._start is not None and self._complete  # noqa: S101, PT018  the caller has looked
        given = list(self._start["headers"])
        if self._start["status"] not in WITHOUT_LENGTH:
            given = [each for each in given if each[0].lower() != b"content-length"]
            given.append((b"content-length", str(self._size).encode()))
        await send({**self._start, "headers": given})
        if self._file is None:
            await send({"type": "http.response.body", "body": b"".join(self._buffer)})
            return
        await FILES.run(self._file.seek, 0)
        while piece := await FILES.run(self._file.read, PIECE):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def close(self) -> None:
        """Remove it, sent or not."""
        self._buffer.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._in_file:
            self._files.give_back(self._keys, self._in_file)
            self._in_file = 0
