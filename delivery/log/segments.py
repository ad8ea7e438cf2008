"""Moves lines that wait in a list in Valkey into PostgreSQL, segment by segment and each exactly once.

The lines that have come together become a segment of their own, which nothing is added to any more, and a segment is
written in parts, so that no transaction is longer than some seconds, however long PostgreSQL was away. Invariants: a
part's name and what was made of its lines are committed in one transaction, so that each line is written once, also
when a writer dies half-way; one writer at a time, whichever worker it is in, and none while the rollups are rebuilt: a
second one leaves it to the first at once.
"""

import logging
import math
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import redis
from django.db import connection, transaction

logger = logging.getLogger(__name__)

# Only when there is none: what waits while PostgreSQL is away is one list, and one segment at most.
SEGMENT: Final = """#!lua flags=allow-oom
if redis.call('SCARD', KEYS[2]) == 0 then
  redis.call('SET', KEYS[3], redis.call('TIME')[1])
  if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('RENAME', KEYS[1], KEYS[1] .. ':' .. ARGV[1])
    redis.call('SADD', KEYS[2], ARGV[1])
    for number = 4, #KEYS do redis.call('DEL', KEYS[number]) end
  end
end
return redis.call('SMEMBERS', KEYS[2])
"""
# Keeps a line that PostgreSQL will never take, and no more than REJECTED_MOST of them.
REJECTED_MOST: Final = 10_000
REJECT = f"""#!lua flags=allow-oom
redis.call('RPUSH', KEYS[1], ARGV[1])
return redis.call('LTRIM', KEYS[1], -{REJECTED_MOST}, -1)
"""


class Queue(NamedTuple):
    """The keys in Valkey of lines that wait: the list, the set of its segments' names, when all that had come until
    then was written (unix seconds by Valkey's clock), the lines that the database refused, and keys that speak of the
    list's content alone. What a list's element holds are whole lines."""

    waiting: str
    segments: str
    written_at: str
    rejected: str
    beside: tuple[str, ...] = ()


# Given the store, a segment's key, a part's name, and its first element: the lines that were written, None where
# another writer is at work (write_once).
PartWriter = Callable[[redis.Redis, str, str, int], int | None]


class _Reached:
    """Up to which element segments are written, by their keys, as one connection has seen: to find that out again costs
    a transaction for each part. Another connection may lead to a server that took over and has not all of it."""

    MOST: Final = 20  # there is one segment of each queue, and few that another process has ended

    def __init__(self) -> None:
        self._seen_by: object = None
        self._elements: dict[str, int] = {}

    def of(self, key: str) -> int:
        """Up to where it is surely written."""
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        if connection.connection is not self._seen_by:
            self._seen_by, self._elements = connection.connection, {}
        return self._elements.get(key, 0)

    def note(self, key: str, element: int) -> None:
        """Keep that it is written up to there."""
        if len(self._elements) >= self.MOST:
            self._elements.clear()
        self._elements[key] = element

    def forget(self, key: str) -> None:
        """It is no more."""
        self._elements.pop(key, None)


_REACHED: Final = _Reached()


def move(store: redis.Redis, queue: Queue, size: int, write_part: PartWriter, *, most_seconds: float = math.inf) -> int:
    """Write the lines that wait, in parts of `size` elements; returns how many were written.

    most_seconds: after which no further part is begun; what is left is the next call's. Raises what the stores raise:
    nothing is lost then, the segments stay and the next call writes them.
    """
    written, until = 0, time.monotonic() + most_seconds
    while True:
        newest = uuid.uuid4().hex.encode()
        keys = (queue.waiting, queue.segments, queue.written_at, *queue.beside)
        names = cast("list[bytes]", store.eval(SEGMENT, len(keys), *keys, newest))
        for name in sorted(names):
            lines, is_done = _move_segment(store, queue, name.decode(), size, write_part, until)
            written += lines
            if not is_done:
                return written
        if newest in names or not names:
            return written  # else: that was what an earlier writer has left, and now comes what has come since


def _move_segment(
    store: redis.Redis, queue: Queue, name: str, size: int, write_part: PartWriter, until: float
) -> tuple[int, bool]:
    """Write what is not yet written of a segment, and remove it; how many lines, and whether it is done: not when
    another writer is at work, or the time is over."""
    key, written = f"{queue.waiting}:{name}", 0
    for start in range(_REACHED.of(key), store.llen(key), size):
        if time.monotonic() >= until and written:
            return written, False
        lines = write_part(store, key, f"{name}:{start}", start)
        if lines is None:
            return written, False
        _REACHED.note(key, start + size)
        written += lines
    with store.pipeline(transaction=True) as together:
        together.unlink(key)
        together.srem(queue.segments, name)
        together.execute()
    _REACHED.forget(key)
    return written, True


def write_once(
    store: redis.Redis, key: str, part: str, start: int, size: int, write: Callable[[Any, bytes], int]
) -> int | None:
    """Run `write(cursor, lines)` on a part unless it was written, in one transaction with the note that it is.

    Returns what `write` does, 0 for a part that was written before, None: another writer is at work.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not locked(cursor):
            return None
        cursor.execute("INSERT INTO delivery_written_segment (name) VALUES (%s) ON CONFLICT DO NOTHING", [part])
        if cursor.rowcount == 0:
            return 0
        return write(cursor, b"".join(cast("list[bytes]", store.lrange(key, start, start + size - 1))))


def locked(cursor: Any) -> bool:
    """Whether this transaction is the only one now that writes the log, receipts and rollups."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('delivery log'))")
    return bool(cursor.fetchone()[0])


def by_halves(
    store: redis.Redis,
    rejected: str,
    blob: bytes,
    write: Callable[[bytes], object],
    unwritable: tuple[type[Exception], ...],
) -> list[bytes]:
    """Write lines that could not be written together: one that is `unwritable` is kept in the list `rejected`, what the
    others are written in is returned. By halves: one among thousands must not make each line a statement of its own."""
    written: list[bytes] = []
    waiting = _halves(blob.splitlines(keepends=True))
    while waiting:
        lines = waiting.pop()
        together = b"".join(lines)
        try:
            with transaction.atomic():
                write(together)
        except unwritable:
            if len(lines) > 1:
                waiting += _halves(lines)
                continue
            store.eval(REJECT, 1, rejected, together)
            logger.exception("a row of the delivery log violates the table and was kept in %s", rejected)
        else:
            written.append(together)
    return written


def _halves(lines: list[bytes]) -> list[list[bytes]]:
    """Both, the second one first; one line is the first of them."""
    middle = (len(lines) + 1) // 2
    return [half for half in (lines[middle:], lines[:middle]) if half]
