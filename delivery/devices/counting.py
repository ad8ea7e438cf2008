"""How many devices were reached: exact, per server and for the whole customer, by month and by day (UTC).

Counted out of the set of devices (delivery_active_device), never estimated: a bill must come out the same when it is
made again. Counted are the present month, the one before while its last rows may come, and each month whose counts were
taken back because rows came late.
"""

from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from delivery.devices import facts
from delivery.devices.absorbing import month_of

# The rows of a month have come by then.
CLOSED_AFTER: Final = timedelta(days=3)
DAYS: Final = 31

_LOCK: Final = f"SELECT pg_advisory_xact_lock({facts.LOCK})"
_MONTHS: Final = """
SELECT DISTINCT month FROM delivery_active_device a
WHERE month >= %(since)s OR NOT EXISTS (SELECT FROM delivery_device_count c WHERE c.month = a.month)
ORDER BY month"""
_SUMS: Final = ", ".join(f"sum(days >> {day} & 1)" for day in range(DAYS))
COUNT: Final = f"""
INSERT INTO delivery_device_count (customer_id, server_id, month, devices, by_day)
SELECT customer_id, server_id, %(month)s, count(*), ARRAY[{_SUMS}]::bigint[] FROM (
    SELECT customer_id, server_id, days FROM delivery_active_device WHERE month = %(month)s
    UNION ALL
    SELECT customer_id, 0, bit_or(days) FROM delivery_active_device WHERE month = %(month)s
    GROUP BY customer_id, device) AS reached
GROUP BY customer_id, server_id"""  # noqa: S608  of numbers


def count_active() -> list[date]:
    """Count what is to be counted, a month in a transaction; the months. Raises django.db.Error."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (now,) = cursor.fetchone()
        cursor.execute(_MONTHS, {"since": month_of(now - CLOSED_AFTER)})
        months = [month for (month,) in cursor.fetchall()]
    for month in months:
        with transaction.atomic(), connection.cursor() as cursor:
            count_month(cursor, month)
    return months


def count_month(cursor: Any, month: date) -> None:
    """Count one month (its first day) anew, in the cursor's transaction. Raises django.db.Error."""
    cursor.execute(_LOCK)
    facts.forget_counts(cursor, month)
    cursor.execute(COUNT, {"month": month})


def next_month(month: date | datetime) -> date:
    """The first day of the month after the one that a day is in."""
    return (date(month.year, month.month, 28) + timedelta(days=4)).replace(day=1)
