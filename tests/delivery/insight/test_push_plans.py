"""How PostgreSQL finds single pushes: by an index in each day, also for the pages' role, in a log that is filled."""

import json
import time
from collections.abc import Callable
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
    "by trace": lambda: pushes.named(Delivery.objects.filter(trace="0123456789ab-7")),
    "by ack": lambda: pushes.by_ack("ack-7"),
    "by post": lambda: paged(pushes.of_post("post-7")),
    "by device": lambda: paged(pushes.of_device(f"{7:032x}")),
    "split of a post": lambda: pushes.of_post("post-7").order_by().values_list("outcome", "code"),
    "receipts": lambda: Receipt.objects.filter(ack_id__in=["ack-7", "ack-8"]),
}


def test_each_way_to_a_push_reads_no_filled_day_from_end_to_end() -> None:
    acme = tenant("Acme")
    who = f"{acme.customer.pk}\t{acme.server.pk}\t{acme.key.pk}"
    at = time.time() - ROWS
    with connection.cursor() as cursor:
        with cursor.cursor.copy(COPY) as copy:
            for number in range(ROWS):
                push = Push(
                    platform="apple_rn-v2", type="message", ack_id=f"ack-{number}", post_id=f"post-{number // 9}"
                )
                device = f"{number % 500:032x}"
                copy.write(
                    row(f"0123456789ab-{number:x}", at + number, at + number, who, None, push, device, 700, SENT, ())
                )
        cursor.execute(
            "INSERT INTO delivery_receipt (id, received_at, customer_id, server_id, ack_id, type, platform) "
            "SELECT n::text, now(), %s, %s, '\\xff'::bytea || convert_to('ack-' || n, 'UTF8'), 'message', 'ios' "
            "FROM generate_series(1, %s) n",
            [acme.customer.pk, acme.server.pk, ROWS],
        )
        cursor.execute("ANALYZE delivery_delivery")
        cursor.execute("ANALYZE delivery_receipt")
    wrong = []
    with scope.customer(acme.customer), acting_as(PAGES):
        for name, query in QUERIES.items():
            for node in plan_of(query()):
                if node["Node Type"] == "Seq Scan" and node["Plan Rows"] > 1 and "delivery" in node["Relation Name"]:
                    wrong.append(f"{name}: {node['Relation Name']}")
            assert list(query()), name
    assert wrong == []
