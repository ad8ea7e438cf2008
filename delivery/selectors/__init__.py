"""Reading the delivery log: the only way for pages and for billing. Invariant: no query here counts a whole table.

The log is partitioned by day, so that a bound on accepted_at is what makes a query quick; callers give one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connections
from django.db.models import Q, QuerySet

from delivery.log.rows import KEPT
from delivery.models import Delivery, Receipt
from delivery.outcomes.verdict import Outcome

DAY: Final = timedelta(days=1)
# By how much a receipt may seem to be older than its push: whoever set a clock back has answered for both.
CLOCKS: Final = timedelta(days=1)
OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)


def since(moment: datetime) -> "QuerySet[Delivery]":
    """The pushes accepted at or after `moment`, the latest first, with what their ids stand for."""
    rows = Delivery.objects.filter(accepted_at__gte=moment)
    return rows.select_related("customer", "server__customer", "key", "app__customer").order_by("-accepted_at")


def find(search: str) -> "QuerySet[Delivery]":
    """The pushes with this trace id, ack_id or post_id, of any day: each is found by an index.

    What is no such id is none of any push, also "": ids of pushes without one are not looked for.
    """
    text = search.replace("\0", "")[:KEPT]
    if not text:
        return Delivery.objects.none()
    return Delivery.objects.filter(Q(trace=text) | Q(ack_id=text) | Q(post_id=text))


def receipts(push: Delivery) -> "QuerySet[Receipt]":
    """What phones have acknowledged of this push, the first one first; later ones are `repeated`."""
    found = Receipt.objects.filter(customer_id=push.customer_id, push_at=push.accepted_at, trace=push.trace)
    return found.filter(received_at__gte=push.accepted_at - CLOCKS).order_by("repeated", "received_at")


def of_customer(customer_id: int, after: tuple[datetime, str] | None = None) -> "QuerySet[Delivery]":
    """All pushes of a customer, the oldest first, those after one of this accepted_at and trace."""
    rows = Delivery.objects.filter(customer_id=customer_id)
    if after is not None:
        # The first condition is what the index, and leaving out whole days, are good for.
        rows = rows.filter(accepted_at__gte=after[0]).filter(Q(accepted_at__gt=after[0]) | Q(trace__gt=after[1]))
    return rows.order_by("accepted_at", "trace")


def receipts_of_customer(customer_id: int, after: tuple[datetime, str] | None = None) -> "QuerySet[Receipt]":
    """All receipts of a customer, the oldest first, those after one of this received_at and id."""
    rows = Receipt.objects.filter(customer_id=customer_id)
    if after is not None:
        rows = rows.filter(received_at__gte=after[0]).filter(Q(received_at__gt=after[0]) | Q(id__gt=after[1]))
    return rows.order_by("received_at", "id")


def count_up_to(rows: "QuerySet[Any]", most: int) -> int:
    """How many rows there are, counted no further than `most`."""
    return rows.order_by()[:most].count()


def estimate(rows: "QuerySet[Any]") -> int:
    """How many rows the planner expects, from the statistics of the tables: costs the planning and no reading."""
    sql, parameters = rows.order_by().values("pk").query.sql_with_params()
    with connections[rows.db].cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        plan: Sequence[Any] = cursor.fetchone()[0]
    return int(plan[0]["Plan"]["Plan Rows"])
