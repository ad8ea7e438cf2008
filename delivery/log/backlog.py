"""Backlog of the delivery log: the rows that wait in Valkey because PostgreSQL does not take them.

Nothing but Valkey's memory bounds them: they are what was done, and what bills and the SLA are made of. Past its
maxmemory Valkey takes no more pushes (they are refused as queue_down), while what is queued still ends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from delivery.log.rows import ROWS
from delivery.log.writing import SEGMENTS, WRITTEN_AT

Ask = Callable[..., Awaitable[Any]]
"""Sends a command to Valkey and returns its reply. Raises ConnectionError."""

# Seconds after which rows count as held up; they are written once a second.
LATE: Final = 30


async def describe(ask: Ask) -> str:
    """Describe for people what has waited for longer than LATE seconds; "" when nothing has. Raises ConnectionError."""
    (now, _), written_at, waiting, names = await asyncio.gather(
        ask("TIME"), ask("GET", WRITTEN_AT), ask("EXISTS", ROWS), ask("SMEMBERS", SEGMENTS)
    )
    if not waiting and not names:
        return ""
    late = int(now) - int(written_at or 0)
    if late < LATE:
        return ""
    keys = [ROWS, *(f"{ROWS}:{name.decode()}" for name in names)]
    used = sum([await ask("MEMORY", "USAGE", key) or 0 for key in keys])
    since = f"for {late} s" if written_at else "since ever"
    return f"rows of the delivery log have not been written {since}: {used / 1_000_000:.1f} MB of them wait in Valkey"
