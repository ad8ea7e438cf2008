"""Compaction of the rollups: of each cell the rows that have come together become one, with the same sums.

What is counted comes into the small tables (_new) as rows that add up, once a second or more often. Of minutes that are
over they move into the large ones, and are merged there with what may stand there already, because a row or a receipt
came late. A customer's minutes come in their finest grain; with that step they become the minute of the whole customer
and the hour, in both grains, which until then are read out of them (the views of delivery 0010). Hours go the same way
some times an hour, and become the day (UTC) with that step (the view of delivery 0013); in between, their rows are
merged within the small table.
Invariant: each step is one statement in one transaction, so that the sums are the same whenever it is killed, and
whoever reads meanwhile sees each push once.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from delivery.rollups.buckets import SLOTS
from delivery.rollups.cells import DAY, DIMENSIONS, MEASURES, OF_CUSTOMERS, UNITS

LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('delivery rollups'))"
TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('delivery rollups'))"
"""Held by whoever deletes rows of the rollups."""
# Rows of one transaction, if it is not a single minute or hour that has more.
BATCH: Final = 20_000
# How long after its end a minute or hour is merged for good: most of what belongs to it has come by then.
SETTLED: Final = timedelta(seconds=90)
# The minutes of the hour in which hours are merged for good: a late receipt would write a large table each minute.
HOURS_CLOSE: Final = frozenset((3, 18, 33, 48))
MINUTES: Final = "delivery_minute"
HOURS: Final = "delivery_hour"
DAYS: Final = "delivery_day"
# What a customer's dimensions are in the grain of the whole customer.
WHOLE: Final = {"grain": "1::smallint", "server_id": "0::bigint", "app_id": "0::bigint", "type": "''::text"}
# Of a packed entry (buckets.py); a shift, for counts may be negative (log/erasing.py).
_SHIFT: Final = SLOTS.bit_length() - 1
_LENGTH: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), DAY: timedelta(days=1)}
# What a table's rows are added to when they are merged: the table, and its unit.
_NEXT: Final = {MINUTES: (HOURS, "hour"), HOURS: (DAYS, DAY)}


def compact() -> int:
    """Compact what has come together; returns how many rows were merged. Blocks. At once 0 where another does it.

    Raises django.db.Error: what was merged by then stays so.
    """
    now = _now()
    merged = 0
    for unit in UNITS:
        closed = now - _LENGTH[unit] - SETTLED
        for name, dimensions in DIMENSIONS.items():
            table = name.format(unit=unit)
            if unit == "minute" or now.minute in HOURS_CLOSE:
                merged += _merge(table, _closing(table, dimensions), closed)
            if unit == "hour":
                merged += _merge(table, _thinning(table, dimensions), None)
    if now.minute in HOURS_CLOSE:
        merged += _merge(DAYS, _closing(DAYS, OF_CUSTOMERS), now - _LENGTH[DAY] - SETTLED)
        merged += _merge(DAYS, _thinning(DAYS, OF_CUSTOMERS), None)
    return merged


def close_customer(cursor: Any, customer_id: int | None) -> None:
    """Move all minutes and hours of a customer on (None: of all), those that are not over, too, in the caller's
    transaction, which holds LOCK: then each of its tables says what it is to say by itself."""
    own = {"customer": customer_id}
    of = "" if customer_id is None else "AND customer_id = %(customer)s"
    for table in _NEXT:
        cursor.execute(f"SELECT DISTINCT at FROM {table} WHERE NOT merged {of}", own)  # noqa: S608  names of ours
        moments = [at for (at,) in cursor.fetchall()]
        if moments:
            cursor.execute(_closing(table, OF_CUSTOMERS, of), {**own, "moments": moments})


def make_days(cursor: Any, first: datetime, end: datetime) -> None:
    """Make the merged rows of the days (UTC) from `first` to before `end` (midnights) anew out of the merged hours, in
    the caller's transaction, which holds LOCK."""
    bounds = {"start": first, "end": end}
    within = "at >= %(start)s AND at < %(end)s"
    cursor.execute(f"DELETE FROM {DAYS} WHERE {within}", bounds)  # noqa: S608  names of ours
    columns = _of_unit(DAY, OF_CUSTOMERS)
    found = f"WITH found AS (SELECT {columns} FROM {HOURS} WHERE merged AND {within})"  # noqa: S608  names of ours
    cursor.execute(f"{found} {_insert(DAYS, OF_CUSTOMERS, merged=True)}", bounds)


def _now() -> datetime:
    """By PostgreSQL's clock: a worker's may be years ahead."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
        return now


def _merge(table: str, statement: str, before: datetime | None) -> int:
    """Run a statement over what the small table has of moments until `before` (None: all), in batches."""
    merged = 0
    for moments in _batches(table, before):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(TRY_LOCK)
            if not cursor.fetchone()[0]:
                return merged
            cursor.execute(statement, {"moments": moments})
            merged += cursor.rowcount
    return merged


def _batches(table: str, before: datetime | None) -> Iterator[list[datetime]]:
    """The moments of the small table, the oldest first, as lists of together no more than BATCH rows where possible."""
    batch: list[datetime] = []
    rows = 0
    for at, count in _counts(table, before):
        if batch and rows + count > BATCH:
            yield batch
            batch, rows = [], 0
        batch.append(at)
        rows += count
    if batch:
        yield batch


def _counts(table: str, before: datetime | None) -> Sequence[tuple[datetime, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT at, count(*) FROM {table} WHERE NOT merged AND at <= %s GROUP BY at ORDER BY at",  # noqa: S608
            [before or "infinity"],
        )
        found: Sequence[tuple[datetime, int]] = cursor.fetchall()
        return found


def _closing(table: str, dimensions: tuple[str, ...], of: str = "") -> str:
    """Move the rows of some moments into the large table, as one with those that stand there of the same cells; `of`: a
    condition on the rows."""
    names, columns = ", ".join(dimensions), ", ".join((*dimensions, *MEASURES))
    same = " AND ".join(f"old.{name} = cell.{name}" for name in dimensions)
    old = ", ".join(f"old.{name}" for name in (*dimensions, *MEASURES))
    delete = f"DELETE FROM {table} WHERE NOT merged AND at = ANY(%(moments)s) {of} RETURNING {columns}"  # noqa: S608
    fresh = f"fresh AS ({delete})"
    if table == MINUTES:
        fresh = f"detail AS ({delete}), fresh AS ({_both_grains(columns)})"
    if table in _NEXT:
        fresh = f"{fresh}, {_into(*_NEXT[table], dimensions)}"
    return f"""
    WITH {fresh}, before AS (
        DELETE FROM {table} AS old USING (SELECT DISTINCT {names} FROM fresh) AS cell
        WHERE old.merged AND old.at = ANY(%(moments)s) AND {same} RETURNING {old}
    ), found AS (SELECT * FROM fresh UNION ALL SELECT * FROM before)
    {_insert(table, dimensions, merged=True)}"""  # noqa: S608  names of ours


def _both_grains(columns: str) -> str:
    """Counts in the finest grain, and the same as those of the whole customer."""
    whole = columns
    for name, value in WHOLE.items():
        whole = re.sub(rf"\b{name}\b", value, whole)
    return f"SELECT {columns} FROM detail UNION ALL SELECT {whole} FROM detail"  # noqa: S608  names of ours


def _into(table: str, unit: str, dimensions: tuple[str, ...]) -> str:
    """Add the counts of minutes to those of their hours, of hours to those of their days."""
    return f"""longer AS (SELECT {_of_unit(unit, dimensions)} FROM fresh),
    added AS ({_insert(table, dimensions, merged=False, found="longer")})"""  # noqa: S608  names of ours


def _of_unit(unit: str, dimensions: tuple[str, ...]) -> str:
    """The columns of the unit that a row is in."""
    return ", ".join((f"date_trunc('{unit}', at, 'UTC') AS at", *dimensions[1:], *MEASURES))


def _thinning(table: str, dimensions: tuple[str, ...]) -> str:
    """Merge the rows of some moments within the small table, of the cells that have several."""
    names, columns = ", ".join(dimensions), ", ".join((*dimensions, *MEASURES))
    return f"""
    WITH found AS (
        DELETE FROM {table} WHERE NOT merged AND ({names}) IN (
            SELECT {names} FROM {table} WHERE NOT merged AND at = ANY(%(moments)s) GROUP BY {names} HAVING count(*) > 1
        ) RETURNING {columns}
    )
    {_insert(table, dimensions, merged=False)}"""  # noqa: S608  names of ours


def _insert(table: str, dimensions: tuple[str, ...], *, merged: bool, found: str = "found") -> str:
    names = ", ".join(dimensions)
    return f"""
    INSERT INTO {table} ({", ".join((*dimensions, *MEASURES))}, merged)
    SELECT {names}, {merged_measures()}, {merged} FROM (
        SELECT {names}, {summed_measures()} FROM {found} GROUP BY {names}
    ) AS summed WHERE pushes <> 0 OR acked <> 0"""  # noqa: S608  names of ours


def summed_measures() -> str:
    """The measures of a group of rows as columns for merged_measures() to read."""
    return f"sum(pushes)::bigint AS pushes, sum(acked)::bigint AS acked, {_joined('handoff')}, {_joined('receipt')}"


def merged_measures() -> str:
    """The measures of the row that a group of rows becomes, out of those columns."""
    return f"pushes, acked, {_histogram('handoff')}, {_histogram('receipt')}"


def _joined(name: str) -> str:
    """The entries of all of a cell's histograms as text: array_agg() would join arrays of one length only."""
    return f"string_agg(nullif(array_to_string({name}, ','), ''), ',') AS {name}"


def _histogram(name: str) -> str:
    """The histogram that these entries add up to, as buckets.pack() makes it."""
    return f"""ARRAY(
        SELECT sum(entry >> {_SHIFT})::bigint * {SLOTS} + (entry & {SLOTS - 1})
        FROM unnest(string_to_array({name}, ',')::bigint[]) AS entry
        GROUP BY (entry & {SLOTS - 1}) HAVING sum(entry >> {_SHIFT}) <> 0 ORDER BY (entry & {SLOTS - 1})) AS {name}"""  # noqa: S608
