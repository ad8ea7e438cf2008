"""Pushes and receipts in the log, for tests of the pages that show them."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection

from delivery.log.rows import COPY, NO_KEY, row
from delivery.models import Delivery, Receipt
from delivery.outcomes.verdict import ANSWERED, Attempt, Verdict
from delivery.protocol.wire import Push
from delivery.providers import table
from tests.browsing import Tenant

SENT: Final = table.PROVIDERS["apns"].outcomes.sent
APPLE: Final = "api.push.apple.com"
TRACE: Final = "0123456789ab-7"
ACK: Final = "ackybndrfg8ejkmcpqxot1uwiy"
POST: Final = "postybndrfg8ejkmcpqxot1uwo"
DEVICE: Final = "f" * 32


def attempt(status: int, reason: str = "", *, after: float = 0.01, ms: int = 30, **more: Any) -> Attempt:
    """An attempt at Apple, `after` seconds from the push's acceptance; log() makes a time of it."""
    return Attempt("apns", APPLE, status, reason, ANSWERED, after, ms, **more)


def log(
    whose: Tenant,
    trace: str = TRACE,
    verdict: Verdict = SENT,
    *,
    age: float = 3600.0,
    ended: float = 0.041,
    attempts: Sequence[Attempt] = (),
    app: int | None = None,
    device: str = DEVICE,
    key: bool = True,
    count: int = 1,
    **members: Any,
) -> float:
    """Write a row as a worker does, of a push that came `age` seconds ago; when it came, in unix seconds."""
    at = round(time.time() - age, 3)
    given = {"platform": "apple_rn-v2", "type": "message", "device_id": "d", "ack_id": ACK, "post_id": POST, **members}
    who = f"{whose.customer.pk}\t{whose.server.pk}\t{whose.key.pk if key else NO_KEY}"
    made = [
        Attempt(
            each.provider, each.host, each.status, each.reason, each.wire, at + each.at, each.ms, detail=each.detail
        )
        for each in attempts
    ]
    line = row(trace, at, at + ended, who, app, Push(**given), device, 700, verdict, made, count)
    with connection.cursor() as cursor, cursor.cursor.copy(COPY) as copy:
        copy.write(line)
    return at


def acknowledge(whose: Tenant, at: float, ack_id: str = ACK, **more: Any) -> Receipt:
    """Keep a receipt that came at `at`, in unix seconds; trace: of the push in the log that it was joined with."""
    moment = datetime.fromtimestamp(at, UTC)
    given = {"id": f"r-{at}-{ack_id}", "type": "message", "platform": "ios", "phone_at": moment, **more}
    if "trace" in more:
        push = Delivery.objects.filter(trace=more["trace"]).first()
        given["push_at"] = push.accepted_at if push else moment
    return Receipt.objects.create(
        received_at=moment, customer=whose.customer, server=whose.server, ack_id=ack_id, **given
    )
