"""Valkey's memory, by its own INFO, with what else one wants to see of the server at the same moment."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from delivery.queue import valkey

logger = logging.getLogger(__name__)

_INFO: Final = ("INFO", "memory")


class Memory(NamedTuple):
    """Bytes that Valkey uses, and its maxmemory (0: it has none)."""

    used: int
    most: int


def read(info: bytes) -> Memory:
    """The memory, by the reply to INFO memory (https://valkey.io/commands/info/); 0 for what is not in it."""
    fields = dict(line.partition(b":")[::2] for line in info.splitlines())
    return Memory(int(fields.get(b"used_memory", 0)), int(fields.get(b"maxmemory", 0)))


def look(
    link: valkey.Link,
    commands: Sequence[tuple[str, ...]],
    then: Callable[[Memory | None, Sequence[Any]], None],
) -> None:
    """Ask for the memory and by `commands`; `then` gets the memory and their replies once all have come.

    None, and no replies, where the link was lost meanwhile (which says so itself), or the server refused one of them,
    which is logged.
    """
    asked = [link.execute(*command) for command in (*commands, _INFO)]
    # Replies come in the order of their commands.
    asked[-1].add_done_callback(lambda _: then(*_replies(asked)))


def _replies(asked: "Sequence[asyncio.Future[Any]]") -> tuple[Memory | None, list[Any]]:
    replies = []
    for reply in asked:
        if reply.cancelled() or reply.exception() is not None:
            return None, []
        replies.append(reply.result())
        if isinstance(replies[-1], Exception):
            logger.warning("Valkey does not tell its memory, or what it is asked with it: %s", replies[-1])
            return None, []
    return read(replies.pop()), replies
