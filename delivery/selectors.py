"""Reading the delivery log: the only way for pages and for billing. Invariant: no query here counts a whole table.

The log is partitioned by day, so that a bound on accepted_at is what makes a query quick; callers give one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connections
from django.db.models import Q, QuerySet

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
    """The pushes with this trace id or this ack_id, of any day; by trace an index finds them, ack ids are read for."""
    return Delivery.objects.filter(trace=search) | Delivery.objects.filter(ack_id=search)


def receipts(push: Delivery) -> "QuerySet[Receipt]":
    """What phones have acknowledged of this push, the first one first; later ones are `repeated`."""
    if not push.ack_id:
        return Receipt.objects.none()
    # By its ack an index finds it; two pushes may have the same.
    found = Receipt.objects.filter(customer_id=push.customer_id, ack_id=push.ack_id, trace=push.trace)
    return found.filter(received_at__gte=push.accepted_at - CLOCKS).order_by("repeated", "received_at")


def of_customer(customer_id: int, after: tuple[datetime, str] | None = None) -> "QuerySet[Delivery]":
    """All pushes of a customer, the oldest first, those after one of this accepted_at and trace."""
    rows = Delivery.objects.filter(customer_id=customer_id)
    if after is not None:
        # The first condition is what the index, and leaving out whole days, are good for.
        rows = rows.filter(accepted_at__gte=after[0]).filter(Q(accepted_at__gt=after[0]) | Q(trace__gt=after[1]))
    return rows.order_by("accepted_at", "trace")


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
