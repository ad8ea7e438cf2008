"""Usage for tests: pushes in the hours, active devices in their set, and terms that include something."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from billing.facts import Terms
from billing.usage.sources import Sources
from delivery.devices.counting import count_month
from delivery.rollups.increments import Cell, Increments
from tenants.models import Customer
from tests.browsing import Tenant

NOVEMBER = datetime(2026, 11, 20, 12, tzinfo=UTC)


def at(month: int, day: int, hour: int = 10, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def pushes(
    whose: Tenant,
    moment: datetime,
    count: int,
    *,
    server: int | None = None,
    type_: str = "message",
    outcome: str = "sent",
) -> None:
    """Count so many pushes of that minute, as the writer of the log does."""
    counted = Increments()
    server = whose.server.pk if server is None else server
    minute = moment.replace(second=0, microsecond=0)
    cell = Cell(minute, whose.customer.pk, server, 4, "apns", type_, outcome, outcome, "provider", counts=True)
    counted.push(cell, count, 30)
    with connection.cursor() as cursor:
        counted.write(cursor)


def devices(whose: Tenant, month: datetime, names: Collection[str], *days: int, server: int | None = None) -> None:
    """Let these devices have been active on these days of the month, and count them."""
    first = month.date().replace(day=1)
    server = whose.server.pk if server is None else server
    bits = sum(1 << (day - 1) for day in days)
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(
                "INSERT INTO delivery_active_device AS old (customer_id, server_id, month, device, days) "
                "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (customer_id, month, server_id, device) "
                "DO UPDATE SET days = old.days | EXCLUDED.days",
                [whose.customer.pk, server, first, name, bits],
            )
        count_month(cursor, first)


def terms(**changed: Any) -> Terms:
    """A plan that includes 1,000 pushes, unless said otherwise."""
    plan = Terms("standard", 1, "hpns", "EUR", 10_000, 1, None, 1_000, None, 0, sla=True)
    return plan._replace(**changed)


def known(plan: Terms | None = None, **more: Any) -> Sources:
    """What usage needs of others."""
    return Sources(terms=lambda _: plan, **more)


def since(customer: Customer, moment: datetime) -> None:
    """Let a customer have been taken on at that time."""
    Customer.objects.filter(pk=customer.pk).update(created_at=moment)
    customer.created_at = moment
