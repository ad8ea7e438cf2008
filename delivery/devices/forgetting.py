"""Devices that go: those that no push has named for 25 months, and those of a customer who is erased."""

from typing import Any, Final

from django.db import connection, transaction

from delivery.devices import facts

KEPT: Final = "25 months"
# Rows of one statement, each of which is a transaction of its own.
BATCH_SIZE: Final = 10_000
_LOCK: Final = f"SELECT pg_advisory_xact_lock({facts.LOCK})"
_OLD: Final = {
    "delivery_device": "last_at < now() - %(kept)s::interval",
    "delivery_active_device": "month < date_trunc('month', now() - %(kept)s::interval)",
    "delivery_device_count": "month < date_trunc('month', now() - %(kept)s::interval)",
}
# Few for each server, and kept: one that was forgotten would be seen for the first time again.
_PLATFORMS: Final = "delivery_platform_sighting"

# Notes that wait for their turn and name nothing any more: they know no customer.
_OF_NO_RECEIPT: Final = """NOT EXISTS (
    SELECT FROM delivery_receipt AS receipt
    WHERE receipt.push_at = delivery_matched_receipt.push_at AND receipt.trace = delivery_matched_receipt.trace)"""


def forget() -> int:
    """Delete what is older than KEPT; how many rows. Raises django.db.Error."""
    return sum(_delete(table, condition, {"kept": KEPT}) for table, condition in _OLD.items())


def erase(customer_id: int) -> int:
    """Delete devices and platforms of a customer, whose rows of the log and receipts went before; how many rows.

    It may be called again.

    Raises django.db.Error.
    """
    _delete("delivery_matched_receipt", _OF_NO_RECEIPT, {})
    return sum(_delete(table, "customer_id = %(customer)s", {"customer": customer_id}) for table in (*_OLD, _PLATFORMS))


def _delete(table: str, condition: str, values: dict[str, Any]) -> int:
    statement = f"""
    DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {condition} LIMIT %(most)s))"""  # noqa: S608
    deleted = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            # What is being absorbed of the log this moment is there before, and goes, too.
            cursor.execute(_LOCK)
            cursor.execute(statement, {**values, "most": BATCH_SIZE})
            deleted += int(cursor.rowcount)
            if cursor.rowcount < BATCH_SIZE:
                return deleted
