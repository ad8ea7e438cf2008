"""The rollups as sums, whatever rows they stand in, to be compared."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any, Final

from django.db import connection

from delivery.rollups import buckets
from delivery.rollups.buckets import Histogram

MODELS: Final = (
    *("delivery_minute", "delivery_hour", "delivery_day"),
    *("delivery_service_minute", "delivery_service_hour"),
)
_MEASURES: Final = ("pushes", "acked", "handoff", "receipt")
Sums = dict[tuple[Any, ...], tuple[int, int, Histogram, Histogram]]


def everything() -> dict[str, Sums]:
    """By table: of each cell the pushes, those acknowledged, and both histograms; without those of nothing. Days are
    held against their hours."""
    found = {table: _sums(table) for table in MODELS}
    assert found["delivery_day"] == days_of(found["delivery_hour"])
    return found


def days_of(hours: Sums) -> Sums:
    """What the cells of hours add up to by day (UTC): what the days are to say, at any moment."""
    days: Sums = {}
    for (at, *cell), (pushes, acked, *histograms) in hours.items():
        key = (at.astimezone(UTC).replace(hour=0), *cell)
        before = days.get(key, (0, 0, {}, {}))
        for into, more in zip(before[2:], histograms, strict=True):
            buckets.add(into, buckets.pack(more))
        days[key] = (before[0] + pushes, before[1] + acked, *before[2:])
    return days


def _sums(table: str) -> Sums:
    sums: Sums = {}
    for cell, pushes, acked, handoff, receipt in _rows(table):
        before = sums.get(cell, (0, 0, {}, {}))
        buckets.add(before[2], handoff)
        buckets.add(before[3], receipt)
        sums[cell] = (before[0] + pushes, before[1] + acked, *before[2:])
    return {
        cell: (pushes, acked, _without_zeros(handoff), _without_zeros(receipt))
        for cell, (pushes, acked, handoff, receipt) in sums.items()
        if pushes or acked
    }


def _without_zeros(histogram: Histogram) -> Histogram:
    return {bucket: count for bucket, count in histogram.items() if count}


def _rows(table: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        # Of customers by the views, which are what is read.
        name = table if "service" in table else f"{table}_now"
        cursor.execute(f"SELECT * FROM {name}")  # noqa: S608
        names = [column.name for column in cursor.description]
        for row in cursor.fetchall():
            members = dict(zip(names, row, strict=True))
            members.pop("merged", None)
            measures = [members.pop(name) for name in _MEASURES]
            yield tuple(members.values()), *measures


def rows_of(table: str) -> int:
    """How many rows it has."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
        return int(cursor.fetchone()[0])


def empty() -> None:
    """Leave nothing in the tables. TRUNCATE would take longer, for it makes each of them anew."""
    with connection.cursor() as cursor:
        for table in MODELS:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608
