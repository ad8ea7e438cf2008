"""Rows of the log for tests of what is counted out of it."""

from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection

from delivery.log.rows import COPY, row
from delivery.outcomes.verdict import Verdict
from delivery.protocol.wire import Push
from delivery.providers import table

HOUR: Final = datetime(2026, 9, 21, 14, tzinfo=UTC)
SENT: Final = table.PROVIDERS["apns"].outcomes.sent


def write(
    trace: str,
    second: float,
    verdict: Verdict,
    *,
    ended: float = 0.1,
    customer: int = 1,
    server: int = 2,
    app: int | None = 4,
    count: int = 1,
    device: str = "f" * 32,
    **members: Any,
) -> None:
    """Write a row as a worker does: of a push that came `second` seconds after HOUR and ended `ended` later."""
    at = HOUR.timestamp() + second
    push = Push(**{"platform": "apple_rn-v2", "type": "message", "device_id": "d", **members})
    line = row(trace, at, at + ended, f"{customer}\t{server}\t5", app, push, device, 700, verdict, (), count)
    with connection.cursor() as cursor, cursor.cursor.copy(COPY) as copy:
        copy.write(line)
