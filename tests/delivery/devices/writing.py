"""Rows of the log and receipts as their writers leave them, with the notes that go with them."""

from datetime import timedelta
from typing import Any, Final

from django.db import connection

from delivery.outcomes.verdict import Verdict
from delivery.providers import table
from tests.delivery.rollups.pushes import HOUR, SENT, write

GONE: Final = table.PROVIDERS["apns"].outcomes.answers[410, "Unregistered"]
WRONG: Final = table.PROVIDERS["apns"].outcomes.answers[400, "BadDeviceToken"]
DEVICES: Final = tuple(digit * 32 for digit in "abc")


def push(trace: str, second: float, verdict: Verdict = SENT, **members: Any) -> None:
    """Write a row of a push that came so many seconds after HOUR, and note its minute."""
    write(trace, second, verdict, **{"device": DEVICES[0], **members})
    minute = (HOUR + timedelta(seconds=second)).replace(second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO delivery_written_minute VALUES (%s)", [minute])


def receipt(trace: str, second: float, *, late: float = 1, repeated: bool = False) -> None:
    """Write the receipt of a push that came so many seconds after HOUR."""
    at = HOUR + timedelta(seconds=second)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_receipt (id, received_at, customer_id, server_id, ack_id, type, platform, trace, "
            "push_at, repeated) VALUES (gen_random_uuid(), %s, 1, 2, 'x', 'message', 'ios', %s, %s, %s)",
            [at + timedelta(seconds=late), trace, at, repeated],
        )


def tables() -> dict[str, list[tuple[Any, ...]]]:
    """What the tables of devices hold."""
    columns = {
        "delivery_device": "customer_id, device, server_id, app_id, family, first_at, last_at, sent_at, acked_at, "
        "removed_at, removed_code, failed_at, failed_code, session_at",
        "delivery_active_device": "month, customer_id, server_id, device, days",
        "delivery_device_count": "customer_id, server_id, month, devices, by_day",
    }
    found = {}
    with connection.cursor() as cursor:
        for name, wanted in columns.items():
            cursor.execute(f"SELECT {wanted} FROM {name} ORDER BY {wanted}")  # noqa: S608
            found[name] = cursor.fetchall()
    return found
