"""Log files of the child processes: rotated by size, and their error lines shown at the terminal.

Children append straight to their files, so that none of them ever waits for us or for a terminal that stands still.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

LIMIT = 10 * 1024 * 1024
SHOWN = 5
ERROR_LINE = re.compile(r'\b(ERROR|CRITICAL|FATAL|PANIC)\b|"level": ?"(error|critical)"')


@dataclass(slots=True)
class _Position:
    offset: int
    rest: bytes


class Watcher:
    """Follows (tails) a set of log files. A file is followed from where it ends when it is first named."""

    def __init__(self) -> None:
        self._positions: dict[Path, _Position] = {}

    def follow(self, path: Path) -> None:
        """Follow `path` from its present end on; a file followed already goes on where it was."""
        if path not in self._positions:
            self._positions[path] = _Position(path.stat().st_size if path.exists() else 0, b"")

    def error_lines(self) -> list[str]:
        """The error lines since the last call as "name: line", a few for each file, and how many more there are."""
        shown: list[str] = []
        for path, position in self._positions.items():
            lines = [line for line in self._new(path, position) if ERROR_LINE.search(line)]
            shown += [f"{path.stem}: {line[:300]}" for line in lines[:SHOWN]]
            if len(lines) > SHOWN:
                shown.append(f"{path.stem}: and {len(lines) - SHOWN} more such lines in {path}")
        return shown

    def _new(self, path: Path, position: _Position) -> list[str]:
        if not path.exists():
            return []
        size = path.stat().st_size
        if size < position.offset:
            position.offset, position.rest = 0, b""
        if size == position.offset:
            return []
        with path.open("rb") as file:
            file.seek(position.offset)
            text = position.rest + file.read(size - position.offset)
        *lines, position.rest = text.split(b"\n")
        position.offset = size
        if size > LIMIT:
            # Copy and cut: the child keeps its open file, and appending goes on at the new end.
            shutil.copyfile(path, path.with_suffix(".log.1"))
            with path.open("r+b") as file:
                file.truncate()
            position.offset, position.rest = 0, b""
        return [line.decode("utf-8", "replace") for line in lines]


def end_of(path: Path, lines: int = 8) -> str:
    """The last lines of a log file for a message that breaks off before them."""
    if not path.exists() or not path.stat().st_size:
        return f"{path} is empty."
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        text = file.read().decode("utf-8", "replace")
    return "\n    ".join([f"the end of {path}:", *(line[:300] for line in text.splitlines()[-lines:])])
