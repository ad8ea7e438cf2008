"""A power cut of Valkey's machine: it ends, and its append-only file is cut back to what surely was on the disk.

With `appendfsync everysec` a write is synced within a second, or two where the disk is slow
(https://valkey.io/topics/persistence/). So what stood in the file somewhat longer than a second ago is kept, and the
rest is cut away: a machine without power would have kept that, or more.
"""

import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.stage import Stage

UNSYNCED: Final = 1.1
"""Seconds of writes that the cut takes."""


class PowerCut:
    """Watches the append-only files of a stage's Valkey from `with` on; cut() ends it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._folder: Path = stage.folder.servers / "valkey" / "appendonlydir"
        self._sizes: deque[tuple[float, dict[Path, int]]] = deque(maxlen=2_000)
        self._watching = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watching.set()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.clear()
        self._thread.join(5)

    def _watch(self) -> None:
        while self._watching.is_set():
            at = time.monotonic()
            self._sizes.append((at, {file: file.stat().st_size for file in self._folder.glob("*.incr.aof")}))
            time.sleep(0.02)

    def cut(self, seconds: float = UNSYNCED) -> int:
        """Kill Valkey and cut its file back to what it was so many seconds before; returns how many bytes are gone."""
        at = time.monotonic()
        self._stage.kill("valkey")
        kept = next(sizes for when, sizes in reversed(self._sizes) if when <= at - seconds)
        gone = 0
        for file in self._folder.glob("*.incr.aof"):
            size = file.stat().st_size
            with file.open("r+b") as opened:
                opened.truncate(min(size, kept.get(file, 0)))
            gone += size - file.stat().st_size
        return gone
