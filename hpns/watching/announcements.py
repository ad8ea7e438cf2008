"""Connects what billing knows of incidents, maintenance and the canary with the charts and boards of delivery."""

from datetime import datetime, timedelta
from typing import Final

from billing.incidents import reading
from billing.models import CanaryMinute
from delivery.insight import announced

# From how long without a canary on staff are told; a worker that is replaced may cost a minute.
MISSING: Final = timedelta(minutes=3)
DAY: Final = timedelta(days=1)


def connect() -> None:
    """Register both; once a process."""
    announced.register(reading.spans, canary_line)


def canary_line(now: datetime) -> str:
    """What staff should know of the canary; "" while all is well."""
    last = CanaryMinute.objects.filter(at__lte=now).order_by("-at").values_list("at", flat=True).first()
    if last is None:
        return "There is no canary: run manage.py canary setup, and set CANARY_DEVICES."
    if now - last > MISSING:
        since = f"{last.day} {last:%b, %H:%M} UTC"
        return f"The canary has been missing since {since}. Does the timetable run, and a worker?"
    rows = CanaryMinute.objects.filter(at__gte=now - DAY, at__lte=now)
    bad = rows.filter(good=False).count()
    if not bad:
        return ""
    latest = rows.filter(good=False).order_by("-at")[0]
    return (
        f"The canary failed {bad:,} times in 24 hours, last at {latest.at:%H:%M} UTC ({latest.family}: {latest.why})."
    )
