"""The queries that the rollups are read by, each shape of them made once in a process (tenants/prepared.py).

A shape is what makes another SQL: which table, which dimensions, which steps, which filters. Moments and the filters'
values are filled in at each run.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache, reduce
from operator import or_
from typing import Any, Final, NamedTuple

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Aggregate,
    Case,
    DateTimeField,
    DurationField,
    F,
    Func,
    IntegerField,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.lookups import In

from delivery.models import CustomerCounts, Day, Hour, Minute, ServiceHour, ServiceMinute
from delivery.rollups.expressions import Joined, Moments, Seconds, Total
from tenants.prepared import Given, Prepared, Rows

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# Shapes that are kept, of a few kilobytes each; the pages have some thirty, and as many for each filter that is set.
SHAPES_KEPT: Final = 256
# Values of one filter up to which a query is kept: each number of them is a shape.
VALUES_MOST: Final = 50
_WHOLE: Final = "whole"
_STEP: Final = "step_at"

Times = list[tuple[datetime, datetime]]


class Shape(NamedTuple):
    """What tells queries apart. times: how many spans; step: of a DAY with `in_days`, whose beginnings are given, else
    even ones from a given moment on; sums: of all that split() or counted() add up; filters: lookups with the number
    of their values, None for one that takes a single value."""

    unit: timedelta
    service: bool
    by: tuple[str, ...]
    times: int
    filters: tuple[tuple[str, int | None], ...]
    step: timedelta | None = None
    in_days: bool = False
    latencies: bool = False
    latencies_of: tuple[str, ...] = ()
    moments_of: tuple[str, ...] = ()
    outcomes: tuple[str, ...] | None = None


def later(shape: Shape, times: Times, steps: Sequence[datetime], filters: Mapping[str, Any]) -> Rows:
    """Send its query, if queries are sent together() (tenants/prepared.py). What is returned gives its rows: the
    beginning of the step in seconds since 1970 if there are steps, the dimensions, the sums.

    steps: with `in_days` the beginnings of the days, ascending, else the first step's.
    """
    values: dict[str, Any] = {}
    few = True
    for number, (start, end) in enumerate(times):
        values[f"start {number}"], values[f"end {number}"] = start, end
    for lookup, count in shape.filters:
        if count is None:
            values[lookup] = filters[lookup]
            continue
        few = few and count <= VALUES_MOST
        values.update((f"{lookup} {number}", value) for number, value in enumerate(filters[lookup]))
    if shape.step is not None:
        values[_STEP] = list(steps) if shape.in_days else steps[0]
    sent = (_kept if few else _prepared)(shape).later(**values)
    return lambda: _named(shape, steps, sent())


def _named(shape: Shape, steps: Sequence[datetime], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    if not shape.by and shape.step is None:
        return [row[1:] for row in rows] or [(None,) * len(_sums(shape))]
    if shape.in_days:
        begins = [int(at.timestamp()) for at in steps]
        return [(begins[row[0] - 1], *row[1:]) for row in rows]
    return rows


def filters_of(filters: Mapping[str, Any]) -> tuple[tuple[str, int | None], ...]:
    """The filters' part of a shape. Raises TypeError for a value that is none: a query, or None."""
    found: list[tuple[str, int | None]] = []
    for lookup, value in sorted(filters.items()):
        if value is None or hasattr(value, "resolve_expression"):
            raise TypeError(f"{lookup} is to be compared with a value")
        found.append((lookup, len(value) if lookup.endswith("__in") else None))
    return tuple(found)


def midnights(start: datetime, end: datetime, zone: tzinfo) -> list[datetime]:
    """When each day from the one that `start` is in to before `end` begins in this zone, ascending: 23 to 25 hours."""
    found: list[datetime] = []
    day = start.astimezone(zone).date()
    while (at := datetime.combine(day, time(), zone).astimezone(UTC)) < end:
        found.append(at)
        day += DAY
    return found


def _prepared(shape: Shape) -> Prepared:
    return Prepared(lambda: _query(shape))


_kept = lru_cache(maxsize=SHAPES_KEPT)(_prepared)


def _query(shape: Shape) -> "QuerySet[Any, Any]":
    """The query set of a shape."""
    model = _model(shape.unit, service=shape.service)
    rows: QuerySet[Any, Any] = model.objects.filter(_within(shape.times), *_conditions(shape))
    keys = [*shape.by]
    if shape.step is not None:
        rows, keys = rows.annotate(**{_STEP: _step(shape.step, in_days=shape.in_days)}), [_STEP, *keys]
    elif not keys:
        # One row for all, also where there is none.
        rows, keys = rows.annotate(**{_WHOLE: Value(1)}), [_WHOLE]
    # Where texts are joined PostgreSQL sorts: by the step first it compares numbers, and hardly ever the dimensions.
    ordered = rows.order_by(*keys[:1] if shape.step is not None and shape.latencies else ())
    found: QuerySet[Any, Any] = ordered.values_list(*keys).annotate(**_sums(shape))
    return found


def _sums(shape: Shape) -> dict[str, Aggregate]:
    each: dict[str, Aggregate] = {"all_pushes": Total("pushes"), "all_acked": Total("acked")}
    for number, outcome in enumerate(shape.outcomes or ()):
        each[f"of_{number}"] = Total(Case(When(outcome=outcome, then=F("pushes")), default=Value(0)))
    if shape.latencies:
        of = Q(outcome__in=shape.latencies_of) if shape.latencies_of else None
        each |= {"handoffs": Joined("handoff", filter=of), "receipts": Joined("receipt", filter=of)}
    if shape.moments_of:
        seconds = int(shape.unit.total_seconds())
        each["moments"] = Moments("at", filter=Q(outcome__in=shape.moments_of), seconds=seconds)
    return each


def _within(times: int) -> Q:
    moment = DateTimeField()
    spans: Iterable[Q] = (
        Q(at__gte=Given(f"start {number}", moment), at__lt=Given(f"end {number}", moment)) for number in range(times)
    )
    return reduce(or_, spans)


def _conditions(shape: Shape) -> list[Any]:
    found: list[Any] = []
    for lookup, count in shape.filters:
        field = TextField()
        if count is None:
            found.append(Q(**{lookup: Given(lookup, field)}))
        else:
            # As it stands: Django takes no expressions among the values where a column is a foreign key.
            values = [Given(f"{lookup} {number}", field) for number in range(count)]
            found.append(In(F(lookup.removesuffix("__in")), values))
    return found


def _step(step: timedelta, *, in_days: bool) -> Func:
    """When the step begins that a row belongs to, in seconds since 1970: thousands of dates would be parsed. Of days
    their number, from 1 on: PostgreSQL takes microseconds for each time that it makes one of a time zone."""
    if in_days:
        given = Given(_STEP, ArrayField(DateTimeField()))
        return Func(F("at"), given, function="width_bucket", output_field=IntegerField())
    width, first = Value(step, DurationField()), Given(_STEP, DateTimeField())
    return Seconds(Func(width, F("at"), first, function="date_bin", output_field=DateTimeField()))


def _model(unit: timedelta, *, service: bool) -> type[CustomerCounts] | type[ServiceMinute] | type[ServiceHour]:
    if service:
        return ServiceMinute if unit == MINUTE else ServiceHour
    return {MINUTE: Minute, HOUR: Hour, DAY: Day}[unit]
