"""Corrects the answers in rows of the log that were written before their servers were told something else.

It comes about where a result was settled in Valkey and did not reach the web process by the push's deadline. Invariant:
what waits here is of rows that stood in Valkey before it, so that once those are written each row is there.
"""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import redis
from django.db import connection, transaction

logger = logging.getLogger(__name__)

TOLD: Final = "log:told"
# Entries that wait in Valkey, and that are taken at a time.
ENTRIES_MOST: Final = 50_000
CHUNK: Final = 1_000
# Around the acceptance of pushes, to the millisecond, in which their rows are looked for: it says in which partitions.
AROUND: Final = timedelta(seconds=1)

# Not those that say so already: they would be written anew.
_CORRECT: Final = """
UPDATE delivery_delivery AS row SET answer = told.answer
FROM unnest(%s::text[], %s::text[]) AS told (trace, answer)
WHERE row.trace = told.trace AND row.accepted_at BETWEEN %s AND %s AND row.answer <> told.answer
"""


def entry(trace: str, at: float, answer: str) -> bytes:
    """One element of the list TOLD: the push, its acceptance (unix seconds), and what its server was told."""
    return json.dumps((trace, round(at, 3), answer)).encode()


def waiting(store: redis.Redis) -> Sequence[bytes]:
    """The entries that wait now: to be read before the rows are moved, and written after it. Raises RedisError."""
    return cast("list[bytes]", store.lrange(TOLD, 0, CHUNK - 1))


def write(store: redis.Redis, entries: Sequence[bytes]) -> int:
    """Correct the rows of these entries and take them off the list; returns how many rows were corrected.

    It may be done twice. Raises what the stores raise; the entries stay then.
    """
    if not entries:
        return 0
    told: list[Any] = [json.loads(each) for each in entries]
    moments = [datetime.fromtimestamp(at, UTC) for _, at, _ in told]
    with transaction.atomic(), connection.cursor() as cursor:
        traces, answers = [trace for trace, _, _ in told], [answer for _, _, answer in told]
        cursor.execute(_CORRECT, [traces, answers, min(moments) - AROUND, max(moments) + AROUND])
        corrected = int(cursor.rowcount)
    with store.pipeline(transaction=False) as together:
        for each in entries:
            together.lrem(TOLD, 1, each.decode())
        together.execute()
    return corrected
