"""The figures of a customer's last 24 hours, of one server or app if wanted, read once for all that speaks of them."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from delivery.outcomes.verdict import Outcome
from delivery.rollups.reading import HOUR, MINUTE, counted, floor

DAY: Final = timedelta(days=1)
STEP: Final = 10 * MINUTE


class Cause(NamedTuple):
    """What pushes that failed have in common."""

    code: str
    attribution: str
    family: str


@dataclass(frozen=True)
class Day:
    """Counts of pushes of 24 hours. `by_step`: per step of STEP, by group (handed_off, gone, failed); of each cause of
    failures how many there were, how many of them in the last hour, and when the step begins with the first of them
    since an hour without any."""

    start: datetime
    end: datetime
    handed_off: int = 0
    acked: int = 0
    gone: int = 0
    failed: int = 0
    last_hour: int = 0
    failed_last_hour: int = 0
    by_step: dict[datetime, Counter[str]] = field(default_factory=dict)
    causes: Counter[Cause] = field(default_factory=Counter)
    recent_causes: Counter[Cause] = field(default_factory=Counter)
    since: dict[Cause, datetime] = field(default_factory=dict)

    @property
    def pushes(self) -> int:
        """All of them."""
        return self.handed_off + self.gone + self.failed

    @property
    def sentence(self) -> str:
        """The day as one sentence. A provider's acceptance is no receipt, and is not called one."""
        if not self.pushes:
            return "No push has come in the last 24 hours."
        parts = []
        if self.failed:
            parts.append(f"{self.failed:,} of {self.pushes:,} pushes failed in the last 24 hours")
        rest = [
            f"{self.handed_off:,} {_was(self.handed_off)} handed off to Apple and Google" if self.handed_off else ""
        ]
        rest += [f"{self.acked:,} of them acknowledged by a phone" if self.acked else ""]
        rest += [f"{self.gone:,} {_was(self.gone)} for phones that are gone" if self.gone else ""]
        words = ", ".join(filter(None, rest))
        if self.failed:
            return f"{parts[0]}{f'; {words}' if words else ''}."
        what = "1 push" if self.pushes == 1 else f"{self.pushes:,} pushes"
        if self.handed_off == self.pushes:
            acked = f", and {self.acked:,} acknowledged by a phone" if self.acked else ""
            whole = "It was" if self.pushes == 1 else "All were"
            return f"{what} in the last 24 hours. {whole} handed off to Apple and Google{acked}."
        return f"{what} in the last 24 hours: {words}."


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def group(outcome: str) -> str:
    """What a push with this outcome counts as: handed_off, gone or failed."""
    return {Outcome.SENT.value: "handed_off", Outcome.GONE.value: "gone"}.get(outcome, "failed")


def read(now: datetime, **filters: Any) -> Day:
    """The day up to `now`, of the customer in whose scope this is; filters: server_id, app_id."""
    start, recent = floor(now - DAY, MINUTE), now - HOUR
    by = ("outcome", "code", "attribution", "family")
    sums: Counter[str] = Counter()
    causes: Counter[Cause] = Counter()
    recent_causes: Counter[Cause] = Counter()
    by_step: dict[datetime, Counter[str]] = {}
    seen: dict[Cause, list[datetime]] = {}
    for row in counted(start, now, by=by, step=STEP, **filters):
        assert row.at is not None  # noqa: S101  there are steps
        kind = group(row.of["outcome"])
        is_recent = row.at + STEP > recent
        sums.update({kind: row.pushes, "acked": row.acked, "last_hour": row.pushes if is_recent else 0})
        by_step.setdefault(row.at, Counter())[kind] += row.pushes
        if kind == "failed":
            cause = Cause(row.of["code"], row.of["attribution"], row.of["family"])
            causes[cause] += row.pushes
            if is_recent:
                recent_causes[cause] += row.pushes
            steps = seen.setdefault(cause, [])
            if not steps or row.at - steps[-1] > HOUR:
                steps.clear()
            steps.append(row.at)
    return Day(
        start,
        now,
        sums["handed_off"],
        sums["acked"],
        sums["gone"],
        sums["failed"],
        sums["last_hour"],
        sum(recent_causes.values()),
        by_step,
        causes,
        recent_causes,
        {cause: steps[0] for cause, steps in seen.items()},
    )


def first_minute(day: Day, cause: Cause, **filters: Any) -> datetime:
    """The minute in which a cause's failures began, as `since` has it by the step."""
    step = day.since[cause]
    lookups = {**cause._asdict(), **filters}
    rows = counted(step, min(step + STEP, day.end), step=MINUTE, unit=MINUTE, **lookups)
    return next((row.at for row in rows if row.at is not None and row.pushes), step)
