"""Erasure of a customer's rows in the delivery log, which otherwise only go with their day. By the tables' owner."""

from datetime import UTC, timedelta
from typing import Final

from django.conf import settings
from django.db import connections

# Rows of one statement: each is a transaction of its own, so that an interruption loses nothing that is done.
BATCH_SIZE: Final = 10_000
_OLDEST: Final = "SELECT min(accepted_at) FROM delivery_delivery WHERE customer_id = %s"
# The bounds name one partition; the inner rows are found by the index.
_DELETE: Final = """
DELETE FROM delivery_delivery
WHERE accepted_at >= %(start)s AND accepted_at < %(end)s AND (trace, accepted_at) IN (
    SELECT trace, accepted_at FROM delivery_delivery
    WHERE customer_id = %(customer)s AND accepted_at >= %(start)s AND accepted_at < %(end)s LIMIT %(most)s)
"""


def erase(customer_id: int) -> int:
    """Delete the rows, day by day, the oldest first. How many. It may be interrupted, and called again."""
    deleted = 0
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        while True:
            cursor.execute(_OLDEST, [customer_id])
            (oldest,) = cursor.fetchone()
            if oldest is None:
                return deleted
            start = oldest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            values = {"customer": customer_id, "start": start, "end": start + timedelta(days=1), "most": BATCH_SIZE}
            cursor.execute(_DELETE, values)
            deleted += cursor.rowcount
