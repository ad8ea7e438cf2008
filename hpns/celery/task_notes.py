"""Notes of when each task of the timetable last ended well: what hangs or fails is seen by their age.

They stand in Valkey (delivery/queue/timetable.py), and begin with the first worker that knows of a task, so that one
that never ends at all has an age, too. Invariant: a note that cannot be made holds up no task.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from celery import Celery
from celery.schedules import crontab, maybe_schedule
from celery.signals import worker_ready
from django.conf import settings

from delivery.queue import timetable, valkey
from tenants.supervision import supervise

logger = logging.getLogger(__name__)

# Seconds between two notes of which tasks there are, and where Valkey was away.
KEEP_INTERVAL, KEEP_RETRY = 3600.0, 10.0
_DAY: Final = 24 * 3600.0
_WEEKDAYS: Final = 7
# Kept, so that they are not collected.
_supervised: Final[list[Any]] = []


def intervals(app: Celery) -> dict[str, float]:
    """The seconds between two runs of each task of the timetable, by its name; their mean, where they are uneven."""
    return {entry["task"]: _interval(entry["schedule"]) for entry in (app.conf.beat_schedule or {}).values()}


def _interval(schedule: Any) -> float:
    if isinstance(schedule, crontab):
        runs = len(schedule.hour) * len(schedule.minute)
        return _DAY * _WEEKDAYS / len(schedule.day_of_week) / runs
    return float(maybe_schedule(schedule).run_every.total_seconds())


async def ended(name: str, interval: float) -> None:
    """Note that a task has ended well just now."""
    try:
        await timetable.note_ended(_ask(), name, interval)
    except ConnectionError as error:
        logger.warning("that a task has ended cannot be noted: %s", error)


def _ask() -> timetable.Ask:
    return partial(valkey.ask, valkey.shared(settings.REDIS_URL))


async def _keep(known: Mapping[str, float]) -> None:
    """Note which tasks there are, now and then: a Valkey that was emptied knows none."""
    while True:
        pause = KEEP_INTERVAL
        try:
            await timetable.expect(_ask(), known)
        except ConnectionError as error:
            logger.warning("the tasks of the timetable cannot be noted: %s", error)
            pause = KEEP_RETRY
        await asyncio.sleep(pause)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _on_ready(sender: Any = None, **_: Any) -> None:
    keep = partial(_keep, intervals(sender.app))
    _supervised.append(supervise("the notes of the timetable", keep, essential=False, loop=sender.hub.aio))
