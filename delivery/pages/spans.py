"""Spans of time that the delivery's pages look at, in the viewer's time zone: ranges up to now, and own ones. Pure.

Invariant: a span begins and ends where a minute does, and where it is longer than the rollups' minutes reach, where an
hour does: what is counted is what is said.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from delivery.rollups.reading import HOUR, MINUTE, MINUTES_UP_TO, floor, midnights, unit_of

DAY: Final = timedelta(days=1)
RANGES: Final = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}
DEFAULT: Final = "24h"
WORDS: Final = {
    "1h": "the last hour",
    "24h": "the last 24 hours",
    "7d": "the last 7 days",
    "30d": "the last 30 days",
    "90d": "the last 90 days",
}
# How long counts by the hour are kept: 25 months.
COUNTS_KEPT: Final = 761 * DAY
# The first step that gives a span no more than so many points, of at most this length.
_STEPS: Final = ((3 * HOUR, MINUTE), (MINUTES_UP_TO, 10 * MINUTE), (8 * DAY, HOUR), (32 * DAY, 6 * HOUR))


class SpanError(ValueError):
    """A span that cannot be shown; the text says why, as a sentence."""


class Span(NamedTuple):
    """From `start` to before `end` (both aware), and the name of the range if it is one that ends now."""

    start: datetime
    end: datetime
    range: str = ""

    @property
    def unit(self) -> timedelta:
        """What the span is read by: a minute or an hour."""
        return unit_of(self.start, self.end)

    @property
    def step(self) -> timedelta:
        """How long the steps of a chart are. Steps of a DAY are the days of the viewer's zone: 23 to 25 hours."""
        length = self.end - self.start
        return next((step for longest, step in _STEPS if length <= longest), DAY)

    @property
    def latency_step(self) -> timedelta:
        """How long the steps of a chart of latencies are. Steps of a DAY are those of UTC: a percentile of each needs
        all of its buckets, and the days of UTC have theirs added up already."""
        return self.step if self.step <= HOUR else DAY

    @property
    def before(self) -> "Span":
        """The span of the same length before this one."""
        return Span(self.start - (self.end - self.start), self.start)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of this name of the tz database, None where there is none."""
    return ZoneInfo(name) if name in _zones() else None


def last(name: str, now: datetime) -> Span:
    """The range of this name (a key of RANGES), up to now."""
    start = now - RANGES[name]
    return Span(floor(start, unit_of(start, now)), now, name)


def between(start: str, end: str, zone: ZoneInfo, now: datetime) -> tuple[Span, str]:
    """An own span from date-times as a form sends them ("2026-09-21T14:00", in `zone` unless they say an offset), and
    a sentence if less is shown than was asked for. Without an end it reaches to now, without a start a day back.

    Raises SpanError for what is no time, has its end first, or lies in the future or before what is kept.
    """
    oldest = floor(now - COUNTS_KEPT, HOUR)
    to = _moment(end, zone) if end else now
    if to <= oldest:
        raise SpanError(f"Counts are kept for 25 months, since {oldest:%-d %b %Y}: of this range there are none left.")
    begin = _moment(start, zone) if start else to - DAY
    if begin >= to:
        raise SpanError("The range ends before it begins.")
    if begin >= now:
        raise SpanError("The range lies in the future.")
    said = ""
    if begin < oldest:
        begin, said = oldest, f"Counts are kept for 25 months: shown is what is left, since {oldest:%-d %b %Y}."
    if to > now:
        to, said = now, f"{said} The range reaches into the future: shown is what was until now.".strip()
    unit = unit_of(begin, to)
    begin, whole = floor(begin, unit), floor(to, unit)
    return Span(begin, to if to in (whole, now) else whole + unit), said


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SpanError("The range's dates are to be written as 2026-09-21T14:00.") from None


def steps(span: Span, zone: ZoneInfo) -> list[datetime]:
    """When each step of the span begins, ascending; days begin at midnight in `zone`, the first one maybe earlier than
    the span."""
    return midnights(span.start, span.end, zone) if span.step == DAY else list(_even(span))


def latency_steps(span: Span) -> list[datetime]:
    """When each step of a chart of latencies begins, ascending."""
    return midnights(span.start, span.end, UTC) if span.latency_step == DAY else list(_even(span))


def _even(span: Span) -> Iterator[datetime]:
    at = span.start
    while at < span.end:
        yield at
        at += span.step


def words(span: Span, zone: ZoneInfo) -> str:
    """The span as it is spoken of: "the last 24 hours", "21 Sep 2026, 14:00 to 22 Sep 2026, 14:00"."""
    if span.range:
        return WORDS[span.range]
    start, end = (f"{at.astimezone(zone):%-d %b %Y, %H:%M}" for at in (span.start, span.end))
    return f"{start} to {end}"
