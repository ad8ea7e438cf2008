"""How PostgreSQL finds single pushes: by an index in each day, also for the pages' role, in a log that is filled."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from delivery.insight import pushes
from delivery.log.rows import COPY, row
from delivery.models import Delivery, Receipt
from delivery.protocol.wire import Push
from tenants import scope
from tenants.keyset import Cursor
from tests.browsing import tenant
from tests.delivery.logged_pushes import SENT
from tests.roles import PAGES, acting_as

pytestmark = pytest.mark.django_db
ROWS = 6_000
PUSH_AT = datetime(2026, 9, 21, tzinfo=UTC)


def plan_of(rows: "QuerySet[Any]") -> list[dict[str, Any]]:
    """The nodes of the plan of a query."""
    sql, values = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", values)
        found = cursor.fetchone()[0]
    nodes, left = [], [(json.loads(found) if isinstance(found, str) else found)[0]["Plan"]]
    while left:
        node = left.pop()
        nodes.append(node)
        left += node.get("Plans", [])
    return nodes


def paged(rows: "QuerySet[Delivery]", after: Cursor | None = None) -> "QuerySet[Delivery]":
    """The query that page() makes."""
    return pushes.named(rows).order_by("-accepted_at", "-trace")[: pushes.PAGE + 1]


QUERIES: dict[str, Callable[[], "QuerySet[Any]"]] = {
    "by trace": lambda: pushes.named(Delivery.by_id.filter(trace="0123456789ab-7")),
    "by ack": lambda: pushes.by_ack("ack-7"),
    "by post": lambda: paged(pushes.of_post("post-7")),
    "by device": lambda: paged(pushes.of_device(f"{7:032x}")),
    "split of a post": lambda: pushes.of_post("post-7").order_by().values_list("outcome", "code"),
    "receipts by ack": lambda: Receipt.by_id.filter(push_at=None, ack_id__in=["ack-7", "ack-8"]),
    "receipts by push": lambda: Receipt.by_id.filter(push_at__in=[PUSH_AT, PUSH_AT + timedelta(seconds=1)]),
}
# Indexes that bring all that a customer has of a day, or all of a time.
WHOLE = ("_customer_id_accepted_at_idx", "_customer_id_received_at_idx", "_accepted_at_idx", "by_customer", "by_time")


@pytest.mark.parametrize("share", [1, 60])
def test_each_way_to_a_push_reads_no_filled_day_and_not_all_that_even_a_small_customer_has_of_it(share: int) -> None:
    customer = tenant("Acme")
    acme, server, key = customer.customer.pk, customer.server.pk, customer.key.pk
    at = time.time() - ROWS
    of_a_post, of_a_device = (9, 12) if share == 1 else (1, 1)
    with connection.cursor() as cursor:
        with cursor.cursor.copy(COPY) as copy:
            for number in range(ROWS):
                # The others are of customers with as few pushes each, for that is what misleads a planner.
                whose = acme if (number - 7) % share == 0 else 1000 + number % share
                who = f"{whose}\t{server}\t{key}"
                push = Push(
                    platform="apple_rn-v2",
                    type="message",
                    ack_id=f"ack-{number}",
                    post_id=f"post-{number // of_a_post}",
                )
                device = f"{number % (ROWS // of_a_device):032x}"
                copy.write(
                    row(f"0123456789ab-{number:x}", at + number, at + number, who, None, push, device, 700, SENT, ())
                )
        cursor.execute(
            "INSERT INTO delivery_receipt "
            "(id, received_at, customer_id, server_id, ack_id, type, platform, push_at, trace) "
            "SELECT n::text, now(), "
            "CASE WHEN (n - 7) %% %(share)s = 0 THEN %(acme)s ELSE 1000 + n %% %(share)s END, 1, "
            "'\\xff'::bytea || convert_to('ack-' || n, 'UTF8'), 'message', 'ios', "
            "CASE WHEN n <> 7 THEN %(at)s + (n - 7 - %(share)s) * interval '1 second' END, n::text "
            "FROM generate_series(1, %(rows)s) n",
            {"share": share, "acme": acme, "at": PUSH_AT, "rows": ROWS},
        )
        cursor.execute("ANALYZE delivery_delivery")
        cursor.execute("ANALYZE delivery_receipt")
    wrong = []
    with scope.customer(acme), acting_as(PAGES):
        for name, query in QUERIES.items():
            for node in plan_of(query()):
                if node["Node Type"] == "Seq Scan" and node["Plan Rows"] > 1 and "delivery" in node["Relation Name"]:
                    wrong.append(f"{name}: {node['Relation Name']}")
                if node.get("Index Name", "").endswith(WHOLE):
                    wrong.append(f"{name}: {node['Index Name']}")
            assert list(query()), name
    assert wrong == []
