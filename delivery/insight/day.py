"""The figures of a customer's last 24 hours, of one server or app if wanted, read once for all that speaks of them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from delivery.insight import announced
from delivery.insight.charts import Chart, Kind, Marker, Series
from delivery.insight.summary import Counts, Failure, capitalised, run_of, some_of
from delivery.outcomes.verdict import Outcome
from delivery.rollups.reading import HOUR, MINUTE, Counted, counted_later, floor

DAY: Final = timedelta(days=1)
STEP: Final = 10 * MINUTE
_SENT, _GONE = Outcome.SENT.value, Outcome.GONE.value
_FAILED: Final = tuple(outcome.value for outcome in Outcome if outcome not in (Outcome.SENT, Outcome.GONE))


@dataclass(frozen=True)
class Day:
    """Counts of the pushes of 24 hours; `recent` those of the last hour: all ("" , ""), and the failed ones by code and
    attribution. by_step: per STEP, by the outcome sent, gone or failed; taking: the apps that a provider
    took a push of, None where it is not known."""

    start: datetime
    end: datetime
    counts: Counts
    acked: int = 0
    recent: Mapping[tuple[str, str], int] = field(default_factory=dict)
    by_step: Mapping[datetime, Mapping[str, int]] = field(default_factory=dict)
    taking: frozenset[int] | None = None

    @property
    def pushes(self) -> int:
        """All of them."""
        return self.counts.pushes

    @property
    def pushes_last_hour(self) -> int:
        """All of the last hour."""
        return self.recent.get(("", ""), 0)

    @property
    def short(self) -> str:
        """The day in one short sentence, beside troubles that say the rest."""
        counts = self.counts
        if not counts.pushes:
            return "No push came in the last 24 hours."
        if counts.failed:
            return f"{capitalised(some_of(counts.failed, counts.pushes))} failed in the last 24 hours."
        only = counts.pushes == 1
        what = "The only push" if only else f"All {counts.pushes:,} pushes"
        if counts.gone:
            what = f"{counts.sent:,} of {counts.pushes:,} pushes"
        return f"{what} of the last 24 hours {'was' if only else 'were'} handed off, and none failed."

    def chart(self, title: str, markers: Sequence[Marker] = ()) -> Chart:
        """The day as a chart of stacked bars."""
        first = floor(self.start, MINUTE)
        steps = [first + number * STEP for number in range(int(DAY / STEP) + 1)]
        steps = [at for at in steps if at < self.end]
        curves = (("Handed off", "sent"), ("Failed", "failed"), ("Device gone", "gone"))
        series = [Series(label, [self.by_step.get(at, {}).get(name, 0) for at in steps]) for label, name in curves]
        bands = announced.bands(self.start, self.end)
        return Chart("day", title, "pushes", steps, series, kind=Kind.BARS, markers=markers, bands=bands)


def read(now: datetime, **filters: Any) -> Day:
    """The day up to `now`, of the customer in whose scope this is; filters: server_id, app_id."""
    return later(now, **filters)()


def later(now: datetime, **filters: Any) -> Callable[[], Day]:
    """What gives the day that read() reads; its query is sent now, if queries are sent together()."""
    start = floor(now - DAY, MINUTE)
    by = ("outcome", "code", "attribution")
    sent = counted_later(start, now, by=by, step=STEP, unit=MINUTE, moments_of=_FAILED, **filters)

    def found() -> Day:
        rows = sent()
        return of_rows(start, now, rows, _failures(rows, start))

    return found


def of_rows(
    start: datetime,
    now: datetime,
    rows: Iterable[Counted],
    failures: Sequence[Failure],
    taking: frozenset[int] | None = None,
) -> Day:
    """The day from `start` to `now` out of what was counted of it in steps of STEP, by outcome, code and attribution
    at least, its failures, and the apps that a provider took a push of, if they are known."""
    sums: Counter[str] = Counter()
    recent: Counter[tuple[str, str]] = Counter()
    by_step: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
    for row in rows:
        assert row.at is not None  # noqa: S101  there are steps
        kind = _kind(row)
        sums[kind] += row.pushes
        sums["acked"] += row.acked
        by_step[row.at][kind] += row.pushes
        if row.at + STEP > now - HOUR:
            recent["", ""] += row.pushes
            if kind == "failed":
                recent[row.of["code"], row.of["attribution"]] += row.pushes
    total = sums["sent"] + sums["gone"] + sums["failed"]
    return Day(start, now, Counts(total, sums["sent"], sums["gone"], failures), sums["acked"], recent, by_step, taking)


def _kind(row: Counted) -> str:
    return {_SENT: "sent", _GONE: "gone"}.get(row.of["outcome"], "failed")


def _failures(rows: Iterable[Counted], start: datetime) -> tuple[Failure, ...]:
    """The failures, the largest first, each with its latest run to the minute."""
    causes: Counter[tuple[str, str]] = Counter()
    moments: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if _kind(row) == "failed":
            cause = row.of["code"], row.of["attribution"]
            causes[cause] += row.pushes
            moments.setdefault(cause, []).extend(row.moments)
    return tuple(Failure(*cause, count, run_of(moments[cause], start, MINUTE)) for cause, count in causes.most_common())
