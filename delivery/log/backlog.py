"""Backlog of the delivery log: the rows that wait in Valkey because PostgreSQL does not take them.

Nothing but Valkey's memory bounds them: they are what was done, and what bills and the SLA are made of. Past its
maxmemory Valkey takes no more pushes (they are refused as queue_down), while what is queued still ends.
"""

from typing import Final, cast

import redis.asyncio

from delivery.log.rows import ROWS
from delivery.log.writing import SEGMENTS, WRITTEN_AT

# Seconds after which rows count as held up; they are written once a second, or by the watchdog within some.
LATE: Final = 30


async def describe(store: redis.asyncio.Redis) -> str:
    """Describe for people what has waited for longer than LATE seconds; "" when nothing has. Raises RedisError."""
    async with store.pipeline(transaction=False) as together:
        together.time()
        together.get(WRITTEN_AT)
        together.exists(ROWS)
        together.smembers(SEGMENTS)
        now, written_at, waiting, names = await together.execute()
    if not waiting and not names:
        return ""
    late = now[0] - int(written_at or 0)
    if late < LATE:
        return ""
    keys = [ROWS, *(f"{ROWS}:{name.decode()}" for name in names)]
    used = sum([cast("int", await store.memory_usage(key)) or 0 for key in keys])
    since = f"for {late} s" if written_at else "since ever"
    return f"rows of the delivery log have not been written {since}: {used / 1_000_000:.1f} MB of them wait in Valkey"
