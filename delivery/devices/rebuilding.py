"""Counts devices anew out of the log, day by day: what the tables say is compared with it, and mended.

A device's row also knows what was before the log's oldest day; only what it says of a day that the log has is compared.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from delivery.devices import facts
from delivery.devices.absorbing import month_of
from delivery.devices.counting import count_month

DAY: Final = timedelta(days=1)
_LOCK: Final = f"SELECT pg_advisory_xact_lock({facts.LOCK})"
_SAME_KEY: Final = " AND ".join(f"new.{name} = old.{name}" for name in facts.KEY)
_TODAY: Final = "SELECT (now() AT TIME ZONE 'UTC')::date"
# What the tables do not know.
_BEHIND: Final = f"""
SELECT count(*) FROM ({facts.OF_SPAN}) AS new LEFT JOIN delivery_device old ON {_SAME_KEY}
WHERE old.id IS NULL OR {facts.NEWS}"""  # noqa: S608  of constants of ours


def _ahead(name: str) -> str:
    code = name.replace("_at", "_code")
    other = f"old.{name} IS DISTINCT FROM new.{name}"
    if code in facts.CODES:
        other = f"({other} OR old.{code} IS DISTINCT FROM new.{code})"
    return f"(old.{name} >= %(start)s AND old.{name} < %(end)s AND {other})"


# What they know of the day, and the log does not.
_AHEAD: Final = f"""
SELECT old.device FROM delivery_device old LEFT JOIN ({facts.OF_SPAN}) AS new ON {_SAME_KEY}
WHERE {" OR ".join(map(_ahead, facts.TIMES))}"""  # noqa: S608
_STORED: Final = """
    SELECT customer_id, server_id, device FROM delivery_active_device
    WHERE month = %(month)s AND days & %(bit)s <> 0"""
_REACHED: Final = f"SELECT customer_id, server_id, device FROM ({facts.REACHED}) AS reached"  # noqa: S608
_DIFFERENT: Final = f"""
SELECT (SELECT count(*) FROM ({_REACHED} EXCEPT {_STORED}) AS missing),
    (SELECT count(*) FROM ({_STORED} EXCEPT {_REACHED}) AS surplus)"""  # noqa: S608
_CLEAR: Final = """
UPDATE delivery_active_device SET days = days & ~%(bit)s WHERE month = %(month)s AND days & %(bit)s <> 0"""
_SWEEP: Final = "DELETE FROM delivery_active_device WHERE month = %(month)s AND days = 0"


class Difference(NamedTuple):
    """In how many rows the tables differ from the log of a day: devices that they know less of, and more of; reached
    devices that they miss, and have too many."""

    day: date
    behind: int
    ahead: int
    missing: int
    surplus: int

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(self[1:])


def check_days(first: date, last: date) -> None:
    """Raise ValueError for days, `last` among them, that are not over, or that the log does not have any more."""
    with connection.cursor() as cursor:
        cursor.execute(_TODAY)
        (today,) = cursor.fetchone()
    if last < first:
        raise ValueError("the last day is before the first one")
    if last >= today:
        raise ValueError("a day is counted when it is over (UTC)")
    if first < today - timedelta(days=settings.RETENTION_DAYS):
        raise ValueError(f"the log has the last {settings.RETENTION_DAYS} days")


def compare(day: date) -> Difference:
    """Compare the tables with the log of a day. Raises django.db.Error."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK)
        bounds = _bounds(day)
        cursor.execute(_BEHIND, bounds)
        (behind,) = cursor.fetchone()
        ahead = len(_devices_ahead(cursor, bounds))
        cursor.execute(_DIFFERENT, bounds)
        return Difference(day, behind, ahead, *cursor.fetchone())


def rebuild(day: date) -> None:
    """Let the tables say of a day what the log says, in one transaction; a device of which they said more is taken out
    of the whole log anew. Raises django.db.Error."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK)
        bounds = _bounds(day)
        if wrong := _devices_ahead(cursor, bounds):
            cursor.execute("DELETE FROM delivery_device WHERE device = ANY(%s)", [wrong])
            facts.add_devices(cursor, wrong)
        cursor.execute(_CLEAR, bounds)
        facts.add(cursor, bounds["start"], bounds["end"])
        cursor.execute(_SWEEP, bounds)
        count_month(cursor, bounds["month"])


def _devices_ahead(cursor: Any, bounds: dict[str, Any]) -> list[str]:
    cursor.execute(_AHEAD, bounds)
    return [device for (device,) in cursor.fetchall()]


def _bounds(day: date) -> dict[str, Any]:
    start = datetime.combine(day, time(), UTC)
    return {"start": start, "end": start + DAY, "month": month_of(start), "bit": 1 << (day.day - 1)}
