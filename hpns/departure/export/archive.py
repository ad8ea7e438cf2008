"""Writes a .zip piece by piece, in bounded memory, to whatever takes bytes: a file, or somebody who downloads it."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple


class Member(NamedTuple):
    """A file of the archive and its content, block by block."""

    name: str
    blocks: Iterable[bytes]


class _Sink(io.RawIOBase):
    """Write buffer between zipfile and the consumer of the archive. Not seekable: zipfile writes sizes behind files."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        taken = bytes(memoryview(data))  # type: ignore[arg-type]
        self.buffer += taken
        return len(taken)

    def take(self) -> bytes:
        taken = bytes(self.buffer)
        self.buffer.clear()
        return taken


def zipped(members: Iterable[Member], at: datetime) -> Iterator[bytes]:
    """The archive of `members`, whose files say that they are of the moment `at`; a piece for each block at most."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            about = zipfile.ZipInfo(member.name, at.timetuple()[:6])
            about.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(about, "w", force_zip64=True) as file:
                for block in member.blocks:
                    file.write(block)
                    if sink.buffer:
                        yield sink.take()
    yield sink.take()
