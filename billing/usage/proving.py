"""Proves a month: what is stated, what the hours and the set of devices come to, and what the log itself says.

The log has the last RETENTION_DAYS days. Of an older month, or the beginning of one, the hours alone are left, which
were counted out of the log while it was there; which days were proven by it is said.
"""

from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from billing.facts import Month
from billing.usage import closing, counting, months
from billing.usage.counting import Figures
from billing.usage.sources import Sources
from delivery.selectors import usage as delivered
from tenants.models import Customer

DAY: Final = timedelta(days=1)


class Difference(NamedTuple):
    """Two counts of the same that differ: what is counted, where, and by whom as what."""

    what: str
    day: str
    server: int | None
    counts: dict[str, int]


class Proof(NamedTuple):
    """stated: as the closed month says, None for one that is not closed; counted: out of the hours and devices;
    log_from, log_until: the days that were held against the log (None: it has none of them), the last one not among
    them; whole: whether it has all of the month's."""

    stated: Figures | None
    counted: Figures
    log_from: date | None
    log_until: date | None
    whole: bool
    differences: list[Difference]


def prove(customer: Customer, month: Month, now: datetime, known: Sources) -> Proof:
    """Compare all that is known of a month that has begun. Reads the log's rows of it: this takes a while."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.savepoint_ids:
            # All of it as of one moment, whoever writes meanwhile; within another transaction it is as of that one.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        counted = counting.count(customer, month, now, known)
        stated = closing.stated(customer, month) if months.over(month, now) else None
        first, until = _days_in_log(month, now)
        found = _from_log(customer.pk, month, first, until) if first < until else []
    if stated is not None:
        found = [*_figures_apart(stated, counted), *found]
    in_log = first < until
    whole = in_log and first == month.first and until == months.moved(month, 1).first
    return Proof(stated, counted, first if in_log else None, until if in_log else None, whole, found)


def shown(found: Figures | None) -> dict[str, Any] | None:
    """Figures as JSON has them."""
    if found is None:
        return None
    return {
        "pushes": found.pushes,
        "devices": found.devices,
        "phones": found.phones,
        "servers": found.servers,
        "seats": found.seats,
        "by_server": [each._asdict() for each in found.by_server],
        "by_day": list(found.by_day),
        "devices_by_day": list(found.devices_by_day),
    }


def _days_in_log(month: Month, now: datetime) -> tuple[date, date]:
    """The whole days of the month that the log has, the last one not among them."""
    # Today's rows are still coming.
    today = now.date()
    return max(month.first, delivered.log_begins(now)), min(months.moved(month, 1).first, today)


def _from_log(customer_id: int, month: Month, first: date, until: date) -> list[Difference]:
    logged, kept = (read(customer_id, first, until) for read in (delivered.logged_pushes, delivered.pushes))
    found = [
        Difference("pushes", day.isoformat(), server, {"hours": kept.get((day, server), 0), "log": number})
        for day, server, number in _apart(logged, kept)
    ]
    reached = delivered.devices_exactly(customer_id, month.first)
    day = first
    while day < until:
        in_log = delivered.logged_devices(customer_id, day, day + DAY)
        for server in sorted({*in_log, *reached} - {0}):
            number = reached[server].by_day[day.day - 1] if server in reached else 0
            if number != in_log.get(server, 0):
                counts = {"kept": number, "log": in_log.get(server, 0)}
                found.append(Difference("devices", day.isoformat(), server, counts))
        day += DAY
    if first == month.first and until == months.moved(month, 1).first:
        in_log = delivered.logged_devices(customer_id, first, until)
        for server in sorted({*in_log, *reached} - {0}):
            number = reached[server].month if server in reached else 0
            if number != in_log.get(server, 0):
                found.append(Difference("devices", "", server, {"kept": number, "log": in_log.get(server, 0)}))
    return found


def _apart(one: delivered.Pushes, other: delivered.Pushes) -> list[tuple[date, int, int]]:
    return [
        (day, server, one.get((day, server), 0))
        for day, server in sorted({*one, *other})
        if one.get((day, server), 0) != other.get((day, server), 0)
    ]


def _figures_apart(stated: Figures, counted: Figures) -> list[Difference]:
    """What the closed month states, and the count of today does not."""
    found = [
        Difference(what, "", None, {"stated": getattr(stated, what) or 0, "counted": getattr(counted, what) or 0})
        for what in ("pushes", "devices", "phones")
        if getattr(stated, what) != getattr(counted, what)
    ]
    for what, name in (("pushes", "by_day"), ("devices", "devices_by_day")):
        for day, (one, other) in enumerate(zip(getattr(stated, name), getattr(counted, name), strict=False), start=1):
            if one != other:
                at = stated.month.first.replace(day=day).isoformat()
                found.append(Difference(what, at, None, {"stated": one, "counted": other}))
    if not found and stated.counted != counted.counted:
        found.append(Difference("by_server", "", None, {}))
    return found
