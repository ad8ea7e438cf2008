"""Comparison of the rollups with what the delivery log counts to, hour by hour, and of days with their hours."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection

from delivery.rollups.cells import BASE, DAY, MEASURES, OF_CUSTOMERS, TABLES, UNITS, Table, cells
from delivery.rollups.compacting import merged_measures, summed_measures

HOUR: Final = timedelta(hours=1)
LAST_HOUR: Final = 23
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
# The days by the hours as both are read.
_COMPARE_DAYS: Final = """
WITH hours AS ({hours}), days AS ({days})
SELECT {names}, hours.pushes, hours.acked, days.pushes, days.acked
FROM hours FULL JOIN days USING ({names})
WHERE ({of_hours}) IS DISTINCT FROM ({of_days}) ORDER BY {names}
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


def all_differences(start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    """The differences of the hours from `start` to before `end`, each day after its last one."""
    for hour in hours(start, end):
        yield from differences(hour)
        if hour + HOUR == end or hour.hour == LAST_HOUR:
            yield from differences_of_day(hour.replace(hour=0))


def differences(hour: datetime) -> Iterator[dict[str, Any]]:
    """The cells of an hour and its minutes that the log counts otherwise than the rollups do: the table, what the cell
    is, and pushes and acknowledged ones by both (null: none); they may be the same where latencies are not."""
    for unit in UNITS:
        for table in TABLES:
            yield from _differences(table, unit, {"start": hour, "end": hour + HOUR})


def differences_of_day(day: datetime) -> Iterator[dict[str, Any]]:
    """The cells of a day (its midnight, UTC) that its hours add up to otherwise than its own counts say: as
    differences(), `hours` in the place of the log."""
    names = ", ".join(OF_CUSTOMERS)
    in_day = ", ".join(("date_trunc('day', at, 'UTC') AS at", *OF_CUSTOMERS[1:], *MEASURES))
    statement = _COMPARE_DAYS.format(
        names=names,
        hours=_summed(f"(SELECT {in_day} FROM delivery_hour_now WHERE at >= %(start)s AND at < %(end)s) AS hour"),  # noqa: S608
        days=_summed("delivery_day_now"),
        of_hours=", ".join(f"hours.{name}" for name in MEASURES),
        of_days=", ".join(f"days.{name}" for name in MEASURES),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {"start": day, "end": day + timedelta(days=1)})
        for row in cursor.fetchall():
            yield _difference(f"delivery_{DAY}", OF_CUSTOMERS, row, "hours")


def _summed(source: str) -> str:
    """A SELECT of what the rows of a span add up to, by the cells of customers."""
    names = ", ".join(OF_CUSTOMERS)
    return f"""SELECT {names}, {merged_measures()} FROM (
        SELECT {names}, {summed_measures()} FROM {source} WHERE at >= %(start)s AND at < %(end)s GROUP BY {names}
    ) AS found WHERE pushes <> 0 OR acked <> 0"""  # noqa: S608  names of ours


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
        for row in cursor.fetchall():
            yield _difference(table.name.format(unit=unit), names, row, "log")


def _difference(table: str, names: Sequence[str], row: Sequence[Any], source: str) -> dict[str, Any]:
    """A row of a comparison, which ends with pushes and acknowledged ones by the source and by the rollup."""
    *values, pushes, acked, kept_pushes, kept_acked = row
    cell = {name: value.isoformat() if name == "at" else value for name, value in zip(names, values, strict=True)}
    return {
        "table": table,
        **cell,
        source: {"pushes": pushes, "acked": acked},
        "rollups": {"pushes": kept_pushes, "acked": kept_acked},
    }
