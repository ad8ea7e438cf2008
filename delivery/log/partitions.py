"""The partitions of the delivery log: one per day, made ahead of time, dropped when the retention is over.

By the owner of the tables.
"""

from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import connections, transaction
from psycopg import sql


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
