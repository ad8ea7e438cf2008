"""Rows of the log for the tests of pages: written as a worker does, so long ago, and counted."""

from datetime import UTC, datetime, timedelta
from typing import Any

from delivery.models import Delivery, Receipt
from delivery.outcomes.verdict import Verdict
from delivery.rollups import rebuilding
from delivery.rollups.reading import HOUR, floor
from tests.browsing import Tenant
from tests.delivery.rollups import pushes


def trace_of(number: int) -> str:
    """A trace id as pushes have one."""
    return f"{number:012x}-{number:x}"


def write(number: int, tenant: Tenant, verdict: Verdict = pushes.SENT, *, ago: float = 600, **more: Any) -> str:
    """Write the row of a push that came `ago` seconds ago; its trace."""
    second = datetime.now(UTC).timestamp() - ago - pushes.HOUR.timestamp()
    pushes.write(trace_of(number), second, verdict, customer=tenant.customer.pk, server=tenant.server.pk, **more)
    return trace_of(number)


def acknowledge(tenant: Tenant, ack_id: str, *, ago: float = 590) -> None:
    """Keep a phone's receipt."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    push = Delivery.objects.filter(server=tenant.server, ack_id=ack_id).first()
    Receipt.objects.create(
        id=f"r{ack_id}",
        received_at=at,
        customer=tenant.customer,
        server=tenant.server,
        ack_id=ack_id,
        type="message",
        platform="ios",
        trace=push.trace if push else None,
        push_at=push.accepted_at if push else None,
    )


def count(days: int = 2) -> None:
    """Count the rows of the last days."""
    now = floor(datetime.now(UTC), HOUR)
    rebuilding.rebuild(now - timedelta(days=days), now + HOUR)
