"""Reading the rollups: sums over a span of time by any of their dimensions, in steps or as a whole.

    counted(day_ago, now, by=("outcome", "code"))                    # the last day by what became of the pushes
    counted(day_ago, now, step=timedelta(minutes=10), latencies=True, outcome="sent")
    counted(day_ago, now, by=("server_id",), family="apns")          # the iPhones' pushes by server
    counted(hour_ago, now, service=True, by=("family", "attribution"))

The rows are those of the scope in force (tenants/scope.py): in a customer's pages that customer's. Invariant: no push
is counted twice, for a query reads one grain of one unit, and where several queries add up their times do not overlap.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final, NamedTuple

from delivery.models import Grain
from delivery.rollups import buckets, queries
from delivery.rollups.expressions import BITS
from delivery.rollups.queries import DAY, HOUR, MINUTE, Shape, Times, midnights
from tenants.prepared import Rows

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "Counted",
    "counted",
    "counted_later",
    "floor",
    "midnights",
    "moment",
    "split",
    "split_later",
    "unit_of",
]

# Longer spans are read by the hour.
MINUTES_UP_TO: Final = timedelta(hours=25)
# From so many whole hours on a sum by the minute takes them from the hours' rows, which are a fraction of them.
HOURS_FROM: Final = 3
# From so many whole days (of UTC) on a sum by the hour takes them from the days' rows.
DAYS_FROM: Final = 2
# What only the finer grain tells apart.
DETAILS: Final = frozenset(("server_id", "app_id", "type"))


_Row = tuple[tuple[Any, ...], int, int, str, str, Sequence[int]]


class Counted(NamedTuple):
    """Sums: `at` is when their step begins (None without steps), `of` the value of each dimension asked for.
    `moments`: where they were asked for, when the units began in which there were any, in seconds since 1970, in no
    order. `handoffs` and `receipts`: the latencies, if they were asked for, as PostgreSQL has joined their histograms
    (buckets.of_text); joined by commas those of several rows add up."""

    at: datetime | None
    of: dict[str, Any]
    pushes: int
    acked: int
    handoffs: str = ""
    receipts: str = ""
    moments: Sequence[int] = ()

    @property
    def handoff(self) -> Mapping[int, int]:
        """The latencies until the pushes were handed off."""
        return buckets.of_text(self.handoffs)

    @property
    def receipt(self) -> Mapping[int, int]:
        """The latencies until a phone acknowledged them."""
        return buckets.of_text(self.receipts)


def unit_of(start: datetime, end: datetime) -> timedelta:
    """The unit that a span is read by: a minute or an hour."""
    return MINUTE if end - start <= MINUTES_UP_TO else HOUR


def floor(moment: datetime, unit: timedelta) -> datetime:
    """When the minute, hour or day (in UTC) began that a moment (in UTC) is in."""
    hour, minute = 0 if unit == DAY else moment.hour, moment.minute if unit == MINUTE else 0
    return moment.replace(hour=hour, minute=minute, second=0, microsecond=0)


def counted(start: datetime, end: datetime, **chosen: Any) -> list[Counted]:
    """What counted_later() gives, at once."""
    return counted_later(start, end, **chosen)()


def counted_later(
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
) -> Callable[[], list[Counted]]:
    """Sums of the pushes accepted from the unit that `start` is in to before `end`, ascending by step.

    by: dimensions (server_id, app_id, family, type, outcome, code, attribution, counts; customer_id for staff);
    filters: Django lookups on the same; service: all customers together, where there is no server, app and type; zone:
    steps of a DAY are the days of this time zone, of 23 to 25 hours, the first one from its midnight on; moments_of:
    outcomes, whose moments within each step are told, too (with a step, of a DAY at most); latencies_of: the outcomes
    whose latencies alone are wanted.
    A step of which nothing is known, and a cell that was corrected to nothing, are not in the list.

    Returns what gives them: the queries are sent now, if they are sent together() (tenants/prepared.py).
    """
    unit = unit or unit_of(start, end)
    of_days = step == DAY and zone is not None
    in_utc = of_days and str(zone) == "UTC"
    if not service:
        named = {*by, *(lookup.partition("__")[0] for lookup in filters)}
        filters["grain"] = Grain.DETAIL if named & DETAILS else Grain.CUSTOMER
    steps: Sequence[datetime] = [floor(start, DAY if in_utc else unit)]
    if of_days and not in_utc and zone is not None:
        steps = midnights(floor(start, unit), end, zone)
    sent: list[tuple[Shape, Rows]] = []
    # Steps that are days of UTC are read as such, too.
    by_day = not service and not moments_of and (step is None or in_utc)
    parts = _parts(start, end, unit, whole=step is None, by_day=by_day)
    for of_unit, times in parts.items():
        shape = Shape(
            of_unit,
            service,
            tuple(by),
            len(times),
            queries.filters_of(filters),
            step=step,
            in_days=of_days and not in_utc,
            latencies=latencies,
            latencies_of=tuple(latencies_of),
            moments_of=tuple(moments_of),
        )
        sent.append((shape, queries.later(shape, times, steps, filters)))
    return lambda: _together(sent, by, is_stepped=step is not None)


def _together(sent: Sequence[tuple[Shape, Rows]], by: Sequence[str], *, is_stepped: bool) -> list[Counted]:
    """The sums of all parts, of which none has been fetched yet."""
    found: list[_Row] = []
    for shape, rows in sent:
        found += _sums(shape, rows())
    if len(sent) > 1:
        found = _merged(found)
    is_grouped = is_stepped or bool(by)
    sums = [_counted(by, *row, stepped=is_stepped) for row in found if row[1] or row[2] or not is_grouped]
    return sorted(sums, key=_begins) if is_stepped else sums


def _begins(row: Counted) -> datetime:
    assert row.at is not None  # noqa: S101  there are steps
    return row.at


def split(start: datetime, end: datetime, by: Sequence[str], **chosen: Any) -> dict[str, dict[Any, list[int]]]:
    """What split_later() gives, at once."""
    return split_later(start, end, by, **chosen)()


def split_later(
    start: datetime, end: datetime, by: Sequence[str], *, outcomes: Sequence[str], unit: timedelta, **filters: Any
) -> Callable[[], dict[str, dict[Any, list[int]]]]:
    """Sums by each of some dimensions alone, with one look: by its name and value all pushes, those acknowledged, and
    those of each of these outcomes. In the finest grain; else as counted_later() has it."""
    filters["grain"] = Grain.DETAIL
    sent = []
    for of_unit, times in _parts(start, end, unit, whole=True, by_day=True).items():
        named = queries.filters_of(filters)
        shape = Shape(of_unit, False, tuple(by), len(times), named, outcomes=tuple(outcomes))
        sent.append(queries.later(shape, times, (), filters))
    return lambda: _split(sent, by)


def _split(sent: Iterable[Rows], by: Sequence[str]) -> dict[str, dict[Any, list[int]]]:
    found: dict[str, dict[Any, list[int]]] = {name: {} for name in by}
    for rows in sent:
        for row in rows():
            sums = row[len(by) :]
            for name, value in zip(by, row, strict=False):
                into = found[name].setdefault(value, [0] * len(sums))
                for place, number in enumerate(sums):
                    into[place] += number
    return found


def _parts(start: datetime, end: datetime, unit: timedelta, *, whole: bool, by_day: bool) -> dict[timedelta, Times]:
    """What of a span is read by which unit: of one that is wanted as a whole, its hours and the minutes besides; and in
    the place of hours, its days and the hours besides."""
    start = floor(start, unit)
    parts: dict[timedelta, Times] = {unit: [(start, end)]}
    if whole and unit == MINUTE:
        parts = _in_longer(start, end, MINUTE, HOUR, HOURS_FROM)
    if by_day and HOUR in parts:
        ((first, last),) = parts.pop(HOUR)
        parts |= _in_longer(first, last, HOUR, DAY, DAYS_FROM)
    return parts


def _in_longer(
    start: datetime, end: datetime, unit: timedelta, longer: timedelta, fewest: int
) -> dict[timedelta, Times]:
    """The whole ones of the longer unit, if they are so many, and what of the unit is besides."""
    first, last = floor(start + longer - unit, longer), floor(end, longer)
    if last - first < fewest * longer:
        return {unit: [(start, end)]}
    besides = [(begin, until) for begin, until in ((start, first), (last, end)) if begin < until]
    return {longer: [(first, last)], **({unit: besides} if besides else {})}


def _merged(rows: Iterable[_Row]) -> list[_Row]:
    """The rows of all parts, those of the same key as one."""
    sums: dict[tuple[Any, ...], _Row] = {}
    for row in rows:
        key, pushes, acked, handoffs, receipts, _ = sums.get(row[0], (row[0], 0, 0, "", "", ()))
        sums[key] = key, pushes + row[1], acked + row[2], _and(handoffs, row[3]), _and(receipts, row[4]), ()
    return list(sums.values())


def _and(some: str, more: str) -> str:
    return f"{some},{more}" if some and more else some or more


def _moments(start: int, seconds: int, bits: int) -> Iterator[int]:
    """When the units begin that Moments has found of a step from `start` on; units of so many seconds."""
    first = -(-start // seconds)
    while bits:
        bit = bits & -bits
        yield (first + (bit.bit_length() - 1 - first) % BITS) * seconds
        bits ^= bit


def _sums(shape: Shape, rows: Iterable[tuple[Any, ...]]) -> Iterator[_Row]:
    """A row of PostgreSQL's for each of ours: the minutes of a day are thousands, with few latencies each."""
    keys = len(shape.by) + (shape.step is not None)
    seconds = int(shape.unit.total_seconds())
    for row in rows:
        pushes, acked, *more = row[keys:]
        bits = more.pop() if shape.moments_of else None
        handoffs, receipts = more if shape.latencies else ("", "")
        moments = [*_moments(row[0], seconds, bits)] if bits else ()
        yield row[:keys], pushes or 0, acked or 0, handoffs or "", receipts or "", moments


def _counted(
    by: Sequence[str],
    values: tuple[Any, ...],
    pushes: int,
    acked: int,
    handoffs: str,
    receipts: str,
    moments: Sequence[int],
    *,
    stepped: bool,
) -> Counted:
    at = moment(values[0]) if stepped else None
    of = dict(zip(by, values[1:] if stepped else values, strict=True))
    return Counted(at, of, pushes, acked, handoffs, receipts, moments)


# Of one page, and some more: the same steps come back with each row.
@lru_cache(maxsize=4096)
def moment(seconds: int) -> datetime:
    """The moment (UTC) of so many seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
