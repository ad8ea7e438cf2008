"""Pushes and receipts for tests of how they are joined, handed over as web processes and workers do."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import redis

from delivery.log import receipt_lines, receipts, rows, writing
from delivery.log.receipt_lines import QUEUE, ReceiptLine
from delivery.log.receipts import Tally
from delivery.log.unmatched import Unmatched
from delivery.models import Receipt
from delivery.outcomes.verdict import Verdict
from delivery.protocol.wire import Push
from delivery.providers import table

NOON: Final = datetime(2026, 9, 21, 12, tzinfo=UTC)
SENT: Final = table.PROVIDERS["apns"].outcomes.sent


def pushed(
    store: redis.Redis,
    trace: str,
    ack_id: str,
    second: float = 0.0,
    *,
    verdict: Verdict = SENT,
    customer: int = 1,
    count: int = 1,
) -> None:
    """A row of a push that was accepted so long after NOON waits in Valkey."""
    at = NOON.timestamp() + second
    push = Push(platform="apple_rn-v2", type="message", ack_id=ack_id, server_id="s", device_id="d")
    line = rows.row(trace, at, at + 0.2, f"{customer}\t2\t3", 4, push, "f" * 32, 9, verdict, (), count)
    store.rpush(rows.ROWS, line)


def acked(store: redis.Redis, name: str, ack_id: str, second: float, *, customer: int = 1, **members: Any) -> None:
    """A receipt that came so long after NOON waits in Valkey."""
    at = round((NOON.timestamp() + second) * 1000)
    line = ReceiptLine(name, at, customer, 2, ack_id, "message", "ios", None)
    for member, value in members.items():
        setattr(line, member, value)
    store.rpush(QUEUE.waiting, receipt_lines.encode(line))


def moved(store: redis.Redis) -> Tally:
    """Move what waits, rows first; what was found of the receipts."""
    writing.write(store)
    return receipts.write(store)


def looked(second: float, unmatched: Unmatched | None = None) -> Tally:
    """What a look at the unmatched finds so long after NOON."""
    tally = Tally.empty()
    (unmatched or Unmatched()).match(NOON + timedelta(seconds=second), tally)
    return tally


def found() -> dict[str, tuple[str | None, bool]]:
    """By receipt: the trace of its push, and whether it is repeated."""
    return {row.id: (row.trace, row.repeated) for row in Receipt.objects.order_by("id")}
