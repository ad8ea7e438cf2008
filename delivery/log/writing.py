"""Moves the rows of the delivery log from Valkey into PostgreSQL, segment by segment: the log's only writer.

A segment is written in parts, so that no transaction is longer than some seconds, however long PostgreSQL was away.
Invariants: each row is written exactly once, and counted once in the rollups, also when a writer dies half-way: a
part's name, its rows and what they add to the rollups are committed in one transaction; one writer at a time, whichever
worker it is in: a second one leaves it to the first at once. All of it runs in a thread of a worker, off the loop.
"""

import logging
import uuid
from typing import Any, Final, cast

import redis
from django.db import DataError, IntegrityError, connection, transaction

from delivery.log import counting
from delivery.log.rows import COPY, ROWS

logger = logging.getLogger(__name__)

SEGMENTS = "log:segments"
REJECTED = "log:rejected"
# When all rows that had come until then were written, unix seconds by Valkey's clock (backlog.py).
WRITTEN_AT = "log:written_at"

# The rows that have come together become a segment of their own, which nothing is added to any more. Only when there is
# none: what waits while PostgreSQL is away is one list, and one segment at most.
SEGMENT = """#!lua flags=allow-oom
if redis.call('SCARD', KEYS[2]) == 0 then
  redis.call('SET', KEYS[3], redis.call('TIME')[1])
  if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('RENAME', KEYS[1], KEYS[1] .. ':' .. ARGV[1])
    redis.call('SADD', KEYS[2], ARGV[1])
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
# Elements of one part, each of which has the rows of a batch, 200 at most.
PART: Final = 200
# What PostgreSQL says of a line that it will never take: it must not hold up the lines behind it for ever. Integrity:
# a push that was settled twice, because a batch came back after its progress had lapsed, has its row already. And what
# the rollups cannot count must not come into the log.
UNWRITABLE = (DataError, IntegrityError, counting.UncountableError)


def write(store: redis.Redis) -> int:
    """Move the rows that wait in Valkey into PostgreSQL; returns how many lines were written.

    Raises what the stores raise: nothing is lost then, the segments stay and the next call writes them.
    """
    written = 0
    while True:
        newest = uuid.uuid4().hex.encode()
        names = cast("list[bytes]", store.eval(SEGMENT, 3, ROWS, SEGMENTS, WRITTEN_AT, newest))
        for name in sorted(names):
            lines = _write_segment(store, name.decode())
            if lines is None:
                return written
            written += lines
        if newest in names or not names:
            return written  # else: that was what an earlier writer has left, and now comes what has come since


def _write_segment(store: redis.Redis, name: str) -> int | None:
    """Write what is not yet written of a segment, and remove it; None: another writer is at work."""
    key, written = f"{ROWS}:{name}", 0
    for start in range(0, store.llen(key), PART):
        lines = _write_part(store, key, f"{name}:{start}", start)
        if lines is None:
            return None
        written += lines
    with store.pipeline(transaction=True) as together:
        together.unlink(key)
        together.srem(SEGMENTS, name)
        together.execute()
    return written


def _write_part(store: redis.Redis, key: str, part: str, start: int) -> int | None:
    """Copy one part unless it has been written already, in one transaction with the note that it has."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('delivery log'))")
        if not cursor.fetchone()[0]:
            return None
        cursor.execute("INSERT INTO delivery_written_segment (name) VALUES (%s) ON CONFLICT DO NOTHING", [part])
        if cursor.rowcount == 0:
            return 0
        blob = b"".join(cast("list[bytes]", store.lrange(key, start, start + PART - 1)))
        try:
            with transaction.atomic():
                lines = _copy(cursor, blob)
                increments = counting.count(blob)
        except UNWRITABLE:
            logger.exception("a segment of the delivery log violates the table; writing row by row")
            written = _copy_one_by_one(store, cursor, blob)
            lines, increments = len(written), counting.count(b"".join(written))
        increments.write(cursor)
        return lines


def _copy(cursor: Any, blob: bytes) -> int:
    # Django's cursor has no copy(), so that its errors would be psycopg's.
    with connection.wrap_database_errors, cursor.cursor.copy(COPY) as copy:
        copy.write(blob)
    return blob.count(b"\n")


def _copy_one_by_one(store: redis.Redis, cursor: Any, blob: bytes) -> list[bytes]:
    """Copy a part line by line: one that violates the table is kept aside, the others are written, and returned."""
    written = []
    for line in blob.splitlines(keepends=True):
        try:
            with transaction.atomic():
                counting.count(line)
                _copy(cursor, line)
        except UNWRITABLE:
            store.eval(REJECT, 1, REJECTED, line)
            logger.exception("a row of the delivery log violates the table and was kept in %s", REJECTED)
        else:
            written.append(line)
    return written
