"""The status of the service: its components now and for 90 days, incidents and maintenance, as plain values.

Days that are over are judged once, a while after their end, and kept (StatusDay), for the minutes behind them go
sooner; the rest is judged anew each time. Invariant: a figure says as of when it is (`Status.as_of`), and what nobody
has looked at is neither good nor left out.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from billing.incidents import reading
from billing.incidents.components import COMPONENTS, Component
from billing.incidents.judging import MINUTE, Beat, State, Tally, judge, minutes_between, tally
from billing.models import CanaryMinute, Incident, MaintenanceWindow, StatusDay
from delivery.selectors.status import service_minutes

DAYS: Final = 90
DAY: Final = timedelta(days=1)
# A day is closed when what came late is in: the canary's pushes are settled and the log is written.
CLOSED_AFTER: Final = timedelta(hours=2)
# The present state is that of these minutes; the one that runs has no canary yet.
NOW: Final = timedelta(minutes=5)
# Without a canary for so long nobody knows how the service is.
SILENT: Final = timedelta(minutes=5)


class Bar(NamedTuple):
    """A day of a component: how many minutes were good, bad, and not known."""

    day: date
    minutes: Tally


class ComponentStatus(NamedTuple):
    """One component. state: good, warn (some of the last minutes, or a slow incident), bad, maintenance, unknown;
    since: when what is wrong began; uptime: of the days in percent, None where nothing is known."""

    key: str
    name: str
    state: str
    word: str
    since: datetime | None
    days: list[Bar]
    uptime: float | None


class Status(NamedTuple):
    """All of it. as_of: when the last canary was; None: never."""

    state: str
    sentence: str
    as_of: datetime | None
    made_at: datetime
    components: list[ComponentStatus]
    open: list[Incident]
    coming: list[MaintenanceWindow]
    history: list[Incident]


WORDS: Final = {
    "good": "Works",
    "warn": "Disturbed",
    "bad": "Fails",
    "maintenance": "Under maintenance",
    "unknown": "Not known",
}
_RANK: Final = ("good", "unknown", "maintenance", "warn", "bad")
_BY_IMPACT: Final = {Incident.Impact.SLOW: "warn", Incident.Impact.PARTLY: "warn", Incident.Impact.DOWN: "bad"}


def read(now: datetime) -> Status:
    """The status as of `now`. Raises django.db.Error."""
    now = now.astimezone(UTC)
    first, last = _first(), _last(now)
    bars = _bars(now, first)
    # The minute that has just ended may have no row yet; the one before it is missing if it has none.
    known = _floor(now) if last is not None and last >= _floor(now) - MINUTE else _floor(now) - MINUTE
    recent = _judged(known - timedelta(hours=3), known, first)
    is_silent = last is None or now - last > SILENT + MINUTE
    open_incidents = [each for each in reading.incidents(now - MINUTE, now + MINUTE) if _is_open(each, now)]
    coming = reading.coming(now)
    components = [
        _component(each, now, bars[each.key], recent[each.key], open_incidents, coming, is_silent=is_silent)
        for each in COMPONENTS
    ]
    history = [each for each in reading.incidents(now - DAYS * DAY, now + MINUTE) if not _is_open(each, now)]
    state = max((each.state for each in components), key=_RANK.index)
    return Status(state, sentence(components, last, now), last, now, components, open_incidents, coming, history)


def sentence(components: Iterable[ComponentStatus], last: datetime | None, now: datetime) -> str:
    """The present state in one sentence."""
    parts = list(components)
    if all(each.state == "good" for each in parts):
        return "Everything works."
    if all(each.state == "unknown" for each in parts):
        return (
            "Nobody has looked yet."
            if last is None
            else f"How the service is has not been known since {last:%H:%M} UTC."
        )
    told: list[str] = []
    for state, verb in (("bad", "fail"), ("warn", "are disturbed"), ("maintenance", "are under maintenance")):
        names = [each for each in parts if each.state == state]
        if names:
            since = min((each.since for each in names if each.since), default=None)
            when = "" if since is None else f" since {_clock(since, now)}"
            plural = len(names) > 1 or names[0].name.startswith("Pushes") or names[0].name == "Pages"
            verb = verb if plural else {"fail": "fails"}.get(verb, verb.replace("are ", "is ", 1))
            said = _joined([each.name for each in names])
            told.append(f"{said if not told else said[0].lower() + said[1:]} {verb}{when}")
    if not told:
        return "What is looked at works; of the rest nothing is known."
    text = "; ".join(told)
    return f"{text[0].upper()}{text[1:]}."


def _joined(names: list[str]) -> str:
    low = [names[0], *(f"{name[0].lower()}{name[1:]}" for name in names[1:])]
    return low[0] if len(low) == 1 else f"{', '.join(low[:-1])} and {low[-1]}"


def _clock(moment: datetime, now: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc:%H:%M} UTC" if utc.date() == now.date() else f"{utc.day} {utc:%b, %H:%M} UTC"


def _is_open(incident: Incident, now: datetime) -> bool:
    return incident.resolved_at is None or incident.resolved_at > now


def _component(
    component: Component,
    now: datetime,
    bars: list[Bar],
    recent: dict[datetime, State],
    incidents: list[Incident],
    coming: list[MaintenanceWindow],
    *,
    is_silent: bool,
) -> ComponentStatus:
    state, since = ("unknown", None) if is_silent else _present(now, recent)
    concerned = [each for each in incidents if component.key in each.components]
    if concerned:
        state = max([state, *(_BY_IMPACT[Incident.Impact(each.impact)] for each in concerned)], key=_RANK.index)
        since = min([each.started_at for each in concerned] + ([since] if since else []))
    under_way = [each for each in coming if component.key in each.components and each.starts_at <= now]
    if under_way and state != "good":
        state, since = "maintenance", under_way[0].starts_at
    total = Tally(*(sum(counts) for counts in zip(*(bar.minutes for bar in bars), strict=True)))
    return ComponentStatus(component.key, component.name, state, WORDS[state], since, bars, uptime(total))


def uptime(total: Tally) -> float | None:
    """Percent of good minutes, cut to two decimals and never rounded up; None of nothing."""
    known = total.good + total.bad
    return total.good * 10_000 // known / 100 if known else None


def _present(now: datetime, recent: dict[datetime, State]) -> tuple[str, datetime | None]:
    """The state that the last minutes make, and since when there is something wrong without a break of them."""
    last = [recent[at] for at in sorted(recent) if at >= _floor(now) - NOW - MINUTE][-(NOW // MINUTE) :]
    bad = last.count("bad")
    if not bad:
        return ("good" if "good" in last else "unknown"), None
    # One bad minute of five is a disturbance; when the two last ones are bad, or most are, it fails.
    state = "bad" if last[-2:] == ["bad", "bad"] or bad * 2 > len(last) else "warn"
    since, quiet = None, 0
    for at in sorted(recent, reverse=True):
        if recent[at] == "bad":
            since, quiet = at, 0
        else:
            quiet += 1
            if quiet >= len(last):
                break
    return state, since


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _first() -> datetime | None:
    return CanaryMinute.objects.order_by("at").values_list("at", flat=True).first()


def _last(now: datetime) -> datetime | None:
    # A clock that was ahead has left rows of times that have not come yet.
    return CanaryMinute.objects.filter(at__lte=now).order_by("-at").values_list("at", flat=True).first()


def _judged(start: datetime, end: datetime, first: datetime | None) -> dict[str, dict[datetime, State]]:
    rows = CanaryMinute.objects.filter(at__gte=start, at__lt=end).order_by("at")
    beats = [Beat(*row) for row in rows.values_list("at", "family", "good", "whose", "why")]
    return judge(minutes_between(start, end), beats, service_minutes(start, end), first)


def _bars(now: datetime, first: datetime | None) -> dict[str, list[Bar]]:
    """By component the last days, today as its last one."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    known: dict[tuple[date, str], Tally] = {}
    for row in StatusDay.objects.filter(day__gt=(today - DAYS * DAY).date()):
        known[row.day, row.component] = Tally(row.good, row.bad, row.unknown)
    found: dict[str, list[Bar]] = {each.key: [] for each in COMPONENTS}
    for number in range(DAYS - 1, -1, -1):
        start = today - number * DAY
        fresh = None
        for each in COMPONENTS:
            minutes = known.get((start.date(), each.key))
            if minutes is None and fresh is None:
                fresh = _of_day(start, now, first)
            found[each.key].append(Bar(start.date(), minutes or (fresh or {})[each.key]))
    return found


def _of_day(start: datetime, now: datetime, first: datetime | None) -> dict[str, Tally]:
    # The present minute and the one before it have no canary and no rollup yet.
    end = min(start + DAY, _floor(now) - MINUTE)
    if first is None or end <= first:
        return {each.key: Tally(0, 0, max(0, int((end - start) / MINUTE))) for each in COMPONENTS}
    return {key: tally(states) for key, states in _judged(start, end, first).items()}


def close_days(now: datetime) -> int:
    """Judge the days that are over and have not been, the oldest first; how many. The same again changes nothing."""
    today = (now - CLOSED_AFTER).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = _first()
    if first is None:
        return 0
    start = max(today - DAYS * DAY, first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
    done = set(StatusDay.objects.filter(day__gte=start.date()).values_list("day", flat=True))
    closed = 0
    while start < today:
        if start.date() not in done:
            rows = [StatusDay(day=start.date(), component=key, **counts._asdict())
                    for key, counts in _of_day(start, now, first).items()]  # fmt: skip
            StatusDay.objects.bulk_create(rows, ignore_conflicts=True)
            closed += 1
        start += DAY
    return closed
