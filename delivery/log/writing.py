"""Moves the rows of the delivery log from Valkey into PostgreSQL (segments.py): the log's only writer.

Invariant: each row is written exactly once, and counted once in the rollups, also when a writer dies half-way: a part's
name, its rows and what they add to the rollups are committed in one transaction. All of it runs in a thread of a
worker, off the loop.
"""

import logging
from typing import Any, Final

import redis
from django.db import DataError, IntegrityError, connection, transaction

from delivery.log import counting, rows, segments
from delivery.log.rows import COPY, ROWS

logger = logging.getLogger(__name__)

SEGMENTS = "log:segments"
REJECTED = "log:rejected"
# When all rows that had come until then were written, unix seconds by Valkey's clock (backlog.py).
WRITTEN_AT = "log:written_at"
QUEUE: Final = segments.Queue(ROWS, SEGMENTS, WRITTEN_AT, REJECTED)
# Elements of one part, each of which has the rows of a batch: 200 at most, hardly ever more than some dozens.
PART: Final = 500
# What PostgreSQL says of a line that it will never take: it must not hold up the lines behind it for ever. Integrity:
# a push that was settled twice, because a batch came back after its progress had lapsed, has its row already. And what
# the rollups cannot count must not come into the log.
UNWRITABLE = (DataError, IntegrityError, counting.UncountableError)


def write(store: redis.Redis) -> int:
    """Move the rows that wait in Valkey into PostgreSQL; returns how many lines were written.

    Raises what the stores raise: nothing is lost then, the segments stay and the next call writes them.
    """
    return segments.move(store, QUEUE, PART, _write_part)


def _write_part(store: redis.Redis, key: str, part: str, start: int) -> int | None:
    """Copy one part unless it has been written already; None: another writer is at work."""
    return segments.write_once(store, key, part, start, PART, lambda cursor, blob: _write_rows(store, cursor, blob))


def _write_rows(store: redis.Redis, cursor: Any, blob: bytes) -> int:
    try:
        with transaction.atomic():
            lines = _copy(cursor, blob)
            increments = counting.count(blob)
    except UNWRITABLE:
        if (today := rows.of_today(blob)) != blob:
            return _write_rows(store, cursor, today)
        logger.exception("a segment of the delivery log violates the table; writing it by halves")
        written = segments.by_halves(store, REJECTED, blob, lambda lines: _write_apart(cursor, lines), UNWRITABLE)
        blob = b"".join(written)
        lines, increments = blob.count(b"\n"), counting.count(blob)
    increments.write(cursor)
    return lines


def _write_apart(cursor: Any, lines: bytes) -> None:
    counting.count(lines)
    _copy(cursor, lines)


def _copy(cursor: Any, blob: bytes) -> int:
    # Django's cursor has no copy(), so that its errors would be psycopg's.
    with connection.wrap_database_errors, cursor.cursor.copy(COPY) as copy:
        copy.write(blob)
    return blob.count(b"\n")
