"""All customers side by side, for the staff: who is in trouble, who pushes most, who has fallen silent.

In the scope of everything (tenants/scope.py staff()). Sums over the last 24 hours are read once a minute for everybody.
Raises django.db.Error.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from delivery.insight import kept
from delivery.models import Grain, Hour, Minute
from delivery.outcomes.verdict import Outcome
from delivery.rollups.reading import HOUR, Counted, counted, floor
from tenants.models import Customer

DAY: Final = timedelta(hours=24)
# By which nobody has to do anything: the push was taken, or its device is gone and the server knows.
FINE: Final = frozenset((Outcome.SENT.value, Outcome.GONE.value))
# How far back a customer's pushes are looked for before it counts as one that never was.
BEFORE: Final = timedelta(days=30)
# The share of an hour's pushes from which on the hour counts as one of trouble.
TROUBLED_HOUR: Final = 0.05


@dataclass(frozen=True)
class Health:
    """A customer's pushes of 24 hours: all, those handed off, those that a phone acknowledged, the
    failed ones by whose fault it was, and by code; `before`: all of the 24 hours before that."""

    customer: int
    pushes: int = 0
    sent: int = 0
    acked: int = 0
    before: int = 0
    ours: int = 0
    provider: int = 0
    own: int = 0
    device: int = 0
    codes: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Those that somebody can do something about: all but the devices'."""
        return self.ours + self.provider + self.own

    @property
    def share(self) -> float:
        """The failed ones of all, 0 to 1."""
        return self.failed / self.pushes if self.pushes else 0.0

    @property
    def trouble(self) -> float:
        """How bad it is: many pushes that fail weigh as much as a large share of few."""
        return self.failed * self.share

    @property
    def worst(self) -> str:
        """The code that most of the failed ones have; "" for none."""
        return max(self.codes, key=lambda code: self.codes[code], default="")

    def failed_by(self, whose: str) -> int:
        """The failed ones that are "ours", the "provider"'s or the customer's "own"; "" for all of them."""
        found: int = getattr(self, whose or "failed")
        return found


@dataclass(frozen=True)
class Silent:
    """A customer that has pushed, and does not any more."""

    customer: Customer
    last_at: datetime
    before: int


def health() -> list[Health]:
    """All customers with pushes in the last 48 hours, in no order; without the service's own."""
    found: list[Health] = kept.kept("customers:health", lambda: _read(timezone.now()))
    return found


def troubled_since(customers: Iterable[int], now: datetime | None = None) -> dict[int, datetime]:
    """Since which hour of the last 24 each of some customers has been in trouble without a break, if it is in it now.

    An hour without pushes is no break.
    """
    now = now or timezone.now()
    rows = counted(
        now - DAY,
        now,
        by=("customer_id", "outcome", "attribution"),
        step=HOUR,
        unit=HOUR,
        customer_id__in=list(customers),
    )
    hours: dict[int, dict[datetime, tuple[int, int]]] = {}
    for row in rows:
        of, at = hours.setdefault(row.of["customer_id"], {}), row.at or now
        pushes, failed = of.get(at, (0, 0))
        of[at] = pushes + row.pushes, failed + (row.pushes if _failed(row) else 0)
    return {customer: since for customer, of in hours.items() if (since := _since(of)) is not None}


def _since(hours: dict[datetime, tuple[int, int]]) -> datetime | None:
    since = None
    for at, (pushes, failed) in sorted(hours.items(), reverse=True):
        if failed < pushes * TROUBLED_HOUR or not failed:
            break
        since = at
    return since


def silent(span: timedelta, now: datetime | None = None) -> list[Silent]:
    """The customers that have pushed in the last 30 days, and not for this long; the latest first, to the hour.
    `before` is not known yet (in_detail)."""
    now = now or timezone.now()
    hours = Hour.objects.filter(customer_id=OuterRef("pk"), grain=Grain.CUSTOMER, at__gte=floor(now - BEFORE, HOUR))
    customers = Customer.objects.annotate(last=Subquery(hours.order_by("-at").values("at")[:1])).order_by("-last")
    found = customers.filter(last__isnull=False, last__lt=now - span, canary=False)
    return [Silent(customer, getattr(customer, "last"), 0) for customer in found]  # noqa: B009  annotated


def in_detail(rows: Iterable[Silent], now: datetime | None = None) -> list[Silent]:
    """The same with the minute of the last push, and how many there were in the last 30 days."""
    now, found = now or timezone.now(), {row.customer.pk: row for row in rows}
    minutes = Minute.objects.filter(customer_id=OuterRef("pk"), grain=Grain.CUSTOMER, at__gte=floor(now - BEFORE, HOUR))
    last = Subquery(minutes.order_by("-at").values("at")[:1])
    for pk, at in Customer.objects.filter(pk__in=found).annotate(last=last).values_list("pk", "last"):
        found[pk] = replace(found[pk], last_at=at or found[pk].last_at)
    for row in counted(now - BEFORE, now, by=("customer_id",), unit=HOUR, customer_id__in=list(found)):
        found[row.of["customer_id"]] = replace(found[row.of["customer_id"]], before=row.pushes)
    return list(found.values())


def _read(now: datetime) -> list[Health]:
    found: dict[int, Health] = {}
    day_ago = floor(now - DAY, HOUR)
    for row in counted(day_ago - DAY, day_ago, by=("customer_id",), unit=HOUR):
        found[row.of["customer_id"]] = Health(row.of["customer_id"], before=row.pushes)
    for row in counted(day_ago, now, by=("customer_id", "outcome", "code", "attribution"), unit=HOUR):
        customer = row.of["customer_id"]
        found[customer] = _added(found.get(customer) or Health(customer), row)
    own = Customer.objects.filter(canary=True).values_list("pk", flat=True)
    return [each for customer, each in found.items() if customer not in set(own)]


def _added(health: Health, row: Counted) -> Health:
    changes: dict[str, Any] = {"pushes": health.pushes + row.pushes, "acked": health.acked + row.acked}
    if row.of["outcome"] == Outcome.SENT.value:
        changes["sent"] = health.sent + row.pushes
    if row.of["outcome"] not in FINE:
        whose = {"customer": "own"}.get(row.of["attribution"], row.of["attribution"])
        changes[whose] = getattr(health, whose) + row.pushes
        if _failed(row):
            code = row.of["code"]
            changes["codes"] = {**health.codes, code: health.codes.get(code, 0) + row.pushes}
    return replace(health, **changes)


def _failed(row: Counted) -> bool:
    return row.of["outcome"] not in FINE and row.of["attribution"] != "device"
