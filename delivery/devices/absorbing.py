"""Takes what was written to the log, and the receipts that were matched, into the tables of devices. Beside the path.

The writers note in their own transactions which minutes they have written rows of (delivery/rollups/increments.py), and
which pushes were found for receipts (a trigger, migrations/0007_devices.py). Here notes are taken away in the
transaction that reads what they speak of, so that none is lost or left: killed at any step, the task does it again. A
late row, or a receipt that comes after days, is a note like any other. One absorbs at a time, whichever worker it is
in; a batch is a minute of the log, or BATCH receipts.
"""

import logging
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from delivery.devices import facts, platforms

logger = logging.getLogger(__name__)

MINUTE: Final = timedelta(minutes=1)
# Notes of one transaction.
BATCH: Final = 5_000
# Seconds after which a run begins no other batch: a backlog is the next run's, and no thread is held for long.
MOST_SECONDS: Final = 30.0
# A minute is read when it is over, and its rows have come: once, mostly, and not once a second.
SETTLED: Final = timedelta(seconds=30)

_TRY_LOCK: Final = f"SELECT pg_try_advisory_xact_lock({facts.LOCK}), now()"
_WAIT_FOR_LOCK: Final = f"SELECT pg_advisory_xact_lock({facts.LOCK})"
_NO_LONGER: Final = f"SET LOCAL lock_timeout = {round(MOST_SECONDS * 1_000)}"
_NEXT_MINUTE: Final = "SELECT min(minute) FROM delivery_written_minute WHERE minute <= %s"
_TAKE_MINUTE: Final = "DELETE FROM delivery_written_minute WHERE minute = %s"
_TAKE_RECEIPTS: Final = """
DELETE FROM delivery_matched_receipt WHERE ctid = ANY(ARRAY(SELECT ctid FROM delivery_matched_receipt LIMIT %s))
RETURNING trace, push_at"""


def absorb(most_seconds: float = MOST_SECONDS, *, waiting: bool = False) -> int:
    """Take in what was noted; how many batches that was. Raises django.db.Error: the batches before it are done.

    Where another absorbs this moment, nothing is left to do; with `waiting`, it is waited for, MOST_SECONDS at most:
    who asks for it by hand reads the tables next.
    """
    done, end = 0, time.monotonic() + most_seconds
    while time.monotonic() < end:
        if not _absorb_batch(waiting):
            return done
        done += 1
    logger.warning("there is more of the log to be looked through for devices: %d batches were not all", done)
    return done


def _absorb_batch(waiting: bool) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        if waiting:
            cursor.execute(_NO_LONGER)
            cursor.execute(_WAIT_FOR_LOCK)
        cursor.execute(_TRY_LOCK)
        held, now = cursor.fetchone()
        return held and (_absorb_minute(cursor, now) or _absorb_receipts(cursor))


def _absorb_minute(cursor: Any, now: datetime) -> bool:
    cursor.execute(_NEXT_MINUTE, [now - MINUTE - SETTLED])
    (minute,) = cursor.fetchone()
    if minute is None:
        return False
    # What is noted of it from here on is not taken away, and read once more.
    cursor.execute(_TAKE_MINUTE, [minute])
    platforms.add(cursor, minute, minute + MINUTE)
    news = facts.add(cursor, minute, minute + MINUTE)
    if news and month_of(minute) < month_of(now):
        facts.forget_counts(cursor, month_of(minute))
    return True


def _absorb_receipts(cursor: Any) -> bool:
    cursor.execute(_TAKE_RECEIPTS, [BATCH])
    found = cursor.fetchall()
    if found:
        facts.add_receipts(cursor, found)
    return bool(found)


def month_of(moment: datetime) -> date:
    """The first day of the month (UTC) that a moment is in."""
    return moment.astimezone(UTC).date().replace(day=1)
