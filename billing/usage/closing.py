"""Closes months: writes what was used, two days after the end, once; a later count that differs is a correction.

Idempotent, and it catches up after any pause: what is closed is known by the rows that are there. Of several processes
one writes. A clock that is ahead closes months too early; once it is right again, readers take such a row for none, and
the count after the true end is recorded as a correction with both figures.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db import connection, transaction

from billing.facts import Month
from billing.models import UsageCorrection, UsageMonth
from billing.rounds import Isolation, Round
from billing.usage import counting, months
from billing.usage.counting import Figures, ServerUsage
from billing.usage.quotas import quota
from billing.usage.sources import Sources
from tenants.audit import recording
from tenants.models import Customer

# So many of the latest closed months are counted again each time: rows may wait in Valkey for long.
RECHECKED: Final = 2
LATE: Final = "counted again: rows had come late"
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('billing usage'))"


def close_all(now: datetime, known: Sources) -> int:
    """Close what is to be closed of all customers, and count the latest closed months again; how many rows were
    written. What fails for one customer is logged, shown to staff and tried the next time."""
    isolation = Isolation(Round.USAGE_MONTHS, now)
    customers = Customer.objects.exclude(pk__in=set(known.left_out())).order_by("pk")
    return sum(isolation.attempt(each.pk, partial(_close_all, each, now, known)) or 0 for each in customers)


def _close_all(customer: Customer, now: datetime, known: Sources) -> int:
    closed = sum(close(customer, month, now, known) for month in missing(customer, now))
    return closed + sum(correct(customer, month, now, known, LATE) for month in list(_rechecked(customer, now)))


def missing(customer: Customer, now: datetime) -> Iterator[Month]:
    """The months of a customer that can be closed and are not, the earliest first."""
    present = months.month_of(now)
    first = max(months.month_of(customer.created_at), months.moved(present, -months.KEPT))
    last = next(month for month in (months.moved(present, by) for by in (-1, -2)) if months.ripe(month, now))
    closed = set(UsageMonth.objects.filter(customer=customer).values_list("month", flat=True))
    return (month for month in months.between(first, last) if month.first not in closed)


def close(customer: Customer, month: Month, now: datetime, known: Sources) -> bool:
    """Count a month and close it, unless it is closed; whether it was done now. Raises ValueError for one that ended
    less than two days ago."""
    if not months.ripe(month, now):
        raise ValueError(f"{months.words(month)} cannot be closed yet")
    with transaction.atomic(), connection.cursor() as cursor:
        # Locked before it is counted: whoever comes second sees the row.
        cursor.execute(_LOCK)
        if UsageMonth.objects.filter(customer=customer, month=month.first).exists():
            return False
        found = counting.count(customer, month, now, known)
        UsageMonth.objects.create(
            customer=customer,
            month=month.first,
            closed_at=now,
            **columns(found),
            **included(found, now, customer, known),
        )
        recording.record(
            "usage.close",
            customer=customer,
            target=months.text(month),
            pushes=found.pushes,
            devices=found.devices,
            servers=found.servers,
            seats=found.seats,
        )
    return True


def correct(customer: Customer, month: Month, now: datetime, known: Sources, reason: str) -> bool:
    """Count a closed month again, and record a correction if it comes to something else; whether it did. A month that
    is not closed, or not over, is left alone."""
    if not months.ripe(month, now):
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK)
        before = stated(customer, month)
        if before is None:
            return False
        found = counting.count(customer, month, now, known)
        if found.counted == before.counted:
            return False
        UsageCorrection.objects.create(
            customer=customer,
            month=month.first,
            at=now,
            pushes_before=before.pushes,
            devices_before=before.devices or 0,
            reason=reason,
            # Of the end of the month, not of today.
            **columns(found._replace(servers=before.servers, seats=before.seats)),
        )
        recording.record(
            "usage.correct",
            customer=customer,
            target=months.text(month),
            pushes_before=before.pushes,
            pushes=found.pushes,
            devices_before=before.devices,
            devices=found.devices,
            reason=reason,
        )
    return True


def stated(customer: Customer, month: Month) -> Figures | None:
    """A closed month as it stands: as it was corrected last, else as it was closed; None for one that is not."""
    lookup = {"customer": customer, "month": month.first}
    row = (
        UsageCorrection.objects.filter(**lookup).order_by("-id").first() or UsageMonth.objects.filter(**lookup).first()
    )
    return figures_of(row) if row is not None else None


def figures_of(row: Any) -> Figures:
    """The figures of a row of one of the models of usage."""
    return Figures(
        month=months.month_of(row.month),
        pushes=row.pushes,
        devices=row.devices,
        phones=row.phones,
        servers=row.servers,
        seats=row.seats,
        by_server=tuple(ServerUsage(each["server"], each["pushes"], each["devices"]) for each in row.by_server),
        by_day=tuple(row.by_day),
        devices_by_day=tuple(row.devices_by_day),
    )


def columns(found: Figures) -> dict[str, Any]:
    """The columns of such a row."""
    return {
        "pushes": found.pushes,
        "devices": found.devices or 0,
        "phones": found.phones or 0,
        "servers": found.servers,
        "seats": found.seats,
        "by_server": [each._asdict() for each in found.by_server],
        "by_day": list(found.by_day),
        "devices_by_day": list(found.devices_by_day),
    }


def included(found: Figures, now: datetime, customer: Customer, known: Sources) -> dict[str, Any]:
    """The columns that say what is included, and the highest share of it."""
    terms = known.terms(customer)
    if terms is None:
        return {}
    return {
        "included_pushes": terms.included_pushes,
        "included_devices": terms.included_devices,
        "included_servers": terms.included_servers,
        "percent": quota(now, found.usage, terms, ()).percent,
    }


def _rechecked(customer: Customer, now: datetime) -> Iterator[Month]:
    """The closed months that are counted again: the latest ones, and those closed before their end."""
    present = months.month_of(now)
    latest = {months.moved(present, -by).first for by in range(1, RECHECKED + 1)}
    for month, closed_at in UsageMonth.objects.filter(customer=customer).values_list("month", "closed_at"):
        closed = months.month_of(month)
        if months.ripe(closed, now) and (month in latest or not months.ripe(closed, closed_at)):
            yield closed
