"""Since when the timetable has sent nothing, or tasks of it have not ended, for staff.

Where Valkey is away nothing is said.
"""

import logging
from datetime import UTC, datetime
from typing import Final, cast

import redis

from delivery.queue import timetable
from tenants import redis_client
from tenants.problem import first_line

logger = logging.getLogger(__name__)
TIMEOUT: Final = 1.0


def timetable_since() -> datetime | None:
    """When it was heard of for the last time, if that is long ago; None while it goes on, or is not known."""
    try:
        with redis_client.connect(TIMEOUT) as store:
            found = cast("bytes | None", store.get(timetable.AT))
            now, _ = cast("tuple[int, int]", store.time())
    except redis.RedisError as error:
        logger.warning("whether the timetable stands still is not known: %s", first_line(error))
        return None
    seconds = timetable.age(found, now)
    if found is None or seconds is None or seconds < timetable.STILL:
        return None
    return datetime.fromtimestamp(int(found), UTC)


def overdue_tasks() -> str:
    """What is said of tasks of the timetable that hang or fail, "" where none does, or it is not known."""
    try:
        with redis_client.connect(TIMEOUT) as store:
            found = cast("dict[bytes, bytes]", store.hgetall(timetable.TASKS))
            now, _ = cast("tuple[int, int]", store.time())
    except redis.RedisError as error:
        logger.warning("whether tasks of the timetable hang is not known: %s", first_line(error))
        return ""
    return timetable.overdue_words(found, now)
