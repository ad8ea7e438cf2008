"""Room in the due list: it takes no more than a part of Valkey's memory, as each process has seen it last."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from delivery.queue import due_list, memory, valkey

logger = logging.getLogger(__name__)

# Seconds for which what was seen is good; by what comes in meanwhile the list may grow past its bound.
LOOK_INTERVAL: Final = 0.5


class DueRoom:
    """Whether pushes may go to the due list; it looks only while somebody asks."""

    def __init__(self, link: valkey.Link, loop: asyncio.AbstractEventLoop) -> None:
        self._link, self._loop = link, loop
        self._look_at = 0.0
        self._bytes, self._most = 0, due_list.MOST_BYTES

    def has_room(self) -> bool:
        """Whether there is room for more, as far as is known."""
        if self._loop.time() >= self._look_at:
            self._look_at = self._loop.time() + LOOK_INTERVAL
            memory.look(self._link, [("GET", due_list.BYTES)], self._on_looked)
        return self._bytes < self._most

    def _on_looked(self, found: memory.Memory | None, replies: Sequence[Any]) -> None:
        if found is None:
            return
        had_room = self._bytes < self._most
        self._bytes = int(replies[0] or 0)
        self._most = int(found.most * due_list.PART) if found.most else due_list.MOST_BYTES
        if had_room and self._bytes >= self._most:
            logger.error("the due list is full (%d bytes): what cannot be sent now fails", self._bytes)
