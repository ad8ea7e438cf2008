"""What the SLA's figures mean in words, and the grid of a month: hours of days with their bad minutes. Pure."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from billing.facts import Month, SlaMonth
from billing.sla import judging
from billing.sla.judging import Row

HOUR: Final = timedelta(hours=1)
REASONS: Final = {
    judging.FAILURES: "more pushes failed by us than the promise bears",
    judging.CANARY: "our own test push did not get through",
    judging.NO_PUSH: "our own test push is missing, and nobody's push got through",
    judging.MAINTENANCE: "maintenance, announced 72 hours ahead",
}


class Cell(NamedTuple):
    """An hour of the grid: kind (good, bad, excluded, idle, none), bad minutes, and when it begins."""

    kind: str
    bad: int
    at: datetime
    href: str = ""

    @property
    def words(self) -> str:
        """What it says, for those who cannot see its colour."""
        return {
            "good": "good",
            "idle": "good, no pushes",
            "excluded": "maintenance",
            "none": "not measured",
        }.get(self.kind, f"{self.bad} bad minute{'' if self.bad == 1 else 's'}")


class Day(NamedTuple):
    """A row of the grid."""

    day: date
    cells: list[Cell]


def percent(share: Decimal | None) -> str:
    """A share as people read it; figures that promises depend on are not rounded."""
    return "too few pushes" if share is None else f"{share} %"


def name(month: Month) -> str:
    """November 2026."""
    return f"{month.first:%B %Y}"


def number(count: int, one: str, many: str = "") -> str:
    """1 minute, 2 minutes."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def sentence(told: SlaMonth, *, so_far: bool, has_sla: bool, ahead: int = 0) -> dict[str, Any]:
    """The answer of the page, as parts/sentence.html shows it. ahead: minutes of the month to come."""
    when = f"so far in {name(told.month)}" if so_far else f"in {name(told.month)}"
    minutes = (
        f"{number(told.bad_minutes, 'minute')} of {told.minutes:,} {'was' if told.bad_minutes == 1 else 'were'} bad"
    )
    # The minutes are judged some minutes late: what came since is on other pages already.
    none = "no push has been counted yet" if so_far else "no push came"
    pushes = f"we failed {told.failed_ours:,} of {number(told.valid, 'push', 'pushes')}" if told.valid else none
    text = f"{told.uptime} % uptime {when}: {minutes}, and {pushes}."
    kept = told.credit_percent == 0
    return {
        "kind": "good" if kept and not told.bad_minutes else "warn" if kept else "bad",
        "words": [{"text": text}],
        "advice": _advice(told, so_far=so_far, has_sla=has_sla, ahead=ahead),
    }


def _advice(told: SlaMonth, *, so_far: bool, has_sla: bool, ahead: int) -> str:
    if not has_sla:
        return "Your plan has no SLA: it is measured all the same, and nothing is credited."
    if told.credit_percent:
        given = "if the month ends like this, you are" if so_far else "you were"
        less = f"Less than the {judging.PROMISED} % that we promise"
        return f"{less}: {given} credited {told.credit_percent} % of the month's fee."
    minutes, requests = judging.budget(told, ahead)
    if not so_far:
        return f"The promise of {judging.PROMISED} % was kept."
    more = f", and of the pushes so far {max(requests, 0):,} more failed" if requests is not None else ""
    left = number(max(minutes, 0), "more bad minute")
    return f"The promise of {judging.PROMISED} % is kept so far; until the month ends it bears {left}{more}."


def broken(since: date, begins: date, *, missing: bool) -> str:
    """What is said of a chain that is broken since a day. begins: the ledger's first day. missing: there is no file."""
    why = "your file of that day could not be made"
    if not missing:
        why = "what is sealed of that day does not follow from the day before"
    before = since - timedelta(days=1)
    kept = (
        f"What was sealed up to {before.day} {before:%B %Y} stays verifiable: keep the files that you have downloaded. "
        if since > begins
        else ""
    )
    return (
        f"The chain of your sealed files broke on {since.day} {since:%B %Y}: {why}. Your minutes are counted and "
        f"credited all the same, but no day from then on can be checked yet. {kept}You need to do nothing: our staff "
        "begin the chain anew, with the break named in it, and you are told by e-mail when that is done."
    )


def stats(told: SlaMonth, ahead: int = 0) -> list[dict[str, Any]]:
    """The figures of a month, for parts/stat.html. ahead: minutes of the month to come."""
    minutes, requests = judging.budget(told, ahead)
    broken = minutes < 0 or (requests is not None and requests < 0)
    left = "used up" if broken else f"{minutes:,} min"
    budget = f"of {number(judging.budget_minutes(told, ahead), 'bad minute')} in the month"
    if requests is not None:
        budget += f"; {max(requests, 0):,} of {told.valid // 1000:,} failed pushes{' so far' if ahead else ''}"
    return [
        _stat("Uptime by time", percent(told.by_time), f"{told.bad_minutes:,} of {told.minutes:,} minutes bad"),
        _by_requests(told),
        _stat("Handed off within 1 s", percent(told.within_1s) if told.valid else "no push", "aim: 95 %"),
        _stat("Handed off within 3 s", percent(told.within_3s) if told.valid else "no push", "aim: 99 %"),
        _stat("Error budget left", left, budget),
    ]


def _by_requests(told: SlaMonth) -> dict[str, Any]:
    failed = f"{told.failed_ours:,} of {number(told.valid, 'push', 'pushes')} failed"
    if told.by_requests is None:
        return _stat("Uptime by requests", "not counted", f"{failed}: fewer than 1,000")
    return _stat("Uptime by requests", percent(told.by_requests), failed)


def _stat(label: str, value: str, change: str) -> dict[str, Any]:
    return {"label": label, "value": value, "change": change, "url": ""}


def grid(rows: Iterable[Row], month: Month, begins: datetime, until: datetime) -> list[Day]:
    """The days of a month with the hours of each; what is before `begins` or after `until` was not measured."""
    hours: dict[datetime, list[Row]] = {}
    for row in rows:
        hours.setdefault(row.minute.replace(minute=0), []).append(row)
    found = []
    for day in judging.days_of(month):
        starts = [judging.midnight(day) + HOUR * hour for hour in range(24)]
        if starts[0] < until and starts[-1] + HOUR > begins:
            found.append(Day(day, [_cell(at, hours.get(at, []), begins, until) for at in starts]))
    return found


def _cell(at: datetime, rows: list[Row], begins: datetime, until: datetime) -> Cell:
    bad = sum(row.verdict == judging.BAD for row in rows)
    if bad:
        return Cell("bad", bad, at)
    if at >= until or at + HOUR <= begins:
        return Cell("none", 0, at)
    if any(row.verdict == judging.EXCLUDED for row in rows):
        return Cell("excluded", 0, at)
    return Cell("good" if any(row.valid for row in rows) else "idle", 0, at)
