"""Retention of the rollups within their partitions: minutes are kept long only where an SLA may ask for them.

Hours and days, and minutes of customers with an SLA, go with their month (partitions.py). By the owner of the tables.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connections

from delivery.log.erasing import delete_counts
from delivery.log.partitions import MONTHS, months_before
from tenants.models import Customer

# Offers whose contracts have an SLA; the free test service has none.
OFFERS_WITH_SLA: Final = (Customer.Offer.HPNS, Customer.Offer.EAS)
# Days for which minutes are kept beyond the log, so that whatever the log has can be compared with them.
MORE_DAYS: Final = 2
# An index finds the next one, so that the table is not read.
_CUSTOMERS: Final = """
WITH RECURSIVE known AS (
    SELECT min(customer_id) AS id FROM {table}
    UNION ALL
    SELECT (SELECT min(customer_id) FROM {table} WHERE customer_id > known.id) FROM known WHERE known.id IS NOT NULL
)
SELECT id FROM known WHERE id IS NOT NULL
"""


def minutes_since(today: date) -> datetime:
    """From when on minutes are kept of customers without an SLA, and of all customers together."""
    day = today - timedelta(days=settings.RETENTION_DAYS + MORE_DAYS)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def hours_since(today: date) -> datetime:
    """From when on hours are kept."""
    day = months_before(today, MONTHS)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def drop_counts(today: date) -> int:
    """Delete the rollups past their retention that go with no partition; how many rows. Raises django.db.Error.

    These are the minutes of customers without an SLA, the hours and days of customers that are no more (their last
    pushes came while they were erased), and what is of all customers together.
    """
    minutes, hours = minutes_since(today), hours_since(today)
    offers = dict(Customer.objects.using(settings.OWNER_DATABASE).values_list("id", "offer"))
    deleted = sum(
        delete_counts("minute", customer, minutes)
        for customer in _customers("delivery_minute_merged")
        if offers.get(customer) not in OFFERS_WITH_SLA
    )
    deleted += sum(
        delete_counts(unit, customer, minutes)
        for unit in ("hour", "day")
        for customer in _customers(f"delivery_{unit}_merged")
        if customer not in offers
    )
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        for unit, since in (("minute", minutes), ("hour", hours)):
            cursor.execute(f"DELETE FROM delivery_service_{unit} WHERE at < %s", [since])  # noqa: S608
            deleted += cursor.rowcount
    return deleted


def _customers(table: str) -> Iterator[int]:
    """The customers that have rows in it."""
    with connections[settings.OWNER_DATABASE].cursor() as cursor:
        cursor.execute(_CUSTOMERS.format(table=table))
        yield from [customer for (customer,) in cursor.fetchall()]
