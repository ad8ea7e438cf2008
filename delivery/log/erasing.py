"""Erasure of a customer's rows in the delivery log, in receipts and in the rollups, which otherwise only go with their
day or month. By the tables' owner."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from delivery.log.locks import try_repeatedly
from delivery.rollups import compacting
from delivery.rollups.buckets import SLOTS
from delivery.rollups.cells import CANARIES, DAY, MEASURES, UNITS, WHAT

# Rows of one statement: each is a transaction of its own, so that an interruption loses nothing that is done.
BATCH_SIZE: Final = 10_000
# It waits for no strong lock, so that nobody waits behind it; but not for ever either.
LOCK_TIMEOUT: Final = "5s"
_OLDEST: Final = "SELECT min({column}) FROM {table} WHERE customer_id = %s"
# The same by the index: both grains have the same moments.
_OLDEST_COUNTS: Final = "SELECT min(at) FROM delivery_{unit} WHERE customer_id = %s AND grain = 1"
# The bounds name one partition; the inner rows are found by the index.
_DELETE: Final = """
DELETE FROM {table}
WHERE {column} >= %(start)s AND {column} < %(end)s AND ({key}, {column}) IN (
    SELECT {key}, {column} FROM {table}
    WHERE customer_id = %(customer)s AND {column} >= %(start)s AND {column} < %(end)s LIMIT %(most)s)
"""
_DELETE_COUNTS: Final = """
DELETE FROM delivery_{unit} WHERE customer_id = %(customer)s AND at >= %(start)s AND at < %(end)s
"""
# What was counted of the customer is taken out of the sums of all customers, by rows that are less than nothing: so the
# rollups go on to say what the log does.
_SUBTRACT: Final = f"""
WITH gone AS ({{delete}} RETURNING *)
INSERT INTO delivery_service_{{unit}} (at, family, {", ".join(WHAT)}, {", ".join(MEASURES)})
SELECT at, family, {", ".join(WHAT)}, -pushes, -acked,
    ARRAY(SELECT 2 * (entry & {SLOTS - 1}) - entry FROM unnest(handoff) AS entry),
    ARRAY(SELECT 2 * (entry & {SLOTS - 1}) - entry FROM unnest(receipt) AS entry)
FROM gone WHERE grain = 1 AND customer_id NOT IN ({CANARIES})
    AND EXISTS (SELECT FROM delivery_service_{{unit}} AS service WHERE service.at = gone.at)
"""  # noqa: S608  names of ours


def erase(customer_id: int) -> int:
    """Delete the rows, day by day, the oldest first. How many pushes. It may be interrupted, and called again.

    Raises django.db.OperationalError when somebody holds the table for about a minute.
    """
    deleted = _erase("delivery_delivery", "trace", "accepted_at", customer_id)
    _erase("delivery_receipt", "id", "received_at", customer_id)
    for unit in (*UNITS, DAY):
        delete_counts(unit, customer_id)
    return deleted


def _erase(table: str, key: str, column: str, customer_id: int) -> int:
    erase_batch = partial(_erase_batch, table, key, column, customer_id)
    deleted = 0
    while (batch := try_repeatedly(erase_batch, lock_timeout=LOCK_TIMEOUT)) >= 0:
        deleted += batch
    return deleted


def _erase_batch(table: str, key: str, column: str, customer_id: int, cursor: Any) -> int:
    """Delete rows of the oldest day that has any; how many, -1 when there are none."""
    names = {"table": table, "key": key, "column": column}
    start = _oldest_day(cursor, _OLDEST.format(**names), customer_id)
    if start is None:
        return -1
    values = {"customer": customer_id, "start": start, "end": start + timedelta(days=1), "most": BATCH_SIZE}
    cursor.execute(_DELETE.format(**names), values)
    return int(cursor.rowcount)


def _oldest_day(cursor: Any, statement: str, customer_id: int) -> datetime | None:
    cursor.execute(statement, [customer_id])
    oldest: datetime | None = cursor.fetchone()[0]
    return oldest and oldest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def delete_counts(unit: str, customer_id: int, before: datetime | None = None) -> int:
    """Delete a customer's minutes, hours or days, day by day: those before a midnight, which leaves the sums of all
    customers alone, or all of them, which takes them out of those. How many rows. Raises as erase() does."""
    delete_day = partial(_delete_day, unit, customer_id, before)
    deleted = 0
    while (day := try_repeatedly(delete_day, lock_timeout=LOCK_TIMEOUT)) >= 0:
        deleted += day
    return deleted


def _delete_day(unit: str, customer_id: int, before: datetime | None, cursor: Any) -> int:
    cursor.execute(compacting.LOCK)
    compacting.close_customer(cursor, customer_id)
    start = _oldest_day(cursor, _OLDEST_COUNTS.format(unit=unit), customer_id)
    if start is None or (before is not None and start >= before):
        return -1
    values = {"customer": customer_id, "start": start, "end": start + timedelta(days=1)}
    delete = _DELETE_COUNTS.format(unit=unit)
    # There are no days of all customers together.
    alone = before is not None or unit == DAY
    cursor.execute(delete if alone else _SUBTRACT.format(unit=unit, delete=delete), values)
    return int(cursor.rowcount)
