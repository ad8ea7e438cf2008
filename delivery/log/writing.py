"""The only writer of the delivery log: rows as text for COPY, made where a push ends and written in bulk.

A row travels as bytes through the list ROWS in Valkey, pushed there in one step with the answer to the server, so that
it is as durable as the queue; `write()` moves what has come together into PostgreSQL. Invariant: each row is written
exactly once, also when a writer dies half-way: a segment's name and its rows are committed in one transaction.
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.db import connection, connections, transaction
from psycopg import DataError, IntegrityError, sql

from delivery.outcomes.verdict import Answer, Attempt, Verdict
from delivery.protocol.wire import Push

logger = logging.getLogger(__name__)

ROWS = "log:rows"
SEGMENTS = "log:segments"
REJECTED = "log:rejected"
COLUMNS = (
    *("trace", "accepted_at", "ended_at", "customer_id", "server_id", "key_id", "app_id", "platform", "type"),
    *("sub_type", "ack_id", "mattermost_id", "device", "size", "outcome", "code", "answer", "attribution", "counts"),
    *("attempts", "count"),
)
COPY = f"COPY delivery_delivery ({', '.join(COLUMNS)}) FROM STDIN"
# In place of a key's id, for a push that came without one. It is no event of the SLA.
NO_KEY = "\\N"
# Characters of a member of a push that are kept; Mattermost's ids have 26, and a stranger's must not swell the log.
KEPT = 64

_SPECIAL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": ""})
_JSON_QUOTED = str.maketrans({"\\": "\\\\\\\\", '"': '\\\\"', "\t": " ", "\n": " ", "\r": " ", "\0": ""})


def fingerprint(device_id: str, hash_key: bytes) -> str:
    """A keyed hash of a device token, 32 hex digits: tells devices apart and cannot be turned back."""
    return hashlib.blake2b(device_id.encode(), digest_size=16, key=hash_key[:64]).hexdigest()


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))


# Pushes come and end in bursts, so few milliseconds are told over and over.
@lru_cache(maxsize=1024)
def _millisecond(milliseconds: int) -> str:
    second, millisecond = divmod(milliseconds, 1000)
    return f"{_second(second)}.{millisecond:03d}+00"


def moment(at: float) -> str:
    """Unix seconds as PostgreSQL reads them, to the millisecond."""
    return _millisecond(int(at * 1000 + 0.5))


# By identity: verdicts are rows of a table that live as long as the process, and to hash one is to hash its texts.
_JUDGED: dict[int, tuple[Verdict, str]] = {}


def _judged(verdict: Verdict) -> str:
    known = _JUDGED.get(id(verdict))
    if known is not None:
        return known[1]
    text = (
        f"{verdict.outcome.value}\t{verdict.code}\t{Answer(verdict.answer).name}\t{verdict.attribution}\t"
        f"{'t' if verdict.counts_in_sla else 'f'}"
    )
    _JUDGED[id(verdict)] = (verdict, text)
    return text


def _attempt(attempt: Attempt) -> str:
    extra = ""
    if attempt.reason:
        extra = f',"reason":"{attempt.reason[:KEPT].translate(_JSON_QUOTED)}"'
    if attempt.detail:
        extra += f',"detail":"{attempt.detail[:200].translate(_JSON_QUOTED)}"'
    return f'{{"at":{attempt.at:.3f},"host":"{attempt.host}","status":{attempt.status},"ms":{attempt.ms}{extra}}}'


def row(
    trace: str,
    accepted_at: float,
    ended_at: float,
    who: str,
    app_id: int | None,
    push: Push,
    device: str,
    size: int,
    verdict: Verdict,
    attempts: Sequence[Attempt],
    count: int = 1,
) -> bytes:
    """One line for COPY. `who` is "customer<TAB>server<TAB>key" (ids); times in unix seconds, size in bytes."""
    words = (push.platform[:KEPT], push.type[:KEPT], push.sub_type[:KEPT], push.ack_id[:KEPT], push.server_id[:KEPT])
    spoken = "".join(words)
    if not spoken.isprintable() or "\\" in spoken:
        words = tuple(word.translate(_SPECIAL) for word in words)  # type: ignore[assignment]
    told = ",".join(map(_attempt, attempts))
    judged = _judged(verdict)
    if who.endswith(NO_KEY):
        judged = f"{judged[:-1]}f"
    app = "\\N" if app_id is None else app_id
    return (
        f"{trace}\t{moment(accepted_at)}\t{moment(ended_at)}\t{who}\t{app}\t{words[0]}\t{words[1]}\t{words[2]}\t"
        f"{words[3]}\t{words[4]}\t{device}\t{size}\t{judged}\t[{told}]\t{count}\n"
    ).encode()


def with_count(line: bytes, count: int) -> bytes:
    """The same line, standing for `count` pushes."""
    return b"%b\t%d\n" % (line.rpartition(b"\t")[0], count)


# --- Writing. Everything below runs in a thread of a worker, off the loop.

# The rows that have come together become a segment of their own, which nothing is added to any more.
CUT = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[1] .. ':' .. ARGV[1])
  redis.call('SADD', KEYS[2], ARGV[1])
end
return redis.call('SMEMBERS', KEYS[2])
"""
CHUNK = 200
# What PostgreSQL says of a line that it will never take: it must not hold up the lines behind it for ever. Integrity:
# a push that was settled twice, because a batch came back after its progress had lapsed, has its row already.
UNFIT = (DataError, IntegrityError)


def write(valkey: redis.Redis) -> int:
    """Move every row that waits in Valkey into PostgreSQL; returns how many lines were written.

    Raises what the stores raise: nothing is lost then, the segments stay and the next call writes them.
    """
    names = valkey.eval(CUT, 2, ROWS, SEGMENTS, uuid.uuid4().hex)
    written = 0
    for name in sorted(names):
        key = f"{ROWS}:{name.decode()}"
        written += _write_segment(valkey, name.decode(), key)
        with valkey.pipeline(transaction=True) as together:
            together.delete(key)
            together.srem(SEGMENTS, name)
            together.execute()
    return written


def _write_segment(valkey: redis.Redis, name: str, key: str) -> int:
    """Copy one segment unless it has been written already, in one transaction with the note that it has."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO delivery_written_segment (name) VALUES (%s) ON CONFLICT DO NOTHING", [name])
        if cursor.rowcount == 0:
            return 0
        try:
            with transaction.atomic():
                return _copy(cursor, _elements(valkey, key))
        except UNFIT:
            logger.exception("a row of the delivery log is not fit for the table; writing line by line")
        return _copy_one_by_one(valkey, cursor, _elements(valkey, key))


def _elements(valkey: redis.Redis, key: str) -> Iterator[bytes]:
    start = 0
    while chunk := valkey.lrange(key, start, start + CHUNK - 1):
        yield b"".join(chunk)  # type: ignore[arg-type]  # bytes: nothing is decoded
        start += CHUNK


def _copy(cursor: Any, blobs: Iterable[bytes]) -> int:
    lines = 0
    with cursor.cursor.copy(COPY) as copy:
        for blob in blobs:
            lines += blob.count(b"\n")
            copy.write(blob)
    return lines


def _copy_one_by_one(valkey: redis.Redis, cursor: Any, blobs: Iterable[bytes]) -> int:
    """The way for a segment with a line that the table refuses: that line is kept aside, the others are written."""
    lines = 0
    for blob in blobs:
        for line in blob.splitlines(keepends=True):
            try:
                with transaction.atomic():
                    lines += _copy(cursor, [line])
            except UNFIT:
                valkey.rpush(REJECTED, line)
                logger.exception("a row of the delivery log was refused and kept in %s", REJECTED)
    return lines


# --- Partitions: one per day, made ahead of time, dropped when the retention is over; by the owner of the tables.


def make_partitions(today: date, ahead: int = 3) -> list[str]:
    """Make the partitions of yesterday, today and the `ahead` days after it; returns the names of the new ones."""
    made, alias = [], settings.OWNER_DATABASE
    for offset in range(-1, ahead + 1):
        day = today + timedelta(days=offset)
        name = f"delivery_{day:%Y_%m_%d}"
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            # Several workers start at once, and each looks after the partitions.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('delivery partitions'))")
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
            if cursor.fetchone()[0]:
                continue
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            bounds = [sql.Literal(start), sql.Literal(start + timedelta(days=1))]
            # Rows of this day that came before its partition stand in the catch-all and move over.
            table = sql.Identifier(name)
            for statement in (
                sql.SQL("CREATE TABLE {} (LIKE delivery_delivery INCLUDING ALL)").format(table),
                # It only grows: looked at for the planner's statistics when it has grown by half, not by each tenth.
                sql.SQL("ALTER TABLE {} SET (autovacuum_analyze_scale_factor = 0.5)").format(table),
                sql.SQL(
                    "WITH moved AS (DELETE FROM delivery_other_days WHERE accepted_at >= {} AND accepted_at < {} "
                    "RETURNING *) INSERT INTO {} SELECT * FROM moved"
                ).format(*bounds, table),
                sql.SQL("ALTER TABLE delivery_delivery ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                    table, *bounds
                ),
            ):
                cursor.execute(statement)
        made.append(name)
    return made


def drop_partitions(today: date, keep_days: int | None = None) -> list[str]:
    """Drop the partitions of days that are older than `keep_days` (default: settings.RETENTION_DAYS); returns names."""
    oldest = today - timedelta(days=settings.RETENTION_DAYS if keep_days is None else keep_days)
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'delivery_delivery'::regclass AND c.relname ~ '^delivery_[0-9]{4}_[0-9]{2}_[0-9]{2}$'"
        )
        names = [name for (name,) in cursor.fetchall() if name < f"delivery_{oldest:%Y_%m_%d}"]
        for name in names:
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        cursor.execute("DELETE FROM delivery_other_days WHERE accepted_at < %s", [oldest])
        cursor.execute("DELETE FROM delivery_written_segment WHERE written_at < now() - interval '2 days'")
    return sorted(names)
