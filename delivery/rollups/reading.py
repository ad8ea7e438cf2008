"""Reading the rollups: sums over a span of time by any of their dimensions, in steps or as a whole.

    counted(day_ago, now, by=("outcome", "code"))                    # the last day by what became of the pushes
    counted(day_ago, now, step=timedelta(minutes=10), latencies=True, outcome="sent")
    counted(day_ago, now, by=("server_id",), family="apns")          # the iPhones' pushes by server
    counted(hour_ago, now, service=True, by=("family", "attribution"))

The rows are those of the scope in force (tenants/scope.py): in a customer's pages that customer's. Invariant: no push
is counted twice, for a query reads one grain of one unit.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from django.db.models import DateTimeField, DurationField, F, Func, QuerySet, Sum, Value
from django.db.models.functions import TruncDay

from delivery.models import CustomerCounts, Grain, Hour, Minute, ServiceHour, ServiceMinute
from delivery.rollups import buckets
from delivery.rollups.buckets import Histogram

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# Longer spans are read by the hour.
MINUTES_UP_TO: Final = timedelta(hours=25)
# What only the finer grain tells apart.
DETAILS: Final = frozenset(("server_id", "app_id", "type"))


class Counted(NamedTuple):
    """Sums: `at` is when their step begins (None without steps), `of` the value of each dimension asked for. The
    histograms are empty unless latencies were asked for."""

    at: datetime | None
    of: dict[str, Any]
    pushes: int
    acked: int
    handoff: Histogram
    receipt: Histogram


def unit_of(start: datetime, end: datetime) -> timedelta:
    """The unit that a span is read by: a minute or an hour."""
    return MINUTE if end - start <= MINUTES_UP_TO else HOUR


def floor(moment: datetime, unit: timedelta) -> datetime:
    """When the minute or hour (in UTC) began that a moment is in."""
    return moment.replace(minute=0 if unit == HOUR else moment.minute, second=0, microsecond=0)


def counted(
    start: datetime,
    end: datetime,
    *,
    by: Sequence[str] = (),
    step: timedelta | None = None,
    latencies: bool = False,
    service: bool = False,
    unit: timedelta | None = None,
    zone: tzinfo | None = None,
    **filters: Any,
) -> list[Counted]:
    """Sums of the pushes accepted from the unit that `start` is in to before `end`, ascending by step.

    by: dimensions (server_id, app_id, family, type, outcome, code, attribution, counts; customer_id for staff);
    filters: Django lookups on the same; service: all customers together, where there is no server, app and type; zone:
    steps of a DAY are the days of this time zone, of 23 to 25 hours, the first one from its midnight on.
    A step of which nothing is known is not in the list.
    """
    unit = unit or unit_of(start, end)
    rows: QuerySet[Any] = _model(unit, service=service).objects.filter(at__gte=floor(start, unit), at__lt=end)
    if not service:
        named = {*by, *(lookup.partition("__")[0] for lookup in filters)}
        rows = rows.filter(grain=Grain.DETAIL if named & DETAILS else Grain.CUSTOMER)
    rows = rows.filter(**filters)
    keys = [*by]
    if step is not None:
        rows = rows.annotate(step_at=_step(step, floor(start, unit), zone))
        keys = ["step_at", *by]
    found = _with_latencies(rows, keys) if latencies else _sums(rows, keys)
    return sorted((_counted(keys, *row) for row in found), key=lambda row: row.at or start)


def _step(step: timedelta, origin: datetime, zone: tzinfo | None) -> Func:
    """When the step begins that a row belongs to."""
    if step == DAY and zone is not None:
        return TruncDay("at", tzinfo=zone)
    first = Value(origin, DateTimeField())
    return Func(Value(step, DurationField()), F("at"), first, function="date_bin", output_field=DateTimeField())


def _model(unit: timedelta, *, service: bool) -> type[CustomerCounts] | type[ServiceMinute] | type[ServiceHour]:
    if service:
        return ServiceMinute if unit == MINUTE else ServiceHour
    return Minute if unit == MINUTE else Hour


def _sums(rows: "QuerySet[Any]", keys: list[str]) -> Iterable[tuple[tuple[Any, ...], int, int, Histogram, Histogram]]:
    if not keys:
        total = rows.aggregate(pushes=Sum("pushes"), acked=Sum("acked"))
        yield (), total["pushes"] or 0, total["acked"] or 0, {}, {}
        return
    summed = rows.order_by().values_list(*keys).annotate(Sum("pushes"), Sum("acked"))
    for *values, pushes, acked in summed:
        yield tuple(values), int(pushes), int(acked), {}, {}


def _with_latencies(
    rows: "QuerySet[Any]", keys: list[str]
) -> Iterable[tuple[tuple[Any, ...], int, int, Histogram, Histogram]]:
    sums: dict[tuple[Any, ...], tuple[list[int], Histogram, Histogram]] = {}
    if not keys:
        sums[()] = [0, 0], {}, {}
    for *values, pushes, acked, handoff, receipt in rows.order_by().values_list(
        *keys, "pushes", "acked", "handoff", "receipt"
    ):
        totals, handoffs, receipts = sums.setdefault(tuple(values), ([0, 0], {}, {}))
        totals[0] += pushes
        totals[1] += acked
        buckets.add(handoffs, handoff)
        buckets.add(receipts, receipt)
    for key, ((all_pushes, all_acked), handoffs, receipts) in sums.items():
        yield key, all_pushes, all_acked, handoffs, receipts


def _counted(
    keys: list[str], values: tuple[Any, ...], pushes: int, acked: int, handoff: Histogram, receipt: Histogram
) -> Counted:
    of = dict(zip(keys, values, strict=True))
    return Counted(of.pop("step_at", None), of, pushes, acked, handoff, receipt)
