"""An answer in pieces, such as a download, is made whole before its first byte goes out.

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

# Bytes that stay in memory: pages' styles and scripts are smaller.
IN_MEMORY: Final = 1024 * 1024
# Seconds that a file keeps its name. granian opens it at once, and says nothing when it has.
NAMED: Final = 60.0

_named: set[str] = set()


class Spool:
    """The pieces of one answer. send() or close() ends it."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._size = 0

    async def add(self, piece: bytes) -> None:
        """Keep a piece. Raises OSError when the disk is full."""
        self._size += len(piece)
        self._held.append(piece)
        if self._file is not None or self._size > IN_MEMORY:
            held, self._held = b"".join(self._held), []
            # Not on the loop: a disk that is slow must not keep pushes waiting.
            await asyncio.to_thread(self._write, held)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(prefix="hpns-answer-", delete=False)  # noqa: SIM115  see send()
        self._file.write(data)

    async def send(self, proto: Any, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Hand the whole to granian."""
        headers = [*(each for each in headers if each[0] != "content-length"), ("content-length", str(self._size))]
        if self._file is None:
            proto.response_bytes(status, headers, b"".join(self._held))
            return
        file, self._file = self._file, None
        await asyncio.to_thread(file.close)
        _named.add(file.name)
        proto.response_file(status, headers, file.name)
        asyncio.get_running_loop().call_later(NAMED, _forget, file.name)

    def close(self) -> None:
        """Leave nothing of what was not sent."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
            _forget(file.name)


def forget_all() -> None:
    """Take the names from all files that were sent, since the process ends; what is being read is read to its end."""
    for name in list(_named):
        _forget(name)


def _forget(name: str) -> None:
    _named.discard(name)
    Path(name).unlink(missing_ok=True)
