"""Increments of the rollups: counts that come together in memory, written as rows that add up to those that are there.

Invariant: an increment is written in the transaction that writes what it counts, so that each is counted exactly once;
it says what rebuilding.rebuild() would. Of a customer the minute is written in the finest grain alone: that stands for
its other grain and its hour, too (the views of delivery 0010), until compacting.py moves it there.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection

from delivery.rollups import buckets, cells
from delivery.rollups.buckets import Histogram


class Cell(NamedTuple):
    """What a push is counted under, in the finest grain: `at` is the minute (UTC) of its acceptance, app_id 0 where no
    app was found, family and type as cells.family() and cells.kind() say, the rest as in its row of the log."""

    at: datetime
    customer_id: int
    server_id: int
    app_id: int
    family: str
    type: str
    outcome: str
    code: str
    attribution: str
    counts: bool


# What a row of a table begins with: its dimensions.
_Row = tuple[Any, ...]
_DETAIL: Final = (*cells.DIMENSIONS["delivery_{unit}"], *cells.MEASURES)
_SERVICE: Final = (*cells.DIMENSIONS["delivery_service_{unit}"], *cells.MEASURES)
# Sums of all customers are few: both units in one statement, with the minutes that have new rows in the log, for the
# one who reads those afterwards (delivery/devices/absorbing.py). A receipt is noted with its push, by the database.
_TOGETHER: Final = f"""
WITH sums AS MATERIALIZED (
    SELECT * FROM unnest(
        %s::boolean[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[],
        %s::bigint[], %s::bigint[], %s::text[], %s::text[]
    ) AS sums (hourly, {", ".join(_SERVICE)})
), minutes AS (
    INSERT INTO delivery_service_minute ({", ".join(_SERVICE)})
    SELECT {", ".join(_SERVICE[:-2])}, handoff::bigint[], receipt::bigint[] FROM sums WHERE NOT hourly
), hours AS (
    INSERT INTO delivery_service_hour ({", ".join(_SERVICE)})
    SELECT {", ".join(_SERVICE[:-2])}, handoff::bigint[], receipt::bigint[] FROM sums WHERE hourly
)
INSERT INTO delivery_written_minute (minute) SELECT unnest(%s::timestamptz[])
"""  # noqa: S608  names of ours
_SPECIAL: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": ""})


class Increments:
    """Counts of some pushes and receipts. It may be written once for each time that they are."""

    def __init__(self) -> None:
        self._cells: dict[Cell, tuple[Histogram, Histogram]] = {}

    def push(self, cell: Cell, count: int, bucket: int) -> None:
        """Count `count` pushes whose hand-off took as long as this bucket (buckets.bucket_of) says."""
        handoff = self._of(cell)[0]
        handoff[bucket] = handoff.get(bucket, 0) + count

    def acked(self, cell: Cell, bucket: int) -> None:
        """Count the first receipt of a push of this cell, which came as long after it as this bucket says."""
        receipt = self._of(cell)[1]
        receipt[bucket] = receipt.get(bucket, 0) + 1

    def write(self, cursor: Any) -> None:
        """Add them to all tables, through a cursor of Django's and in its transaction. Raises django.db.Error."""
        if not self._cells:
            return
        _copy(cursor, "delivery_minute", _DETAIL, (_line(cell, both) for cell, both in self._cells.items()))
        minutes = sorted({cell.at for cell, (handoff, _) in self._cells.items() if handoff})
        cursor.execute(cells.CANARIES)
        canaries = {customer for (customer,) in cursor.fetchall()}
        sums = list(self._together(canaries))
        columns = map(list, zip(*sums, strict=True)) if sums else ([] for _ in ("hourly", *_SERVICE))
        cursor.execute(_TOGETHER, [*columns, minutes])

    def _of(self, cell: Cell) -> tuple[Histogram, Histogram]:
        found = self._cells.get(cell)
        if found is None:
            found = self._cells[cell] = ({}, {})
        return found

    def _together(self, canaries: set[int]) -> Iterator[tuple[Any, ...]]:
        """The sums of all customers but the canaries, of minutes and of hours."""
        for hourly in (False, True):
            sums: dict[_Row, tuple[Histogram, Histogram]] = {}
            for cell, histograms in self._cells.items():
                if cell.customer_id in canaries:
                    continue
                at = cell.at.replace(minute=0) if hourly else cell.at
                _add(sums, (at, cell.family, cell.outcome, cell.code, cell.attribution, cell.counts), histograms)
            for key, histograms in sums.items():
                yield (hourly, *key, *map(_total, histograms), *map(_packed, histograms))


def _add(sums: dict[_Row, tuple[Histogram, Histogram]], key: _Row, histograms: tuple[Histogram, Histogram]) -> None:
    for into, histogram in zip(sums.setdefault(key, ({}, {})), histograms, strict=True):
        for bucket, count in histogram.items():
            into[bucket] = into.get(bucket, 0) + count


def _line(cell: Cell, histograms: tuple[Histogram, Histogram]) -> str:
    at, customer, server, app, *others = cell
    dimensions = "\t".join(str(value).translate(_SPECIAL) for value in (at, customer, 0, server, app, *others))
    handoff, receipt = histograms
    return f"{dimensions}\t{_total(handoff)}\t{_total(receipt)}\t{_packed(handoff)}\t{_packed(receipt)}\n"


def _total(histogram: Histogram) -> int:
    return sum(histogram.values())


def _packed(histogram: Histogram) -> str:
    return f"{{{','.join(map(str, buckets.pack(histogram)))}}}"


def _copy(cursor: Any, table: str, columns: tuple[str, ...], lines: Iterator[str]) -> None:
    # Django's cursor has no copy(), so that its errors would be psycopg's.
    with connection.wrap_database_errors, cursor.cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        copy.write("".join(lines))
