"""Room in the due list: it takes no more than a part of Valkey's memory, as each process has seen it last."""

import asyncio
import logging
from typing import Any, Final

from delivery.queue import due_list, valkey

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
            used = self._link.execute("GET", due_list.BYTES)
            memory = self._link.execute("INFO", "memory")
            memory.add_done_callback(lambda _: self._on_replies(used, memory))
        return self._bytes < self._most

    def _on_replies(self, used: "asyncio.Future[Any]", memory: "asyncio.Future[Any]") -> None:
        replies = []
        for reply in (used, memory):
            if reply.cancelled() or reply.exception() is not None:
                return  # the link says so
            replies.append(reply.result())
            if isinstance(replies[-1], Exception):
                logger.warning("Valkey does not tell how much waits to be tried again: %s", replies[-1])
                return
        members = dict(line.partition(b":")[::2] for line in replies[1].splitlines())
        had_room, bound = self._bytes < self._most, int(members.get(b"maxmemory", 0))
        self._bytes = int(replies[0] or 0)
        self._most = int(bound * due_list.PART) if bound else due_list.MOST_BYTES
        if had_room and self._bytes >= self._most:
            logger.error("the due list is full (%d bytes): what cannot be sent now fails", self._bytes)
