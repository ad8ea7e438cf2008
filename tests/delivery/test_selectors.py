"""What is read from the delivery log, and that no reading counts it."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing import customers
from delivery import selectors
from delivery.log.rows import COPY, row
from delivery.models import Delivery, Receipt
from delivery.outcomes import judge
from delivery.protocol.wire import Push
from tenants import services
from tenants.models import Server

pytestmark = pytest.mark.django_db


@pytest.fixture
def server() -> Server:
    return services.server_add(customer=customers.add(name="Acme", offer="eas").row, name="chat").row


def write(server: Server, trace: str, *, age: float = 0.0, ack_id: str = "", rows: int = 1) -> None:
    """Rows as a worker writes them."""
    at, push = time.time() - age, Push(platform="apple_rn-v2", type="message", ack_id=ack_id, device_id="d")
    verdict = judge.refusal("no_app")
    with connection.cursor() as cursor, cursor.cursor.copy(COPY) as copy:
        for number in range(rows):
            who = f"{server.customer_id}\t{server.pk}\t\\N"
            name = f"{trace}{number or ''}"
            copy.write(row(name, at, at + 0.25, who, None, push, "f" * 32, 700, verdict, ()))


def test_what_came_since_a_moment_is_read_latest_first(server: Server) -> None:
    for trace, age in (("a", 3 * 86400), ("b", 3600), ("c", 60)):
        write(server, trace, age=age)
    assert [row.trace for row in selectors.since(timezone.now() - selectors.DAY)] == ["c", "b"]
    assert [row.trace for row in selectors.since(timezone.now() - timedelta(days=9))] == ["c", "b", "a"]


def test_reading_a_row_with_its_customer_and_server_takes_one_query(server: Server) -> None:
    write(server, "a", rows=5)
    with CaptureQueriesContext(connection) as queries:
        assert {str(row.server) for row in selectors.since(timezone.now() - selectors.DAY)} == {"chat (Acme)"}
    assert len(queries) == 1


def test_a_push_is_found_by_its_trace_and_by_its_ack_id(server: Server) -> None:
    write(server, "0123456789ab-1", ack_id="ack-one", age=5 * 86400)
    write(server, "0123456789ab-2", ack_id="ack-two")
    assert [row.ack_id for row in selectors.find("0123456789ab-1")] == ["ack-one"]
    assert not selectors.find("")
    assert not selectors.find("\0")
    assert [row.trace for row in selectors.find("ack-two")] == ["0123456789ab-2"]
    assert not selectors.find("ack")


def test_the_receipts_of_a_push_are_its_own_and_the_first_one_comes_first(server: Server) -> None:
    write(server, "0123456789ab-1", ack_id="ack-one", age=60)
    write(server, "0123456789ab-2")
    one, other = (Delivery.objects.get(trace=f"0123456789ab-{number}") for number in (1, 2))
    for name, trace, repeated in (("late", one.trace, True), ("first", one.trace, False), ("x", "y", False)):
        Receipt.objects.create(
            id=name, received_at=timezone.now(), customer=server.customer, server=server, ack_id="ack-one",
            type="message", platform="ios", trace=trace, push_at=one.accepted_at, repeated=repeated,
        )  # fmt: skip
    assert [receipt.id for receipt in selectors.receipts(one)] == ["first", "late"]
    assert not selectors.receipts(other)


def test_rows_are_counted_no_further_than_asked(server: Server) -> None:
    write(server, "a", rows=30)
    assert selectors.count_up_to(Delivery.objects.all(), 10) == 10
    assert selectors.count_up_to(Delivery.objects.all(), 100) == 30


def test_the_estimate_reads_no_row_and_is_about_right(server: Server) -> None:
    write(server, "a", rows=2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE delivery_delivery")
    with CaptureQueriesContext(connection) as queries:
        about = selectors.estimate(Delivery.objects.filter(outcome="refused"))
    assert 1000 < about < 4000
    assert [query["sql"][:7] for query in queries] == ["EXPLAIN"]
