"""The figures of a delivery page, out of the rollups: what became of the pushes that its filters choose.

Invariant: a bounded number of queries, whatever there is to count; tables are bounded, the worst first.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from delivery.insight import day as days
from delivery.insight.summary import Counts, Failure, run_of
from delivery.models import Delivery, Grain, Hour
from delivery.outcomes.verdict import Outcome
from delivery.pages import spans
from delivery.pages.filters import FAILED, Filters
from delivery.rollups.buckets import Histogram, add_up, of_text
from delivery.rollups.buckets import percentiles as percentiles_of
from delivery.rollups.reading import HOUR, MINUTE, Counted, counted, counted_later, split_later
from delivery.selectors import count_up_to
from tenants.prepared import together

SENT: Final = Outcome.SENT.value
GONE: Final = Outcome.GONE.value
SHARES: Final = (0.5, 0.95, 0.99)
# Rows of the log that are read for the devices of failures: some tens of milliseconds.
LOG_ROWS_MOST: Final = 10_000
# What pushes are told apart by, each in a table of its own.
DIMENSIONS: Final = ("family", "server_id", "app_id", "type")
GROUPS_SHOWN: Final = 10
# Customers with more servers have each dimension summed by itself: together they would be a hundred thousand groups.
SERVERS_AT_ONCE: Final = 200
# Filters that troubles have, too.
BY_OWNER: Final = frozenset(("server", "app"))


@dataclass(frozen=True)
class Totals:
    """Sums of a span, or of a part of its pushes; latencies of those handed off, and of those acknowledged."""

    pushes: int = 0
    sent: int = 0
    gone: int = 0
    acked: int = 0

    @property
    def failed(self) -> int:
        """How many pushes failed."""
        return self.pushes - self.sent - self.gone


@dataclass(frozen=True)
class Latencies:
    """How long pushes took to be handed off, and until a phone acknowledged them."""

    handoff: Mapping[int, int]
    receipt: Mapping[int, int]


@dataclass(frozen=True)
class Devices:
    """How many devices had pushes, how many of them are gone, and how many had a failure, by its code."""

    all: int
    gone: int
    failed: Mapping[str, int]


@dataclass(frozen=True)
class Figures:
    """What a page shows. `before` are the sums of the span of the same length before; `steps` the beginnings of the
    charts' steps, with what came of the pushes of each that had any, and `latency_steps` those of the latencies;
    `devices` is None where they are too many to be counted here; `day`: the last 24 hours of the server and app."""

    counts: Counts
    acked: int
    latencies: Latencies
    before: Totals
    before_latencies: Latencies
    steps: Sequence[datetime]
    latency_steps: Sequence[datetime]
    by_step: Mapping[datetime, Totals]
    latencies_by_step: Mapping[datetime, Latencies]
    splits: Mapping[str, Mapping[Any, Totals]]
    devices: Devices | None
    day: days.Day


def read(filters: Filters, servers: int, now: datetime, meanwhile: Callable[[], object]) -> Figures:
    """The figures of these filters, in the scope of a customer; `servers`: how many it has.

    meanwhile: is called while PostgreSQL works; what it does needs no database.
    """
    span, lookups = filters.span, filters.lookups
    whole: dict[str, Any] = {"unit": span.unit, "zone": filters.zone}
    by = ("family", "outcome", "code", "attribution")
    # Only what was handed off took a time for that: where the filters leave it out, there is none.
    has_sent = "outcome__in" not in lookups and lookups.get("outcome", SENT) == SENT
    # In one look with the rest, unless they are read by days, which the moments of failures are not.
    at_once = has_sent and span.latency_step < spans.DAY
    chosen = {"latencies": at_once, "latencies_of": (SENT,), **whole, **lookups}
    # Of those for which no app was found troubles know nothing.
    is_day = span.range == "24h" and filters.values.keys() <= BY_OWNER and filters.values.get("app") != "0"
    with together():
        first = counted_later(span.start, span.end, by=by, step=span.step, moments_of=FAILED, **chosen)
        by_day = _by_day(filters) if has_sent and not at_once else list
        before_this, splits_of = _before(filters, has_sent=has_sent), _splits(filters, servers)
        day_of = None if is_day else days.later(now, **filters.owner)
        meanwhile()
        rows = first()
        timed = [row for row in rows if row.of["outcome"] == SENT] if at_once else by_day()
        totals, latencies_by_step = _by(rows, lambda row: row.at), _latencies_by_step(timed)
        found = _total(totals.values())
        before, timed_before = before_this()
        splits = splits_of(rows) if found.pushes else {}
        day = day_of() if day_of is not None else None
        failures = tuple(_failures(filters, rows))
    return Figures(
        Counts(found.pushes, found.sent, found.gone, failures),
        found.acked,
        _added_up(latencies_by_step.values()),
        before,
        timed_before,
        spans.steps(span, filters.zone),
        spans.latency_steps(span),
        {at: sums for at, sums in totals.items() if at is not None},
        latencies_by_step,
        splits,
        _devices(filters, found, sorted({failure.code for failure in failures})) if found.pushes > found.sent else None,
        day or days.of_rows(span.start, span.end, rows, failures, _taking(splits)),
    )


def _by_day(filters: Filters) -> Callable[[], list[Counted]]:
    """The latencies of what was handed off, in the steps that they are read in: days of UTC, which are counted so."""
    span, of_sent = filters.span, {**filters.lookups, "outcome": SENT}
    chosen: dict[str, Any] = {"step": span.latency_step, "unit": span.unit, **of_sent}
    return counted_later(span.start, span.end, latencies=True, zone=UTC, **chosen)


def _before(filters: Filters, *, has_sent: bool) -> Callable[[], tuple[Totals, Latencies]]:
    """What gives the sums of the span before, and the latencies of what was handed off in it."""
    span = filters.span.before
    chosen = {"latencies": has_sent, "latencies_of": (SENT,), "unit": filters.span.unit, **filters.lookups}
    sent = counted_later(span.start, span.end, by=("outcome",), **chosen)

    def read() -> tuple[Totals, Latencies]:
        rows = sent()
        return _total(_by(rows, lambda _: "").values()), _latencies(rows)

    return read


def totals(filters: Filters) -> tuple[int, int]:
    """How many pushes and receipts have been counted: while they are the same, so is all else that was counted."""
    (found,) = counted(filters.start, filters.end, unit=filters.span.unit, **filters.lookups)
    return found.pushes, found.acked


def latest() -> datetime | None:
    """The hour in which the customer's latest push came, None where none ever did."""
    return Hour.objects.filter(grain=Grain.CUSTOMER).order_by("-at").values_list("at", flat=True).first()


def percentiles(histogram: Mapping[int, int]) -> tuple[int | None, ...]:
    """The latencies of SHARES in milliseconds."""
    return percentiles_of(histogram, SHARES)


def _by(rows: Iterable[Counted], key: Any) -> dict[Any, Totals]:
    sums: dict[Any, list[int]] = {}
    for row in rows:
        of = sums.setdefault(key(row), [0, 0, 0, 0])
        of[0] += row.pushes
        of[3] += row.acked
        if row.of["outcome"] == SENT:
            of[1] += row.pushes
        elif row.of["outcome"] == GONE:
            of[2] += row.pushes
    return {name: Totals(*of) for name, of in sums.items()}


def _total(parts: Iterable[Totals]) -> Totals:
    parts = list(parts)
    return Totals(
        sum(part.pushes for part in parts),
        sum(part.sent for part in parts),
        sum(part.gone for part in parts),
        sum(part.acked for part in parts),
    )


def _latencies(rows: Sequence[Counted]) -> Latencies:
    handoffs, receipts = ([row.handoffs for row in rows], [row.receipts for row in rows])
    return Latencies(*(of_text(",".join(filter(None, texts))) for texts in (handoffs, receipts)))


def _added_up(parts: Iterable[Latencies]) -> Latencies:
    handoff: Histogram = {}
    receipt: Histogram = {}
    for part in parts:
        add_up(handoff, part.handoff)
        add_up(receipt, part.receipt)
    return Latencies(handoff, receipt)


def _latencies_by_step(rows: Iterable[Counted]) -> dict[datetime, Latencies]:
    by_step: dict[datetime, list[Counted]] = {}
    for row in rows:
        if row.at is not None:
            by_step.setdefault(row.at, []).append(row)
    return {at: _latencies(of) for at, of in by_step.items()}


def _splits(filters: Filters, servers: int) -> Callable[[list[Counted]], dict[str, Mapping[Any, Totals]]]:
    """What gives, with the rows of the span, the sums by each dimension: those with most failures first, then with most
    pushes."""
    # One look for all three, as long as they have not too many values to be told apart at once.
    at_once = (("server_id", "app_id", "type"),) if servers <= SERVERS_AT_ONCE else (("server_id",), ("app_id", "type"))
    chosen = {"outcomes": (SENT, GONE), "unit": filters.span.unit, **filters.lookups}
    sent = [split_later(filters.start, filters.end, names, **chosen) for names in at_once]

    def read(rows: list[Counted]) -> dict[str, Mapping[Any, Totals]]:
        found = {"family": _by(rows, lambda row: row.of["family"])}
        for parts in sent:
            for name, sums in parts().items():
                found[name] = {
                    value: Totals(pushes, handed, gone, acked) for value, (pushes, acked, handed, gone) in sums.items()
                }
        return {name: _worst_first(found[name]) for name in DIMENSIONS}

    return read


def _taking(splits: Mapping[str, Mapping[Any, Totals]]) -> frozenset[int]:
    """The apps that a provider took a push of."""
    return frozenset(app for app, sums in splits.get("app_id", {}).items() if sums.sent)


def _worst_first(parts: Mapping[Any, Totals]) -> Mapping[Any, Totals]:
    return dict(sorted(parts.items(), key=lambda each: (-each[1].failed, -each[1].pushes, each[0])))


def _failures(filters: Filters, rows: list[Counted]) -> list[Failure]:
    """The failures, the largest first, each with its latest run."""
    sums: Counter[tuple[str, str]] = Counter()
    moments: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if row.of["outcome"] in FAILED:
            cause = row.of["code"], row.of["attribution"]
            sums[cause] += row.pushes
            moments.setdefault(cause, []).extend(row.moments)
    if not sums:
        return []
    lookups = {name: value for name, value in filters.lookups.items() if not name.startswith("outcome")}
    found = [
        Failure(*cause, count, run_of(moments[cause], filters.start, filters.span.unit))
        for cause, count in sums.most_common()
    ]
    return [_exactly(filters, found[0], lookups), *found[1:]]


def _exactly(filters: Filters, failure: Failure, lookups: dict[str, Any]) -> Failure:
    """The same, since the minute if only the hour was known; minutes are not kept for as long as hours."""
    run = failure.run
    if run is None or run.from_the_start or filters.span.unit == MINUTE:
        return failure
    chosen = {**lookups, "code": failure.code, "attribution": failure.attribution}
    minutes = counted(run.first, run.first + HOUR, step=MINUTE, unit=MINUTE, **chosen)
    return failure._replace(run=run._replace(first=minutes[0].at)) if minutes and minutes[0].at else failure


def _devices(filters: Filters, found: Totals, codes: Sequence[str]) -> Devices | None:
    """The devices of the failures with these codes, of the log itself: only where it has few rows to be read."""
    if filters.start < timezone.now() - timedelta(days=settings.RETENTION_DAYS):
        return None
    # Each of these has a row of its own; refused ones may share one, so that rows are no more than pushes.
    if found.sent >= LOG_ROWS_MOST:
        return None
    rows = Delivery.objects.filter(filters.of_log())
    if found.pushes >= LOG_ROWS_MOST and count_up_to(rows, LOG_ROWS_MOST) == LOG_ROWS_MOST:
        return None
    # One look for all: to plan one over a month of days takes PostgreSQL some milliseconds.
    by_code = {
        f"failed_{number}": Count("device", distinct=True, filter=Q(outcome__in=FAILED, code=code))
        for number, code in enumerate(codes)
    }
    gone = Count("device", distinct=True, filter=Q(outcome=GONE))
    sums = rows.order_by().aggregate(all=Count("device", distinct=True), gone=gone, **by_code)
    return Devices(
        sums["all"], sums["gone"], {code: sums[name] for name, code in zip(by_code, codes, strict=True) if sums[name]}
    )
