"""Finding single pushes in the log: by trace, ack, post or device, over all days, each by an index of its own.

Invariant: no query here reads a day from its beginning to its end.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.db.models import QuerySet, Sum

from delivery.models import Delivery, Receipt
from tenants import keyset
from tenants.keyset import Cursor

PAGE: Final = 50
# Pushes of a post up to which their receipts are counted.
RECEIPTS_MOST: Final = 5_000


class Split(NamedTuple):
    """How many pushes have one outcome, by its code and whose it is."""

    outcome: str
    code: str
    attribution: str
    pushes: int


def named(rows: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    """With what their ids stand for."""
    return rows.select_related("customer", "server", "key", "app")


def by_trace(trace: str) -> Delivery | None:
    """The push of this trace id."""
    return named(Delivery.objects.filter(trace=trace)).order_by().first()


def by_ack(ack_id: str) -> "QuerySet[Delivery]":
    """The pushes with this ack id: one, unless a server has sent it again."""
    return Delivery.objects.filter(ack_id=ack_id)


def of_post(post_id: str) -> "QuerySet[Delivery]":
    """The pushes that tell of this post."""
    return Delivery.objects.filter(post_id=post_id)


def of_device(fingerprint: str) -> "QuerySet[Delivery]":
    """The pushes to the device of this fingerprint."""
    return Delivery.objects.filter(device=fingerprint)


def page(rows: "QuerySet[Delivery]", after: Cursor | None) -> tuple[list[Delivery], Cursor | None]:
    """The latest pushes of `rows` behind a cursor, and where the next page begins."""
    if after is not None:
        rows = rows.filter(keyset.behind(after, "accepted_at", "trace"))
    found = list(named(rows).order_by("-accepted_at", "-trace")[: PAGE + 1])
    more = found[:PAGE]
    return more, Cursor(more[-1].accepted_at, more[-1].trace) if len(found) > PAGE else None


def split(rows: "QuerySet[Delivery]") -> list[Split]:
    """What came of pushes: those that were handed off first, then the most frequent."""
    found = rows.order_by().values_list("outcome", "code", "attribution").annotate(pushes=Sum("count"))
    return sorted((Split(*row) for row in found), key=lambda row: (row.outcome != "sent", -row.pushes, row.code))


def acknowledged(rows: "QuerySet[Delivery]") -> int:
    """How many of these pushes a phone has acknowledged; for no more than RECEIPTS_MOST of them."""
    acks = list(rows.order_by().exclude(ack_id=None).values_list("ack_id", flat=True)[:RECEIPTS_MOST])
    return Receipt.objects.filter(ack_id__in=acks).order_by().values("ack_id").distinct().count()


def receipts_of(push: Delivery) -> list[Receipt]:
    """What phones have acknowledged of a push, the first first."""
    return receipts([push]).get(push.trace, [])


def receipts(pushes: Iterable[Delivery]) -> dict[str, list[Receipt]]:
    """What phones have acknowledged of these pushes, by trace."""
    by_ack_id: dict[str, list[Delivery]] = {}
    for push in pushes:
        if push.ack_id:
            by_ack_id.setdefault(push.ack_id, []).append(push)
    found: dict[str, list[Receipt]] = {}
    for receipt in Receipt.objects.filter(ack_id__in=list(by_ack_id)).order_by("received_at"):
        for push in by_ack_id[receipt.ack_id]:
            # One that has not found its push yet is of the server's push with this ack.
            if receipt.trace == push.trace or (receipt.trace is None and receipt.server_id == push.server_id):
                found.setdefault(push.trace, []).append(receipt)
    return found


def forgotten_on(push: Delivery) -> date:
    """The day on which the log forgets a push: it loses whole days of UTC (delivery/log/partitions.py)."""
    return push.accepted_at.date() + timedelta(days=settings.RETENTION_DAYS + 1)


def total(splits: Sequence[Split], outcome: str = "") -> int:
    """How many pushes there are of an outcome, or of all."""
    return sum(row.pushes for row in splits if outcome in ("", row.outcome))
