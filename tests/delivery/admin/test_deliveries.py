"""The staff's view of the delivery log: readable, closed to changes, and never reading all of it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing import customers
from delivery.admin import deliveries
from delivery.log.rows import COPY, row
from delivery.models import Delivery
from delivery.outcomes import judge
from delivery.outcomes.verdict import ANSWERED, Attempt
from delivery.protocol.wire import Push
from delivery.providers import table
from tenants import services
from tenants.models import Server
from tests import people

pytestmark = pytest.mark.django_db
LIST = "/admin/delivery/delivery/"
TRACE = "0123456789ab-1f"


@pytest.fixture
def staff() -> Client:
    return people.staff_browser()


@pytest.fixture
def server() -> Server:
    return services.server_add(customer=customers.add(name="Acme", offer="eas").row, name="chat.acme").row


def write(server: Server, trace: str = TRACE, *, age: float = 60.0, **members: Any) -> None:
    """One row as a worker writes it: an attempt with an answer that somebody has made hostile."""
    at = time.time() - age
    made = Attempt("apns", "api.push.apple.com", 400, "<b>BadTopic</b>", ANSWERED, at + 0.1, 140, detail="x")
    push = Push(**{"platform": "apple_rn-v2", "type": "message", "ack_id": "ack-one", "device_id": "d", **members})
    verdict = judge.refusal("no_app") if push.sub_type == "refused" else table.judge(made)
    who = f"{server.customer_id}\t{server.pk}\t\\N"
    with connection.cursor() as cursor, cursor.cursor.copy(COPY) as copy:
        attempts = () if push.sub_type == "refused" else (made,)
        copy.write(row(trace, at, at + 0.25, who, None, push, "f" * 32, 700, verdict, attempts))


def listed(staff: Client, query: str = "") -> list[str]:
    answer = staff.get(LIST + query)
    assert answer.status_code == 200
    return [row.trace for row in answer.context["cl"].result_list]


def test_the_list_shows_what_matters_at_a_glance(staff: Client, server: Server) -> None:
    write(server)
    page = staff.get(LIST).content.decode()
    for shown in ("Acme", "chat.acme", "apple_rn-v2", "message", "unknown", "apns_unknown", "FAIL", "250 ms"):
        assert shown in page


def test_a_push_shows_its_attempts_as_a_table_and_what_came_from_outside_escaped(staff: Client, server: Server) -> None:
    write(server)
    page = staff.get(f"{LIST}{TRACE}/change/").content.decode()
    assert "api.push.apple.com" in page
    assert "140 ms" in page
    assert "&lt;b&gt;BadTopic&lt;/b&gt; x" in page
    assert "<b>BadTopic" not in page


def test_a_push_without_an_attempt_says_so(staff: Client, server: Server) -> None:
    write(server, sub_type="refused")
    assert "none: it ended before one was made" in staff.get(f"{LIST}{TRACE}/change/").content.decode()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", ["add/", f"{TRACE}/delete/", f"{TRACE}/change/", ""])
def test_nothing_can_be_added_changed_or_deleted(staff: Client, server: Server, path: str, method: str) -> None:
    write(server)
    data = {"action": "delete_selected", "_selected_action": TRACE, "post": "yes", "code": "forged"}
    answer = getattr(staff, method)(LIST + path, data if method == "post" else None)
    reading = path == "" or (method == "get" and path == f"{TRACE}/change/")  # the list has no actions to post
    assert answer.status_code in ((200,) if reading else (302, 403))
    assert [row.code for row in Delivery.objects.all()] == ["apns_unknown"]


def test_whoever_is_no_staff_sees_nothing(server: Server) -> None:
    write(server)
    client = Client()
    client.force_login(User.objects.create_user("somebody"))
    assert client.get(LIST).status_code == 302


def test_the_list_begins_with_the_last_day(staff: Client, server: Server) -> None:
    write(server, "a", age=60)
    write(server, "b", age=2 * 3600)
    write(server, "c", age=3 * 86400)
    assert listed(staff) == ["a", "b"]
    assert listed(staff, "?day=hour") == ["a"]
    day = (datetime.now(UTC) - timedelta(days=3)).date().isoformat()
    assert listed(staff, f"?day={day}") == ["c"]
    assert "Last 24 hours" in staff.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?outcome=refused", ["b"]),
        ("?outcome=sent", []),
        ("?code=apns_unknown", ["c", "a"]),
        ("?platform=apple", ["a"]),
        ("?platform=android", ["b"]),
        ("?platform=other", ["c"]),
        ("?day=nonsense", ["c", "b", "a"]),
    ],
)
def test_the_list_is_filtered(staff: Client, server: Server, query: str, expected: list[str]) -> None:
    write(server, "a", age=60)
    write(server, "b", age=50, platform="android_rn", sub_type="refused")
    write(server, "c", age=40, platform="toaster")
    assert listed(staff, query) == expected


def test_an_id_is_found_on_any_day_and_no_part_of_one(staff: Client, server: Server) -> None:
    write(server, TRACE, age=5 * 86400, ack_id="old", post_id="8uo3dygm47bpprupsc6mqm5u5e")
    write(server, "0123456789ab-2", ack_id="new")
    for query, found in ((TRACE, [TRACE]), ("new", ["0123456789ab-2"]), ("old", [TRACE]), ("0123456789ab", [])):
        assert listed(staff, f"?q={query}") == found
    assert listed(staff, "?q=8uo3dygm47bpprupsc6mqm5u5e") == [TRACE]
    assert listed(staff, f"?q={'x' * 5000}") == []
    assert listed(staff, "?q=x%00") == ["0123456789ab-2"], "what is no search has a bound in time"


def test_every_code_of_the_verdicts_can_be_chosen() -> None:
    assert {"sent", "no_app", "apns_unregistered", "fcm_unregistered", "transport_timeout_unanswered"} <= set(
        deliveries.CODES
    )


def test_no_query_of_the_list_counts_to_the_end_or_reads_all_values(
    staff: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries.DeliveryAdmin, "list_per_page", 2)
    for number in range(5):
        write(server, f"t{number}")
    with CaptureQueriesContext(connection) as queries:
        staff.get(LIST)
    about_the_log = [query["sql"] for query in queries if "delivery_delivery" in query["sql"]]
    assert about_the_log
    for sql in about_the_log:
        assert "LIMIT" in sql
        assert "DISTINCT" not in sql
        assert 'accepted_at" >=' in sql
    assert len(about_the_log) <= 2


def test_the_queries_do_not_grow_with_the_rows(staff: Client, server: Server) -> None:
    write(server, "one")
    with CaptureQueriesContext(connection) as few:
        staff.get(LIST)
    for number in range(20):
        write(server, f"t{number}")
    with CaptureQueriesContext(connection) as many:
        staff.get(LIST)
    assert len(few) == len(many)


def test_more_rows_than_are_counted_are_estimated(
    server: Server, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        write(server, f"t{number}")
    rows = Delivery.objects.order_by("-accepted_at")
    assert deliveries.EstimatingPaginator(rows, 5).count == 12
    monkeypatch.setattr(deliveries, "COUNTED", 10)
    paginator = deliveries.EstimatingPaginator(rows, 5)
    assert paginator.count >= 10
    assert len(paginator.page(1).object_list) == 5


def test_the_list_is_read_from_the_end_of_an_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'delivery_delivery'")
        assert any("(accepted_at)" in definition for (definition,) in cursor.fetchall())
