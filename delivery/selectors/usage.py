"""Usage of a customer for billing: billable pushes out of the hours, active devices out of their set; and both once
more out of the log, which proves the others.

Billable are all pushes but tests of a connection and what was refused. Days are those of UTC. Invariant: what the log
says is asked with the same conditions as what is kept.
"""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDay

from delivery.devices.counting import DAYS
from delivery.metrics.names import TYPES
from delivery.models import Delivery, DeviceCount
from delivery.outcomes.verdict import Outcome
from delivery.rollups.cells import OTHER
from delivery.rollups.reading import HOUR, counted

DAY: Final = timedelta(days=1)
TEST: Final = "test"
BILLED_TYPES: Final = (*sorted(TYPES - {TEST}), OTHER)
BILLED_OUTCOMES: Final = tuple(outcome.value for outcome in Outcome if outcome is not Outcome.REFUSED)

Pushes = dict[tuple[date, int], int]
"""How many billable pushes a server (its id) sent on a day."""


_COUNT: Final = f"""
SELECT server_id, count(*), ARRAY[{", ".join(f"sum(days >> {day} & 1)" for day in range(DAYS))}]::bigint[] FROM (
    SELECT server_id, days FROM delivery_active_device WHERE customer_id = %(customer)s AND month = %(month)s
    UNION ALL
    SELECT 0, bit_or(days) FROM delivery_active_device WHERE customer_id = %(customer)s AND month = %(month)s
    GROUP BY device) AS reached
GROUP BY server_id"""  # noqa: S608  of numbers


class Devices(NamedTuple):
    """How many devices a server has reached in a month, and on each of its days."""

    month: int
    by_day: list[int]


def pushes(customer_id: int, first: date, until: date, *, in_days: bool = False) -> Pushes:
    """The billable pushes of the days from `first` to before `until`, by day and server; none is left out.

    in_days: as their days have them, which are made of the hours, for pages: a tenth of the rows. Bills are made of the
    hours themselves.
    """
    if until <= first:
        return {}
    rows = counted(
        _midnight(first),
        _midnight(until),
        by=("server_id",),
        step=DAY,
        zone=UTC if in_days else None,
        unit=HOUR,
        customer_id=customer_id,
        type__in=BILLED_TYPES,
        outcome__in=BILLED_OUTCOMES,
    )
    found: dict[tuple[date, int], int] = defaultdict(int)
    for row in rows:
        if row.at is not None and row.pushes:
            found[row.at.astimezone(UTC).date(), row.of["server_id"]] += row.pushes
    return dict(found)


def devices_counted(customer_id: int, month: date) -> dict[int, Devices]:
    """The active devices of a month (its first day) by server, and of the whole customer at 0, as they were counted
    last: at most an hour ago in a month that runs. {} where they were not counted yet."""
    rows = DeviceCount.objects.filter(customer_id=customer_id, month=month)
    counts = rows.values_list("server_id", "devices", "by_day")
    return {server: Devices(devices, list(by_day)) for server, devices, by_day in counts}


def devices_exactly(customer_id: int, month: date) -> dict[int, Devices]:
    """As devices_counted(), counted now out of the set of devices: exact, and dearer. Not for pages: it is asked of the
    database directly, as delivery/devices/counting.py does."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"customer": customer_id, "month": month})
        return {server: Devices(devices, [int(each) for each in days]) for server, devices, days in cursor.fetchall()}


def logged_pushes(customer_id: int, first: date, until: date) -> Pushes:
    """As pushes(), counted out of the log: reads each row."""
    rows = _logged(customer_id, first, until).annotate(day=TruncDay("accepted_at", tzinfo=UTC))
    summed = rows.exclude(outcome=Outcome.REFUSED.value).order_by().values_list("day", "server_id")
    return {(day.date(), server): int(total) for day, server, total in summed.annotate(Sum("count")) if total}


def logged_devices(customer_id: int, first: date, until: date) -> dict[int, int]:
    """How many devices each server has reached from `first` to before `until`, counted out of the log."""
    rows = _logged(customer_id, first, until).filter(outcome=Outcome.SENT.value).exclude(device="")
    return dict(rows.order_by().values_list("server_id").annotate(Count("device", distinct=True)))


def log_begins(now: datetime) -> date:
    """The first day that the log has the whole of."""
    return now.astimezone(UTC).date() - timedelta(days=settings.RETENTION_DAYS)


def _logged(customer_id: int, first: date, until: date) -> "QuerySet[Delivery]":
    bounds = {"accepted_at__gte": _midnight(first), "accepted_at__lt": _midnight(until)}
    return Delivery.objects.filter(customer_id=customer_id, **bounds).exclude(type=TEST)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
