"""Finding single pushes in the log: by trace, ack, post or device, over all days, each by an index of its own.

Invariant: no query here reads a day from its beginning to its end, nor all that a customer has of it.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.db.models import Max, Min, QuerySet, Sum

from delivery.log import acknowledged, looking
from delivery.models import Delivery
from tenants.keyset import Cursor

PAGE: Final = 50
# Pushes of a post up to which their receipts are counted.
RECEIPTS_MOST: Final = 5_000


class Split(NamedTuple):
    """How many pushes have one outcome, by its code and whose it is, and when the first and the last of them came."""

    outcome: str
    code: str
    attribution: str
    pushes: int
    first_at: datetime
    last_at: datetime


def named(rows: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    """With what their ids stand for."""
    return rows.select_related("customer", "server", "key", "app")


def by_trace(trace: str) -> Delivery | None:
    """The push of this trace id."""
    return next(iter(looking.latest(named(Delivery.by_id.filter(trace=trace)), 1)), None)


def by_ack(ack_id: str) -> "QuerySet[Delivery]":
    """The pushes with this ack id: one, unless a server has sent it again."""
    return Delivery.by_id.filter(ack_id=ack_id)


def of_post(post_id: str) -> "QuerySet[Delivery]":
    """The pushes that tell of this post."""
    return Delivery.by_id.filter(post_id=post_id)


def of_device(fingerprint: str) -> "QuerySet[Delivery]":
    """The pushes to the device of this fingerprint."""
    return Delivery.by_id.filter(device=fingerprint)


def some(rows: "QuerySet[Delivery]") -> list[Delivery]:
    """The latest of the rows, and another one that came within a day of it: what tells one from several, as a server
    sends a push again within minutes."""
    found = looking.latest(rows.only("trace", "accepted_at"), 1)
    if not found:
        return []
    others = rows.filter(looking.near(found[0].accepted_at)).exclude(trace=found[0].trace)
    return [*found, *others.only("trace", "accepted_at").order_by()[:1]]


def page(
    rows: "QuerySet[Delivery]", after: Cursor | None, since: datetime | None = None
) -> tuple[list[Delivery], Cursor | None]:
    """The latest pushes of `rows` behind a cursor, and where the next page begins; since: as of looking.latest()."""
    found = looking.latest(named(rows), PAGE + 1, after, since)
    more = found[:PAGE]
    return more, Cursor(more[-1].accepted_at, more[-1].trace) if len(found) > PAGE else None


def split(rows: "QuerySet[Delivery]") -> list[Split]:
    """What came of pushes: those that were handed off first, then the most frequent."""
    by_end = rows.order_by().values_list("outcome", "code", "attribution")
    found = by_end.annotate(pushes=Sum("count"), first=Min("accepted_at"), last=Max("accepted_at"))
    return sorted((Split(*row) for row in found), key=lambda row: (row.outcome != "sent", -row.pushes, row.code))


def within(rows: "QuerySet[Delivery]", splits: Sequence[Split]) -> "QuerySet[Delivery]":
    """The same rows, of which the split is known: no other day is looked at again."""
    first, last = min(row.first_at for row in splits), max(row.last_at for row in splits)
    return rows.filter(accepted_at__gte=first, accepted_at__lte=last)


def count_acknowledged(rows: "QuerySet[Delivery]") -> int:
    """How many of these pushes a phone has acknowledged; of no more than RECEIPTS_MOST of them."""
    needed = rows.order_by().exclude(ack_id=None).only("trace", "accepted_at", "ack_id", "server")
    return len(acknowledged.receipts(needed[:RECEIPTS_MOST]))


def forgotten_on(push: Delivery) -> date:
    """The day on which the log forgets a push: it loses whole days of UTC (delivery/log/partitions.py)."""
    return push.accepted_at.date() + timedelta(days=settings.RETENTION_DAYS + 1)


def total(splits: Sequence[Split], outcome: str = "") -> int:
    """How many pushes there are of an outcome, or of all."""
    return sum(row.pushes for row in splits if outcome in ("", row.outcome))
