"""`manage.py devices absorb | check | rebuild`."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from delivery.devices import absorbing, counting, rebuilding
from tenants.management.subcommands import Failing, Option, SubcommandsCommand, subcommand
from tenants.problem import ProblemError

_DAYS: Final = (
    Option("--from", "the first day (UTC), as 2026-09-21", required=True),
    Option("--to", "the last day (default: that one alone)"),
)


class Command(SubcommandsCommand):
    """The tables of devices."""

    help = "The devices that pushes are for: take in what came, hold them against the log, count days anew."

    @subcommand("Take in what came to the log, and count active devices: as the timetable does.")
    def absorb(self) -> Any:
        """Print how much that was."""
        batches = absorbing.absorb(waiting=True)
        return {"batches": batches, "months": [f"{month:%Y-%m}" for month in counting.count_active()]}

    @subcommand("Hold what is said of devices against the log, day by day; exit code 1 where they differ.", *_DAYS)
    def check_(self, *, to: str, **given: str) -> Any:
        """Print what differs."""
        found = [one for one in map(rebuilding.compare, _days(given["from"], to)) if one]
        result = {"different": [{**one._asdict(), "day": str(one.day)} for one in found]}
        return Failing(result, "the tables of devices differ from the log: run devices rebuild") if found else result

    @subcommand("Count days anew out of the log; again it changes nothing.", *_DAYS)
    def rebuild(self, *, to: str, **given: str) -> Any:
        """Print the days."""
        days = _days(given["from"], to)
        for day in days:
            rebuilding.rebuild(day)
        return {"rebuilt": [str(day) for day in days]}


def _days(first: str, last: str) -> list[date]:
    start = _parsed(date.fromisoformat, first)
    end = _parsed(date.fromisoformat, last) if last else start
    _parsed(lambda _: rebuilding.check_days(start, end), "")
    return [start + timedelta(days=day) for day in range((end - start).days + 1)]


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise ProblemError(str(error)) from None
