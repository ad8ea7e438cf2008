"""Spooling of streamed responses, such as downloads: the body is complete before its first byte goes out.

granian takes pieces as fast as they come and keeps in memory what the reader has not taken, however much that is; and
where pieces end too early, the reader takes the half for the whole. A file is read no faster than its reader takes it,
by granian alone: a slow reader holds an open file, and no place in the gate, no connection to the database and no
memory. Invariant: an answer says how long it is, and one that broke off while it was made is never begun.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

from delivery.executors import BoundedExecutor

# Bytes that stay in memory: pages' styles and scripts are smaller.
IN_MEMORY: Final = 1024 * 1024
# Seconds that a file keeps its name. granian opens it at once, and says nothing when it has.
UNLINK_DELAY: Final = 60.0
# Not on the loop: a disk that is slow must not keep pushes waiting. One call for each page that is made at a time.
FILES: Final = BoundedExecutor("temporary files", threads=4, queued=100)

_sent_files: set[str] = set()


class Spool:
    """Spool of one streamed response, in memory, from IN_MEMORY bytes in a file. send() or close() ends it."""

    def __init__(self) -> None:
        self._buffer: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._size = 0

    async def add(self, piece: bytes) -> None:
        """Append a chunk. Raises OSError when the disk is full, ExecutorFullError when too many wait for it."""
        self._size += len(piece)
        self._buffer.append(piece)
        if self._file is not None or self._size > IN_MEMORY:
            data, self._buffer = b"".join(self._buffer), []
            await FILES.run(self._write, data)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(prefix="hpns-answer-", delete=False)  # noqa: SIM115  see send()
        self._file.write(data)

    async def send(self, proto: Any, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Send the complete response by granian. Raises what add() raises."""
        headers = [*(each for each in headers if each[0] != "content-length"), ("content-length", str(self._size))]
        if self._file is None:
            proto.response_bytes(status, headers, b"".join(self._buffer))
            return
        file = self._file
        await FILES.run(file.close)
        self._file = None
        _sent_files.add(file.name)
        proto.response_file(status, headers, file.name)
        asyncio.get_running_loop().call_later(UNLINK_DELAY, _unlink, file.name)

    def close(self) -> None:
        """Remove what was not sent."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
            _unlink(file.name)


def unlink_all() -> None:
    """Unlink all files that were sent, since the process ends; what is being read is read to its end."""
    for name in list(_sent_files):
        _unlink(name)


def _unlink(name: str) -> None:
    _sent_files.discard(name)
    Path(name).unlink(missing_ok=True)
