"""Reading the rollups: sums over a span of time by any of their dimensions, in steps or as a whole.

    counted(day_ago, now, by=("outcome", "code"))                    # the last day by what became of the pushes
    counted(day_ago, now, step=timedelta(minutes=10), latencies=True, outcome="sent")
    counted(day_ago, now, by=("server_id",), family="apns")          # the iPhones' pushes by server
    counted(hour_ago, now, service=True, by=("family", "attribution"))

The rows are those of the scope in force (tenants/scope.py): in a customer's pages that customer's. Invariant: no push
is counted twice, for a query reads one grain of one unit, and where several queries add up their times do not overlap.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache, reduce
from operator import or_
from typing import Any, Final, NamedTuple

from django.db.models import Aggregate, Case, DateTimeField, DurationField, F, Func, Q, QuerySet, Value, When

from delivery.models import CustomerCounts, Day, Grain, Hour, Minute, ServiceHour, ServiceMinute
from delivery.rollups import buckets
from delivery.rollups.buckets import Histogram
from delivery.rollups.expressions import BITS, Joined, Moments, Seconds, Total

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# Longer spans are read by the hour.
MINUTES_UP_TO: Final = timedelta(hours=25)
# From so many whole hours on a sum by the minute takes them from the hours' rows, which are a fraction of them.
HOURS_FROM: Final = 3
# From so many whole days (of UTC) on a sum by the hour takes them from the days' rows.
DAYS_FROM: Final = 2
# What only the finer grain tells apart.
DETAILS: Final = frozenset(("server_id", "app_id", "type"))


_Row = tuple[tuple[Any, ...], int, int, Histogram, Histogram, Sequence[int]]


class Counted(NamedTuple):
    """Sums: `at` is when their step begins (None without steps), `of` the value of each dimension asked for. The
    histograms are empty unless latencies were asked for. `moments`: where they were asked for, when the units began in
    which there were any, in seconds since 1970, in no order."""

    at: datetime | None
    of: dict[str, Any]
    pushes: int
    acked: int
    handoff: Histogram
    receipt: Histogram
    moments: Sequence[int] = ()


def unit_of(start: datetime, end: datetime) -> timedelta:
    """The unit that a span is read by: a minute or an hour."""
    return MINUTE if end - start <= MINUTES_UP_TO else HOUR


def floor(moment: datetime, unit: timedelta) -> datetime:
    """When the minute, hour or day (in UTC) began that a moment (in UTC) is in."""
    hour, minute = 0 if unit == DAY else moment.hour, moment.minute if unit == MINUTE else 0
    return moment.replace(hour=hour, minute=minute, second=0, microsecond=0)


def counted(
    start: datetime,
    end: datetime,
    *,
    by: Sequence[str] = (),
    step: timedelta | None = None,
    latencies: bool = False,
    latencies_of: Sequence[str] = (),
    service: bool = False,
    unit: timedelta | None = None,
    zone: tzinfo | None = None,
    moments_of: Sequence[str] = (),
    **filters: Any,
) -> list[Counted]:
    """Sums of the pushes accepted from the unit that `start` is in to before `end`, ascending by step.

    by: dimensions (server_id, app_id, family, type, outcome, code, attribution, counts; customer_id for staff);
    filters: Django lookups on the same; service: all customers together, where there is no server, app and type; zone:
    steps of a DAY are the days of this time zone, of 23 to 25 hours, the first one from its midnight on; moments_of:
    outcomes, whose moments within each step are told, too (with a step, of a DAY at most); latencies_of: the outcomes
    whose latencies alone are wanted.
    A step of which nothing is known is not in the list.
    """
    unit = unit or unit_of(start, end)
    grain: dict[str, Any] = {}
    if not service:
        named = {*by, *(lookup.partition("__")[0] for lookup in filters)}
        grain["grain"] = Grain.DETAIL if named & DETAILS else Grain.CUSTOMER
    keys = [*by]
    found: list[_Row] = []
    # Steps that are days of UTC are read as such, too.
    by_day = not service and not moments_of and (step is None or (step == DAY and str(zone) == "UTC"))
    parts = _parts(start, end, unit, whole=step is None, by_day=by_day)
    for of_unit, times in parts.items():
        rows: QuerySet[Any] = _model(of_unit, service=service).objects.filter(_within(times), **grain, **filters)
        if step is not None:
            rows = rows.annotate(step_at=_step(step, floor(start, unit), zone))
            keys = ["step_at", *by]
        found += _sums(rows, keys, of_unit, moments_of, latencies=latencies, latencies_of=latencies_of)
    if len(parts) > 1:
        found = _merged(found)
    return sorted((_counted(keys, *row) for row in found), key=lambda row: row.at or start)


def split(
    start: datetime, end: datetime, by: Sequence[str], *, outcomes: Sequence[str], unit: timedelta, **filters: Any
) -> dict[str, dict[Any, list[int]]]:
    """Sums by each of some dimensions alone, with one look: by its name and value all pushes, those acknowledged, and
    those of each of these outcomes. In the finest grain; else as counted() has it."""
    sums = [Total("pushes"), Total("acked")]
    sums += [Total(Case(When(outcome=outcome, then=F("pushes")), default=Value(0))) for outcome in outcomes]
    of = {f"of_{number}": each for number, each in enumerate(sums)}
    found: dict[str, dict[Any, list[int]]] = {name: {} for name in by}
    for of_unit, times in _parts(start, end, unit, whole=True, by_day=True).items():
        detail: dict[str, Any] = {"grain": Grain.DETAIL, **filters}
        rows: QuerySet[Any] = _model(of_unit, service=False).objects.filter(_within(times), **detail)
        for row in rows.order_by().values_list(*by).annotate(**of):
            for name, value in zip(by, row, strict=False):
                into = found[name].setdefault(value, [0] * len(sums))
                for place, number in enumerate(row[len(by) :]):
                    into[place] += number
    return found


_Times = list[tuple[datetime, datetime]]


def _parts(start: datetime, end: datetime, unit: timedelta, *, whole: bool, by_day: bool) -> dict[timedelta, _Times]:
    """What of a span is read by which unit: of one that is wanted as a whole, its hours and the minutes besides; and in
    the place of hours, its days and the hours besides."""
    start = floor(start, unit)
    parts: dict[timedelta, _Times] = {unit: [(start, end)]}
    if whole and unit == MINUTE:
        parts = _in_longer(start, end, MINUTE, HOUR, HOURS_FROM)
    if by_day and HOUR in parts:
        ((first, last),) = parts.pop(HOUR)
        parts |= _in_longer(first, last, HOUR, DAY, DAYS_FROM)
    return parts


def _in_longer(
    start: datetime, end: datetime, unit: timedelta, longer: timedelta, fewest: int
) -> dict[timedelta, _Times]:
    """The whole ones of the longer unit, if they are so many, and what of the unit is besides."""
    first, last = floor(start + longer - unit, longer), floor(end, longer)
    if last - first < fewest * longer:
        return {unit: [(start, end)]}
    besides = [(begin, until) for begin, until in ((start, first), (last, end)) if begin < until]
    return {longer: [(first, last)], **({unit: besides} if besides else {})}


def _within(times: Iterable[tuple[datetime, datetime]]) -> Q:
    return reduce(or_, (Q(at__gte=begin, at__lt=until) for begin, until in times))


def _merged(rows: Iterable[_Row]) -> list[_Row]:
    """The rows of all parts, those of the same key as one."""
    sums: dict[tuple[Any, ...], _Row] = {}
    for row in rows:
        key, pushes, acked, handoff, receipt, _ = sums.get(row[0], (row[0], 0, 0, {}, {}, ()))
        for into, more in ((handoff, row[3]), (receipt, row[4])):
            for bucket, count in more.items():
                into[bucket] = into.get(bucket, 0) + count
        sums[key] = key, pushes + row[1], acked + row[2], handoff, receipt, ()
    return list(sums.values())


def _step(step: timedelta, origin: datetime, zone: tzinfo | None) -> Func:
    """When the step begins that a row belongs to, in seconds since 1970: thousands of dates would be parsed."""
    begins: Func
    if step == DAY and zone is not None:
        # With its zone, so that it is the moment of midnight there.
        begins = Func(Value("day"), F("at"), Value(str(zone)), function="date_trunc", output_field=DateTimeField())
    else:
        first = Value(origin, DateTimeField())
        width = Value(step, DurationField())
        begins = Func(width, F("at"), first, function="date_bin", output_field=DateTimeField())
    return Seconds(begins)


def _moments(start: int, seconds: int, bits: int) -> Iterator[int]:
    """When the units begin that Moments has found of a step from `start` on; units of so many seconds."""
    first = -(-start // seconds)
    while bits:
        bit = bits & -bits
        yield (first + (bit.bit_length() - 1 - first) % BITS) * seconds
        bits ^= bit


def _model(unit: timedelta, *, service: bool) -> type[CustomerCounts] | type[ServiceMinute] | type[ServiceHour]:
    if service:
        return ServiceMinute if unit == MINUTE else ServiceHour
    return {MINUTE: Minute, HOUR: Hour, DAY: Day}[unit]


def _sums(
    rows: "QuerySet[Any]",
    keys: list[str],
    unit: timedelta,
    moments_of: Sequence[str],
    *,
    latencies: bool,
    latencies_of: Sequence[str],
) -> Iterator[_Row]:
    """A row of PostgreSQL's for each of ours: the minutes of a day are thousands, with few latencies each."""
    each: dict[str, Aggregate] = {"all_pushes": Total("pushes"), "all_acked": Total("acked")}
    if latencies:
        of = Q(outcome__in=latencies_of) if latencies_of else None
        each |= {"handoffs": Joined("handoff", filter=of), "receipts": Joined("receipt", filter=of)}
    seconds = int(unit.total_seconds())
    if moments_of:
        each["moments"] = Moments("at", filter=Q(outcome__in=moments_of), seconds=seconds)
    if not keys:
        found = [tuple(rows.aggregate(**each).values())]
    else:
        found = rows.order_by().values_list(*keys).annotate(**each)
    for row in found:
        values, (pushes, acked, *more) = row[: len(keys)], row[len(keys) :]
        bits = more.pop() if moments_of else None
        handoff, receipt = (buckets.of_text(each) if each else {} for each in more) if latencies else ({}, {})
        yield values, pushes or 0, acked or 0, handoff, receipt, [*_moments(row[0], seconds, bits)] if bits else ()


def _counted(
    keys: list[str],
    values: tuple[Any, ...],
    pushes: int,
    acked: int,
    handoff: Histogram,
    receipt: Histogram,
    moments: Sequence[int],
) -> Counted:
    of = dict(zip(keys, values, strict=True))
    seconds = of.pop("step_at", None)
    return Counted(None if seconds is None else moment(seconds), of, pushes, acked, handoff, receipt, moments)


# Of one page, and some more: the same steps come back with each row.
@lru_cache(maxsize=4096)
def moment(seconds: int) -> datetime:
    """The moment (UTC) of so many seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
