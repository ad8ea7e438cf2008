"""Published maintenance and incidents, for the SLA, the charts of customers and the status page."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import DateTimeField, F, Prefetch, Q, QuerySet, Value

from billing.models import Incident, IncidentUpdate, MaintenanceWindow
from tenants.prepared import Given, Prepared

# More than that is no chart any more.
MOST: Final = 100


class Window(NamedTuple):
    """A maintenance window, and when it was announced."""

    start: datetime
    end: datetime
    announced_at: datetime


class Span(NamedTuple):
    """What a chart shows as a band: from when to when (None: it lasts), and what it was."""

    start: datetime
    end: datetime | None
    title: str


def windows(start: datetime, end: datetime) -> list[Window]:
    """The maintenance windows that touch the time from `start` to before `end`, the earliest first.

    One that was cancelled before it began is none; one that was cancelled while it lasted ends then.
    """
    found = []
    for row in _windows(start, end):
        until = row.ends_at if row.cancelled_at is None else min(row.ends_at, row.cancelled_at)
        if row.published_at is not None and row.starts_at < until and until > start:
            found.append(Window(row.starts_at, until, row.published_at))
    return found


def _windows(start: datetime, end: datetime) -> list[MaintenanceWindow]:
    rows = MaintenanceWindow.objects.filter(published_at__isnull=False, starts_at__lt=end, ends_at__gt=start)
    return list(rows.order_by("starts_at")[:MOST])


def incidents(start: datetime, end: datetime) -> list[Incident]:
    """The incidents that touch the time from `start` to before `end`, the latest first, each with its `updates`."""
    published = Prefetch("updates", IncidentUpdate.objects.filter(published_at__isnull=False))
    rows = Incident.objects.filter(published_at__isnull=False, started_at__lt=end)
    rows = rows.filter(Q(resolved_at=None) | Q(resolved_at__gt=start))
    return list(rows.prefetch_related(published)[:MOST])


def coming(now: datetime) -> list[MaintenanceWindow]:
    """Maintenance that is announced or goes on, the earliest first."""
    rows = MaintenanceWindow.objects.filter(published_at__isnull=False, cancelled_at=None, ends_at__gt=now)
    return list(rows.order_by("starts_at")[:MOST])


def spans(start: datetime, end: datetime) -> list[Span]:
    """Incidents and maintenance together, the earliest first; one query, for each page with a chart asks it."""
    found = []
    for begins, ends, cut, words, title in _SPANS.rows(start=start, end=end):
        until = ends if cut is None else min(ends, cut)
        if until is None or (until > begins and until > start):
            found.append(Span(begins, until, f"{words}: {title}"))
    return found


def _spans() -> "QuerySet[Any, Any]":
    start, end = Given("start", DateTimeField()), Given("end", DateTimeField())
    nothing = Value(None, DateTimeField())
    planned = MaintenanceWindow.objects.filter(published_at__isnull=False, starts_at__lt=end, ends_at__gt=start)
    broken = Incident.objects.filter(published_at__isnull=False, started_at__lt=end)
    broken = broken.filter(Q(resolved_at=None) | Q(resolved_at__gt=start))
    columns = ("begins", "ends", "cut", "words", "title")
    both = planned.order_by().annotate(
        begins=F("starts_at"), ends=F("ends_at"), cut=F("cancelled_at"), words=Value("Maintenance")
    )
    rows = both.values_list(*columns).union(
        broken.order_by()
        .annotate(begins=F("started_at"), ends=F("resolved_at"), cut=nothing, words=Value("Incident"))
        .values_list(*columns),
        all=True,
    )
    return rows.order_by("begins")[:MOST]


_SPANS: Final = Prepared(_spans)
