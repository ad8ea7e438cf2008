"""What the delivery page shows in words and tables: the sentence's links, figures with their change, the funnel, the
reasons and the splits. Every number leads to the pushes that it counts, where there is a page of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple

from delivery.insight.summary import Clock, Failure, Summary, percent
from delivery.pages.figures import Devices, Figures, Totals, percentiles
from delivery.pages.figures import latest as latest_hour
from delivery.pages.filters import FAILURES, Filters
from delivery.pages.links import page_url
from delivery.rollups.buckets import bounds
from delivery.rollups.reading import HOUR

BEFORE: Final = {
    "1h": "the hour before",
    "24h": "the 24 hours before",
    "7d": "the 7 days before",
    "30d": "the 30 days before",
    "90d": "the 90 days before",
}
REASONS_SHOWN: Final = 10
P95: Final = 1
# Milliseconds from which buckets of latencies are coarse; and the units that their bounds are whole numbers of.
COARSE_FROM: Final = 60_000
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"))


@dataclass(frozen=True)
class Links:
    """Addresses of the pushes, and of this page, with filters in force and others besides."""

    slug: str
    filters: Filters

    def pushes(self, **changes: Any) -> str:
        """The list of the pushes that a number counts, "" where there is no such page."""
        return f"{self._there}?{self.filters.query(**changes)}" if self._there else ""

    @cached_property
    def _there(self) -> str:
        return page_url("delivery-pushes", self.slug)

    def here(self, **changes: Any) -> str:
        """This page."""
        return f"?{self.filters.query(**changes)}"

    def code(self, code: str) -> str:
        """The page about a code, "" where there is none."""
        return page_url("code", code)

    def sentence(self, found: Summary) -> dict[str, Any]:
        """The sentence, its pieces with their addresses."""
        changes: dict[str, dict[str, str]] = {
            "all": {},
            "failures": {"outcome": FAILURES},
            "gone": {"outcome": "gone"},
            "code": {"code": found.code, "attribution": found.attribution, "outcome": FAILURES},
        }
        words = []
        for word in found.words:
            is_code = word.to == "code" and word.text == found.code
            url = self.code(found.code) if is_code else self.pushes(**changes[word.to]) if word.to else ""
            words.append({"text": word.text, "url": url, "at": word.at, "code": is_code})
        return {"kind": found.kind, "words": words, "advice": found.advice}


class Stat(NamedTuple):
    """A figure with its change against the time before, "" where there is none to compare it with."""

    label: str
    value: str
    change: str
    url: str


def stats(figures: Figures, links: Links) -> list[Stat]:
    """The figures at the top."""
    now, before = figures.counts, figures.before
    found = [
        Stat("Pushes", f"{now.pushes:,}", _growth(now.pushes, before.pushes), links.pushes()),
        Stat(
            "Handed off",
            percent(now.sent, now.pushes),
            _points(now.sent, now.pushes, before.sent, before.pushes),
            links.pushes(outcome="sent"),
        ),
        Stat("Failed", f"{now.failed:,}", _difference(now.failed, before), links.pushes(outcome=FAILURES)),
        Stat(
            "Acknowledged",
            percent(figures.acked, now.sent, 1),
            _points(figures.acked, now.sent, before.acked, before.sent, 1),
            links.pushes(acked="yes"),
        ),
    ]
    for label, of in (("Hand-off, p95", "handoff"), ("Receipt, p95", "receipt")):
        value = percentiles(getattr(figures.latencies, of))[P95]
        earlier = percentiles(getattr(figures.before_latencies, of))[P95]
        change = "" if value is None or earlier is None else _slower(value, earlier)
        found.append(Stat(label, about(value), change, f"#chart-{of}" if value is not None else ""))
    return found


def _slower(value: int, earlier: int) -> str:
    if max(value, earlier) < COARSE_FROM:
        return _signed(value - earlier, duration(abs(value - earlier)))
    return "no change" if value == earlier else f"{about(earlier)} before"


def about(milliseconds: int | None) -> str:
    """A percentile as people read it: 340 ms, 1.2 s; above a minute, where little is known, between what it lies."""
    if milliseconds is None or milliseconds < COARSE_FROM:
        return duration(milliseconds)
    low, high = bounds(milliseconds)
    if high is None:
        return "over a week"
    unit, name = next((unit, name) for unit, name in _UNITS if low >= unit)
    return f"{low // unit} to {high // unit} {name}"


def duration(milliseconds: int | None) -> str:
    """A latency as people read it: 340 ms, 1.2 s, 4 min, 2.5 h; a dash for none."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1_000:.1f} s"
    return f"{milliseconds / 60_000:.0f} min" if milliseconds < 3_600_000 else f"{milliseconds / 3_600_000:.1f} h"


def _signed(value: float, text: str) -> str:
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else "no change"


def _growth(now: int, before: int) -> str:
    if not before:
        return "none before" if now else ""
    change = 100 * (now - before) / before
    return _signed(round(change, 1), f"{abs(change):,.1f} %")


def _difference(now: int, before: Totals) -> str:
    return _signed(now - before.failed, f"{abs(now - before.failed):,}") if before.pushes else ""


def _points(now: int, of: int, before: int, of_before: int, places: int = 2) -> str:
    if not of or not of_before:
        return ""
    change = round(100 * now / of - 100 * before / of_before, places)
    return _signed(change, f"{abs(change):.{places}f} points")


class Bar(NamedTuple):
    """A stage of the funnel; `width` is in percent of the first one, `lost` what is missing to the stage before."""

    label: str
    pushes: int
    share: str
    width: str
    url: str
    lost: Sequence[tuple[str, str]]


def funnel(figures: Figures, links: Links) -> list[Bar]:
    """The stages from the server to the phone."""
    counts = figures.counts
    if not counts.pushes:
        return []
    failed = (f"{counts.failed:,} failed", links.pushes(outcome=FAILURES))
    gone = (f"{counts.gone:,} to devices that are gone", links.pushes(outcome="gone"))
    silent = max(counts.sent - figures.acked, 0)
    without = (f"{silent:,} without a receipt", links.pushes(outcome="sent", acked="no"))
    lost = [each for each, count in ((failed, counts.failed), (gone, counts.gone)) if count]
    stages = [
        ("Came in", counts.pushes, "", links.pushes(), []),
        ("Handed off", counts.sent, percent(counts.sent, counts.pushes), links.pushes(outcome="sent"), lost),
        (
            "Acknowledged",
            figures.acked,
            percent(figures.acked, counts.sent, 1),
            links.pushes(acked="yes"),
            [without] if silent else [],
        ),
    ]
    return [
        Bar(label, pushes, share, f"{100 * min(pushes / counts.pushes, 1):.2f}", url, less)
        for label, pushes, share, url, less in stages
    ]


class Reason(NamedTuple):
    """A row of the table of reasons."""

    kind: str
    title: str
    code: str
    code_url: str
    advice: str
    whose: str
    pushes: int
    share: str
    url: str
    devices: str
    since: str
    at: datetime | None


def reasons(figures: Figures, links: Links, clock: Clock) -> dict[str, Any]:
    """Why pushes failed, the most frequent first, and devices that are gone; how many more there are."""
    rows = [_reason(figures, links, clock, failure) for failure in figures.counts.failures]
    return {"rows": rows[:REASONS_SHOWN], "more": len(rows) - REASONS_SHOWN, "url": links.pushes(outcome=FAILURES)}


def _reason(figures: Figures, links: Links, clock: Clock, failure: Failure) -> Reason:
    devices = figures.devices
    run = failure.run
    since = ""
    if run is not None:
        lasts = clock.now - run.last <= max(timedelta(minutes=15), 2 * links.filters.span.unit)
        # What is counted by the hour is not known to the minute.
        hour = "the hour of " if links.filters.span.unit == HOUR and not run.first.minute else ""
        since = f"since {hour}{clock.tell(run.first)}" if lasts else f"until {clock.tell(run.last)}"
        since = "all the time" if lasts and run.from_the_start else since
    return Reason(
        "bad" if since.startswith(("since", "all")) else "warn",
        failure.cause[:1].upper() + failure.cause[1:],
        failure.code,
        links.code(failure.code),
        failure.advice[:1].upper() + failure.advice[1:],
        failure.whose[:1].upper() + failure.whose[1:],
        failure.pushes,
        percent(failure.pushes, figures.counts.pushes),
        links.pushes(code=failure.code, attribution=failure.attribution, outcome=FAILURES),
        _share_of_devices(devices.failed.get(failure.code, 0), devices) if devices else "",
        since,
        run.first if run and since.startswith("since") else run.last if run else None,
    )


def _share_of_devices(some: int, devices: Devices) -> str:
    return f"{some:,} of {devices.all:,}"


def gone(figures: Figures, links: Links) -> dict[str, Any] | None:
    """How many pushes were for devices that are gone, and how many devices those are; None where none was."""
    if not figures.counts.gone:
        return None
    devices = _share_of_devices(figures.devices.gone, figures.devices) if figures.devices else ""
    return {"pushes": figures.counts.gone, "url": links.pushes(outcome="gone"), "devices": devices}


def latest(links: Links, clock: Clock) -> dict[str, Any] | None:
    """When the customer's latest push of all came, and where it is seen; None where none ever did."""
    hour = latest_hour()
    if hour is None:
        return None
    there = Filters(links.filters.span, links.filters.zone).query(start=hour, end=hour + HOUR)
    return {"at": hour, "words": clock.tell(hour), "url": f"?{there}"}
