"""Recomputation of the rollups of whole hours from the delivery log: whatever they were, they say afterwards what it
says, and their days what all their hours say. Whoever else writes to the rollups waits meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from delivery.rollups import compacting
from delivery.rollups.cells import BASE, TABLES, UNITS, cells

# Held by whoever writes rows of the log or receipts, with what they add to the rollups.
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('delivery log'))"


def rebuild(start: datetime, end: datetime) -> None:
    """Count the pushes accepted from `start` to before `end` (both whole hours) anew, in one transaction.

    Raises ValueError for other bounds, django.db.Error.
    """
    if start >= end or any(bound.minute or bound.second or bound.microsecond for bound in (start, end)):
        raise ValueError("rollups are rebuilt by whole hours, the earlier bound first")
    bounds = {"start": start, "end": end}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(compacting.LOCK)
        for unit in UNITS:
            for name in dict.fromkeys(table.name.format(unit=unit) for table in TABLES):
                cursor.execute(f"DELETE FROM {name} WHERE at >= %(start)s AND at < %(end)s", bounds)  # noqa: S608
            for table in TABLES:
                _count(cursor, table.name.format(unit=unit), unit, table.dimensions, bounds)
        last = midnight(end - timedelta(hours=1))
        compacting.make_days(cursor, midnight(start), last + timedelta(days=1))


def midnight(moment: datetime) -> datetime:
    """When the day (of UTC) began that a moment is in."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _count(cursor: Any, table: str, unit: str, dimensions: dict[str, str], bounds: dict[str, datetime]) -> None:
    columns, select = cells(unit, dimensions)
    cursor.execute(f"WITH {BASE} INSERT INTO {table} ({', '.join(columns)}) {select}", bounds)
