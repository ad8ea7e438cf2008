"""Erasure of a customer's rows in the delivery log and of its receipts, which otherwise only go with their day.

By the tables' owner.
"""

from datetime import UTC, timedelta
from typing import Any, Final, NamedTuple

from delivery.log.locks import try_repeatedly

# Rows of one statement: each is a transaction of its own, so that an interruption loses nothing that is done.
BATCH_SIZE: Final = 10_000
# It waits for no strong lock, so that nobody waits behind it; but not for ever either.
LOCK_TIMEOUT: Final = "5s"


class Table(NamedTuple):
    """A table that is partitioned by day: its name, its key, and the time that it is partitioned by."""

    name: str
    key: str
    at: str


LOG: Final = Table("delivery_delivery", "trace", "accepted_at")
RECEIPTS: Final = Table("delivery_receipt", "id", "received_at")
_OLDEST: Final = "SELECT min({at}) FROM {name} WHERE customer_id = %s"
# The bounds name one partition; the inner rows are found by the index.
_DELETE: Final = """
DELETE FROM {name}
WHERE {at} >= %(start)s AND {at} < %(end)s AND ({key}, {at}) IN (
    SELECT {key}, {at} FROM {name}
    WHERE customer_id = %(customer)s AND {at} >= %(start)s AND {at} < %(end)s LIMIT %(most)s)
"""


def erase(customer_id: int, table: Table = LOG) -> int:
    """Delete the rows, day by day, the oldest first. How many. It may be interrupted, and called again.

    Raises django.db.OperationalError when somebody holds the table for about a minute.
    """
    deleted = 0
    while (
        batch := try_repeatedly(lambda cursor: _erase_batch(cursor, customer_id, table), lock_timeout=LOCK_TIMEOUT)
    ) >= 0:
        deleted += batch
    return deleted


def _erase_batch(cursor: Any, customer_id: int, table: Table) -> int:
    """Delete rows of the oldest day that has any; how many, -1 when there are none."""
    names = table._asdict()
    cursor.execute(_OLDEST.format(**names), [customer_id])
    (oldest,) = cursor.fetchone()
    if oldest is None:
        return -1
    start = oldest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    values = {"customer": customer_id, "start": start, "end": start + timedelta(days=1), "most": BATCH_SIZE}
    cursor.execute(_DELETE.format(**names), values)
    return int(cursor.rowcount)
