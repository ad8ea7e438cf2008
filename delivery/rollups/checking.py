"""Comparison of the rollups with what the delivery log counts to, hour by hour."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection

from delivery.rollups.cells import BASE, MEASURES, TABLES, UNITS, Table, cells
from delivery.rollups.compacting import merged_measures, summed_measures

HOUR: Final = timedelta(hours=1)
# Both are read by one statement, which sees what was committed when it began: who writes meanwhile makes no difference.
_COMPARE: Final = """
WITH {base}, counted ({columns}) AS ({select}), kept AS (
    SELECT {names}, {merged} FROM (
        SELECT {names}, {summed} FROM {table} WHERE at >= %(start)s AND at < %(end)s AND {grain} GROUP BY {names}
    ) AS found WHERE pushes <> 0 OR acked <> 0
)
SELECT {names}, counted.pushes, counted.acked, kept.pushes, kept.acked
FROM counted FULL JOIN kept USING ({names})
WHERE ({counted}) IS DISTINCT FROM ({kept}) ORDER BY {names}
"""


def reach() -> tuple[datetime, datetime] | None:
    """From when to before when the log can be counted, as whole hours: from the day of its oldest row on, for older
    days may have been dropped, until the end of the present hour. None: it is empty. By PostgreSQL's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(accepted_at), now() FROM delivery_delivery")
        oldest, now = cursor.fetchone()
    if oldest is None:
        return None
    first = oldest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return first, now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + HOUR


def hours(start: datetime, end: datetime) -> Iterator[datetime]:
    """The hours from `start` to before `end`."""
    while start < end:
        yield start
        start += HOUR


def differences(hour: datetime) -> Iterator[dict[str, Any]]:
    """The cells of an hour and its minutes that the log counts otherwise than the rollups do: the table, what the cell
    is, and pushes and acknowledged ones by both (null: none); they may be the same where latencies are not."""
    for unit in UNITS:
        for table in TABLES:
            yield from _differences(table, unit, {"start": hour, "end": hour + HOUR})


def _differences(table: Table, unit: str, bounds: dict[str, datetime]) -> Iterator[dict[str, Any]]:
    columns, select = cells(unit, table.dimensions)
    names = columns[: columns.index(MEASURES[0])]
    statement = _COMPARE.format(
        base=BASE,
        columns=", ".join(columns),
        select=select,
        names=", ".join(names),
        merged=merged_measures(),
        summed=summed_measures(),
        table=table.read.format(unit=unit),
        grain=f"grain = {table.dimensions['grain']}" if "grain" in names else "true",
        counted=", ".join(f"counted.{name}" for name in MEASURES),
        kept=", ".join(f"kept.{name}" for name in MEASURES),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, bounds)
        for *values, pushes, acked, kept_pushes, kept_acked in cursor.fetchall():
            yield {
                "table": table.name.format(unit=unit),
                **{
                    name: value.isoformat() if name == "at" else value
                    for name, value in zip(names, values, strict=True)
                },
                "log": {"pushes": pushes, "acked": acked},
                "rollups": {"pushes": kept_pushes, "acked": kept_acked},
            }
