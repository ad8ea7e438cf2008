"""Pushes of many customers just now, counted, for tests of what they say together."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from delivery.outcomes.verdict import Verdict
from delivery.rollups.reading import HOUR, floor
from delivery.rollups.rebuilding import rebuild
from tests.delivery.rollups import pushes
from tests.delivery.rollups.pushes import SENT


def push(
    customer: int,
    count: int = 20,
    *,
    ago: timedelta = timedelta(minutes=5),
    verdict: Verdict | None = SENT,
    **more: Any,
) -> str:
    """Write a row of so many pushes that came so long ago; its trace."""
    assert verdict is not None
    now = timezone.now() - ago
    trace = f"{int(now.timestamp()):012x}-{customer:x}{count:x}{len(verdict.code):x}"
    second = (now - pushes.HOUR).total_seconds()
    pushes.write(trace, second, verdict, customer=customer, count=count, **more)
    return trace


def count(back: timedelta = timedelta(hours=2)) -> datetime:
    """Count what was written in the time up to now; now."""
    now = timezone.now()
    rebuild(floor(now - back, HOUR), floor(now, HOUR) + HOUR)
    return now
