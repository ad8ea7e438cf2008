"""Increments of the rollups: counts that come together in memory, written as rows that add up to those that are there.

Invariant: an increment is written in the transaction that writes what it counts, so that each is counted exactly once;
it says what rebuilding.rebuild() would. Several rows of a cell are merged later, by compacting.py.
"""

from collections.abc import Iterator, Mapping
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
# Which minutes have new rows in the log, for whoever reads them afterwards (delivery/devices/absorbing.py). A receipt
# is noted with its push instead, by the database.
_NOTE: Final = "INSERT INTO delivery_written_minute (minute) SELECT unnest(%s::timestamptz[])"
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
        if minutes := sorted({cell.at for cell, (handoff, _) in self._cells.items() if handoff}):
            cursor.execute(_NOTE, [minutes])
        cursor.execute(cells.CANARIES)
        canaries = {customer for (customer,) in cursor.fetchall()}
        for unit in cells.UNITS:
            counts = self._by(unit)
            for (name, dimensions), lines in zip(
                cells.DIMENSIONS.items(), (_of_customers(counts), _of_service(counts, canaries)), strict=True
            ):
                _copy(cursor, name.format(unit=unit), (*dimensions, *cells.MEASURES), lines)

    def _of(self, cell: Cell) -> tuple[Histogram, Histogram]:
        found = self._cells.get(cell)
        if found is None:
            found = self._cells[cell] = ({}, {})
        return found

    def _by(self, unit: str) -> Mapping[Cell, tuple[Histogram, Histogram]]:
        if unit == "minute":
            return self._cells
        hours: dict[_Row, tuple[Histogram, Histogram]] = {}
        for cell, histograms in self._cells.items():
            _add(hours, cell._replace(at=cell.at.replace(minute=0)), histograms)
        return hours  # type: ignore[return-value]  # the keys are cells


def _add(sums: dict[_Row, tuple[Histogram, Histogram]], key: _Row, histograms: tuple[Histogram, Histogram]) -> None:
    for into, histogram in zip(sums.setdefault(key, ({}, {})), histograms, strict=True):
        for bucket, count in histogram.items():
            into[bucket] = into.get(bucket, 0) + count


def _of_customers(counts: Mapping[Cell, tuple[Histogram, Histogram]]) -> Iterator[str]:
    """The lines of both grains (models.Grain)."""
    whole: dict[_Row, tuple[Histogram, Histogram]] = {}
    for cell, histograms in counts.items():
        at, customer, server, app, *others = cell
        yield _line((at, customer, 0, server, app, *others), histograms)
        family, _, *what = others
        _add(whole, (at, customer, 1, 0, 0, family, "", *what), histograms)
    for key, histograms in whole.items():
        yield _line(key, histograms)


def _of_service(counts: Mapping[Cell, tuple[Histogram, Histogram]], canaries: set[int]) -> Iterator[str]:
    whole: dict[_Row, tuple[Histogram, Histogram]] = {}
    for cell, histograms in counts.items():
        if cell.customer_id in canaries:
            continue
        _add(whole, (cell.at, cell.family, cell.outcome, cell.code, cell.attribution, cell.counts), histograms)
    for key, histograms in whole.items():
        yield _line(key, histograms)


def _line(key: _Row, histograms: tuple[Histogram, Histogram]) -> str:
    dimensions = "\t".join(str(value).translate(_SPECIAL) for value in key)
    sums = "\t".join(str(sum(histogram.values())) for histogram in histograms)
    packed = "\t".join(f"{{{','.join(map(str, buckets.pack(histogram)))}}}" for histogram in histograms)
    return f"{dimensions}\t{sums}\t{packed}\n"


def _copy(cursor: Any, table: str, columns: tuple[str, ...], lines: Iterator[str]) -> None:
    # Django's cursor has no copy(), so that its errors would be psycopg's.
    with connection.wrap_database_errors, cursor.cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        copy.write("".join(lines))
