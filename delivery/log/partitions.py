"""The partitions of the delivery log: one per day, made ahead of time, dropped when the retention is over.

By the owner of the tables. Invariant: neither waits for a lock for longer than a moment (locks.py), so that a long
reader holds up no writer of the log; what it keeps from being done is done the next time.
"""

import logging
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import OperationalError, connections
from psycopg import sql

from delivery.log.locks import is_held, try_repeatedly

logger = logging.getLogger(__name__)


def todays_date() -> date:
    """Return today's date in UTC by PostgreSQL's clock: a worker's that is years ahead must not drop the whole log."""
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
        today: date = cursor.fetchone()[0]
        return today


def make_partitions(today: date, ahead: int = 3) -> list[str]:
    """Make the partitions of yesterday, today and the `ahead` days after it; returns the names of the new ones.

    Raises django.db.Error; those that were made stay.
    """
    days = [today + timedelta(days=offset) for offset in range(-1, ahead + 1)]
    return [_name(day) for day in days if try_repeatedly(partial(_make, day))]


def _name(day: date) -> str:
    return f"delivery_{day:%Y_%m_%d}"


def _make(day: date, cursor: Any) -> bool:
    """Make the partition of a day; False when it is there."""
    name = _name(day)
    # Several workers start at once, and each looks after the partitions.
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('delivery partitions'))")
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
    if cursor.fetchone()[0]:
        return False
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    bounds = [sql.Literal(start), sql.Literal(start + timedelta(days=1))]
    table = sql.Identifier(name)
    for statement in (
        # ATTACH takes this lock anyway; taken first, no row of the day comes to the catch-all behind our back.
        sql.SQL("LOCK TABLE delivery_other_days IN ACCESS EXCLUSIVE MODE"),
        sql.SQL("CREATE TABLE {} (LIKE delivery_delivery INCLUDING ALL)").format(table),
        # It only grows: looked at for the planner's statistics when it has grown by half, not by each tenth.
        sql.SQL("ALTER TABLE {} SET (autovacuum_analyze_scale_factor = 0.5)").format(table),
        # Rows of this day that came before its partition stand in the catch-all and move over.
        sql.SQL(
            "WITH moved AS (DELETE FROM delivery_other_days WHERE accepted_at >= {} AND accepted_at < {} "
            "RETURNING *) INSERT INTO {} SELECT * FROM moved"
        ).format(*bounds, table),
        sql.SQL("ALTER TABLE delivery_delivery ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            table, *bounds
        ),
    ):
        cursor.execute(statement)
    return True


def drop_partitions(today: date, keep_days: int | None = None) -> tuple[list[str], list[str]]:
    """Drop the partitions of days that are older than `keep_days` (default: settings.RETENTION_DAYS).

    Returns the names of those that are gone, and of those that somebody holds, which is logged. Raises django.db.Error.
    """
    oldest = today - timedelta(days=settings.RETENTION_DAYS if keep_days is None else keep_days)
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'delivery_delivery'::regclass AND c.relname ~ '^delivery_[0-9]{4}_[0-9]{2}_[0-9]{2}$'"
        )
        names = sorted(name for (name,) in cursor.fetchall() if name < _name(oldest))
    held = [name for name in names if not _drop(name)]
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute("DELETE FROM delivery_other_days WHERE accepted_at < %s", [oldest])
        cursor.execute("DELETE FROM delivery_written_segment WHERE written_at < now() - interval '2 days'")
    return [name for name in names if name not in held], held


def _drop(name: str) -> bool:
    # Of the partitioned table it takes ACCESS EXCLUSIVE, as DETACH does, until it is committed, which is at once: the
    # files are deleted after that.
    statement = sql.SQL("DROP TABLE {}").format(sql.Identifier(name))
    try:
        try_repeatedly(lambda cursor: cursor.execute(statement))
    except OperationalError as error:
        if not is_held(error):
            raise
        logger.error(
            "the log's partition %s is past its retention and cannot be dropped while somebody reads the log; "
            "it is tried again in some minutes",
            name,
        )
        return False
    return True
