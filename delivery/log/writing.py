"""Moves the rows of the delivery log from Valkey into PostgreSQL, segment by segment: the log's only writer.

Invariant: each row is written exactly once, also when a writer dies half-way: a segment's name and its rows are
committed in one transaction. All of it runs in a thread of a worker, off the loop.
"""

import logging
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import redis
from django.db import connection, transaction
from psycopg import DataError, IntegrityError

from delivery.log.rows import COPY, ROWS

logger = logging.getLogger(__name__)

SEGMENTS = "log:segments"
REJECTED = "log:rejected"

# The rows that have come together become a segment of their own, which nothing is added to any more.
SEGMENT = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[1] .. ':' .. ARGV[1])
  redis.call('SADD', KEYS[2], ARGV[1])
end
return redis.call('SMEMBERS', KEYS[2])
"""
CHUNK = 200
# What PostgreSQL says of a line that it will never take: it must not hold up the lines behind it for ever. Integrity:
# a push that was settled twice, because a batch came back after its progress had lapsed, has its row already.
UNWRITABLE = (DataError, IntegrityError)


def write(store: redis.Redis) -> int:
    """Move all rows that wait in Valkey into PostgreSQL; returns how many lines were written.

    Raises what the stores raise: nothing is lost then, the segments stay and the next call writes them.
    """
    names = store.eval(SEGMENT, 2, ROWS, SEGMENTS, uuid.uuid4().hex)
    written = 0
    for name in sorted(names):
        key = f"{ROWS}:{name.decode()}"
        written += _write_segment(store, name.decode(), key)
        with store.pipeline(transaction=True) as together:
            together.delete(key)
            together.srem(SEGMENTS, name)
            together.execute()
    return written


def _write_segment(store: redis.Redis, name: str, key: str) -> int:
    """Copy one segment unless it has been written already, in one transaction with the note that it has."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO delivery_written_segment (name) VALUES (%s) ON CONFLICT DO NOTHING", [name])
        if cursor.rowcount == 0:
            return 0
        try:
            with transaction.atomic():
                return _copy(cursor, _elements(store, key))
        except UNWRITABLE:
            logger.exception("a segment of the delivery log violates the table; writing row by row")
        return _copy_one_by_one(store, cursor, _elements(store, key))


def _elements(store: redis.Redis, key: str) -> Iterator[bytes]:
    start = 0
    while chunk := store.lrange(key, start, start + CHUNK - 1):
        yield b"".join(chunk)  # type: ignore[arg-type]  # bytes: nothing is decoded
        start += CHUNK


def _copy(cursor: Any, blobs: Iterable[bytes]) -> int:
    lines = 0
    with cursor.cursor.copy(COPY) as copy:
        for blob in blobs:
            lines += blob.count(b"\n")
            copy.write(blob)
    return lines


def _copy_one_by_one(store: redis.Redis, cursor: Any, blobs: Iterable[bytes]) -> int:
    """Copy a segment line by line: one that violates the table is kept aside, the others are written."""
    lines = 0
    for blob in blobs:
        for line in blob.splitlines(keepends=True):
            try:
                with transaction.atomic():
                    lines += _copy(cursor, [line])
            except UNWRITABLE:
                store.rpush(REJECTED, line)
                logger.exception("a row of the delivery log violates the table and was kept in %s", REJECTED)
    return lines
