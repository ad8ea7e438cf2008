"""The partitions of the delivery log, of receipts and of the rollups: made ahead, dropped when the retention is over.

The log and receipts have one per day, minutes, hours and days of the rollups one per month. By the owner of the tables.
Invariant: neither waits for a lock for longer than a moment (locks.py), so that a long reader holds up no writer; what
it keeps from being done is done the next time.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import OperationalError, connections
from psycopg import sql

from delivery.log.locks import is_held, try_repeatedly

logger = logging.getLogger(__name__)

# Months for which rollups are kept, besides the current one: two years and a month to settle the accounts of the last.
MONTHS: Final = 25


class Partitioned(NamedTuple):
    """A table with partitions by its column, whose names begin with `prefix`; a catch-all takes what has none."""

    table: str
    column: str
    prefix: str
    catch_all: str
    monthly: bool = False

    def name(self, day: date) -> str:
        """The name of the partition that a day is in; the names are in the order of time."""
        return f"{self.prefix}_{day:%Y_%m}" if self.monthly else f"{self.prefix}_{day:%Y_%m_%d}"

    def bounds(self, day: date) -> tuple[datetime, datetime]:
        """From when to before when the partition of a day reaches."""
        if self.monthly:
            return _midnight(months_before(day, 0)), _midnight(months_before(day, -1))
        return _midnight(day), _midnight(day + timedelta(days=1))

    def oldest(self, today: date) -> date:
        """The first day that is kept."""
        return months_before(today, MONTHS) if self.monthly else today - timedelta(days=settings.RETENTION_DAYS)


LOG: Final = Partitioned("delivery_delivery", "accepted_at", "delivery", "delivery_other_days")
RECEIPTS: Final = Partitioned("delivery_receipt", "received_at", "delivery_receipt", "delivery_receipt_other_days")
MINUTES: Final = Partitioned("delivery_minute_merged", "at", "delivery_minute", "delivery_minute_other", monthly=True)
HOURS: Final = Partitioned("delivery_hour_merged", "at", "delivery_hour", "delivery_hour_other", monthly=True)
DAYS: Final = Partitioned("delivery_day_merged", "at", "delivery_day", "delivery_day_other", monthly=True)
TABLES: Final = (LOG, RECEIPTS, MINUTES, HOURS, DAYS)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def months_before(day: date, months: int) -> date:
    """The first day of the month that was so many months before that of `day`."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, 1)


def todays_date() -> date:
    """Return today's date in UTC by PostgreSQL's clock: a worker's that is years ahead must not drop the whole log."""
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
        today: date = cursor.fetchone()[0]
        return today


def make_partitions(today: date, ahead: int = 3, tables: Sequence[Partitioned] = TABLES) -> list[str]:
    """Make the partitions of yesterday, today and the `ahead` days after it, and of earlier days whose rows came when
    nobody had made theirs; returns the names of the new ones.

    Raises django.db.Error; those that were made stay.
    """
    days = [today + timedelta(days=offset) for offset in range(-1, ahead + 1)]
    wanted = {
        table.name(day): partial(_make, table, day) for table in tables for day in (*_stranded(table, days[0]), *days)
    }
    return [name for name, make in wanted.items() if try_repeatedly(make)]


def _stranded(partitioned: Partitioned, before: date) -> list[date]:
    """The days of before that one, and within retention, of which rows stand in the catch-all."""
    days = sql.SQL(
        "SELECT DISTINCT ({column} AT TIME ZONE 'UTC')::date FROM {catch_all} "
        "WHERE {column} >= {start} AND {column} < {end} ORDER BY 1"
    ).format(
        column=sql.Identifier(partitioned.column),
        catch_all=sql.Identifier(partitioned.catch_all),
        start=sql.Literal(_midnight(partitioned.oldest(before))),
        end=sql.Literal(_midnight(before)),
    )
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute(days)
        return [day for (day,) in cursor.fetchall()]


def _make(partitioned: Partitioned, day: date, cursor: Any) -> bool:
    """Make the partition of a day; False when it is there."""
    name = partitioned.name(day)
    # Several workers start at once, and each looks after the partitions.
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('delivery partitions'))")
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
    if cursor.fetchone()[0]:
        return False
    names = {
        "table": sql.Identifier(partitioned.table),
        "catch_all": sql.Identifier(partitioned.catch_all),
        "column": sql.Identifier(partitioned.column),
        "new": sql.Identifier(name),
        "start": sql.Literal(partitioned.bounds(day)[0]),
        "end": sql.Literal(partitioned.bounds(day)[1]),
    }
    for statement in (
        # ATTACH takes this lock anyway; taken first, no row of the day comes to the catch-all behind our back.
        "LOCK TABLE {catch_all} IN ACCESS EXCLUSIVE MODE",
        "CREATE TABLE {new} (LIKE {table} INCLUDING ALL)",
        # It only grows: looked at for the planner's statistics when it has grown by half, not by each tenth.
        "ALTER TABLE {new} SET (autovacuum_analyze_scale_factor = 0.5)",
        # Rows of this day that came before its partition stand in the catch-all and move over.
        "WITH moved AS (DELETE FROM {catch_all} WHERE {column} >= {start} AND {column} < {end} RETURNING *) "
        "INSERT INTO {new} SELECT * FROM moved",
        "ALTER TABLE {table} ATTACH PARTITION {new} FOR VALUES FROM ({start}) TO ({end})",
    ):
        cursor.execute(sql.SQL(statement).format(**names))
    return True


def drop_partitions(
    today: date, keep_days: int | None = None, tables: Sequence[Partitioned] = TABLES
) -> tuple[list[str], list[str]]:
    """Drop the partitions that are past their retention: of the log and of receipts `keep_days` (default:
    settings.RETENTION_DAYS).

    Returns the names of those that are gone, and of those that somebody holds, which is logged. Raises django.db.Error.
    """
    names: list[str] = []
    for table in tables:
        oldest = table.oldest(today)
        if keep_days is not None and not table.monthly:
            oldest = today - timedelta(days=keep_days)
        names += _past(table, oldest)
        with connections[settings.OWNER_DATABASE].cursor() as cursor:
            statement = sql.SQL("DELETE FROM {} WHERE {} < {}").format(
                sql.Identifier(table.catch_all), sql.Identifier(table.column), sql.Literal(_midnight(oldest))
            )
            cursor.execute(statement)
    held = [name for name in names if not _drop(name)]
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute("DELETE FROM delivery_written_segment WHERE written_at < now() - interval '2 days'")
    return [name for name in names if name not in held], held


def _past(table: Partitioned, oldest: date) -> list[str]:
    """The partitions of before the first day that is kept, the oldest first."""
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass AND c.relname ~ %s",
            [table.table, rf"^{table.prefix}_[0-9]{{4}}_[0-9_]+$"],
        )
        return sorted(name for (name,) in cursor.fetchall() if name < table.name(oldest))


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
            "the partition %s is past its retention and cannot be dropped while somebody reads its table; "
            "it is tried again in some minutes",
            name,
        )
        return False
    return True
