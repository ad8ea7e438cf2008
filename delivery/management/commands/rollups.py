"""`manage.py rollups check | rebuild`."""

from datetime import UTC, datetime
from typing import Any, Final

from django.utils.dateparse import parse_date, parse_datetime

from delivery.rollups import checking, rebuilding
from tenants.management.subcommands import Failing, Option, SubcommandsCommand, subcommand
from tenants.problem import ProblemError

_SPAN: Final = (
    Option("--from", "the first hour in UTC, such as 2026-09-21T14:00 or 2026-09-21 (default: as far as the log goes)"),
    Option("--to", "the hour before which it ends (default: at the end of the present one)"),
)
# Differences that are printed; their number is, however many there are.
_SHOWN: Final = 100


class Command(SubcommandsCommand):
    """Rollups."""

    help = "The counts of pushes per minute, hour and day: compare with the delivery log, count them anew out of it."

    @subcommand("Count the pushes of the log, and compare with the rollups; nothing is changed.", *_SPAN)
    def check_(self, **given: str) -> Any:
        """Print the differences by hour; exit code 1 where there are any."""
        start, end = _span(given)
        shown, count = [], 0
        for difference in checking.all_differences(start, end):
            count += 1
            if count <= _SHOWN:
                shown.append(difference)
        report = {"from": start.isoformat(), "to": end.isoformat(), "different_cells": count, "differences": shown}
        return (
            Failing(report, "the rollups are not what the log counts to; rollups rebuild mends it") if count else report
        )

    @subcommand("Count the pushes of the log, and put that in the place of the rollups.", *_SPAN)
    def rebuild(self, **given: str) -> dict[str, Any]:
        """Print what was rebuilt; it may be interrupted after any hour, and called again."""
        start, end = _span(given)
        for hour in checking.hours(start, end):
            rebuilding.rebuild(hour, hour + checking.HOUR)
        return {"from": start.isoformat(), "to": end.isoformat(), "rebuilt_hours": (end - start) // checking.HOUR}


def _span(given: dict[str, str]) -> tuple[datetime, datetime]:
    """Whole hours that the log has. Raises ProblemError."""
    reach = checking.reach()
    if reach is None:
        raise ProblemError("the log is empty: there is nothing to count")
    first, last = reach
    start, end = (_moment(given[name], default) for name, default in (("from", first), ("to", last)))
    if start >= end or any(moment.minute or moment.second or moment.microsecond for moment in (start, end)):
        raise ProblemError("the span must be of whole hours, the earlier bound first")
    if start < first:
        raise ProblemError(f"the log reaches back to {first:%Y-%m-%d %H:%M} UTC only: what is older cannot be counted")
    return start, end


def _moment(text: str, default: datetime) -> datetime:
    if not text:
        return default
    try:
        found = parse_datetime(text) or parse_date(text)
    except ValueError:
        found = None
    if found is None:
        raise ProblemError(f"{text!r} is no date and no time: 2026-09-21 or 2026-09-21T14:00")
    if not isinstance(found, datetime):
        return datetime(found.year, found.month, found.day, tzinfo=UTC)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
