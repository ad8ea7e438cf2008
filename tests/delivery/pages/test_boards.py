"""The staff's boards: all customers side by side."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection

from delivery.outcomes import own
from delivery.providers import table
from tenants.models import Credential, Customer, PushApp
from tests.browsing import Browser, staff, tenant
from tests.delivery.insight import recent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

KEY = table.verdict_of("apns_invalid_provider_token")
UNKNOWN = table.verdict_of("apns_unknown")
assert KEY is not None
assert UNKNOWN is not None


@pytest.fixture
def cosmos(db: None) -> Customer:
    return tenant("Cosmos").customer


@pytest.fixture
def somebody(valkey: object) -> Browser:
    cache.clear()
    return Browser().enter(staff(), factor=True)


def rows(browser: Browser, address: str) -> list[list[str]]:
    """The cells of a board's table, the first column as the customer's name."""
    answer = browser.get(address)
    assert answer.status_code == 200
    return [
        [cell["text"] if isinstance(cell, dict) and "text" in cell else cell for cell in row]
        for row in answer.context["rows"]
    ]


def test_the_customer_whose_pushes_fail_most_comes_first(
    somebody: Browser, customer: Customer, cosmos: Customer
) -> None:
    recent.push(customer.pk, 1_000)
    recent.push(customer.pk, 10, verdict=KEY)
    recent.push(cosmos.pk, 100, verdict=KEY)
    recent.count()
    found = rows(somebody, "/admin/boards/")
    assert [row[:6] for row in found] == [["Cosmos", 100, 0, 0, "100", "100 %"], ["Acme", 1_010, 0, 0, "10", "1 %"]]
    query = "range=24h&amp;outcome=failures&amp;attribution=customer"
    assert f'<a href="/c/acme/delivery/pushes/?{query}">10</a>' in somebody.get("/admin/boards/").content.decode()


def test_a_trouble_is_told_since_the_hour_from_which_on_it_has_not_paused(
    somebody: Browser, customer: Customer
) -> None:
    for hours in (1, 2, 4):
        recent.push(customer.pk, 10 + hours, ago=timedelta(hours=hours), verdict=KEY)
    recent.push(customer.pk, 500, ago=timedelta(hours=3))
    now = recent.count(timedelta(hours=6))
    (row,) = rows(somebody, "/admin/boards/")
    assert row[6] == {"code": "apns_invalid_provider_token"}
    assert row[7] == {"at": (now - timedelta(hours=2)).replace(minute=0, second=0, microsecond=0), "exact": True}


def test_a_board_of_what_we_have_failed_leaves_others_out(
    somebody: Browser, customer: Customer, cosmos: Customer
) -> None:
    recent.push(customer.pk, 10, verdict=KEY)
    recent.push(cosmos.pk, 5, verdict=own.REFUSALS["internal_error"])
    recent.count()
    assert [row[0] for row in rows(somebody, "/admin/boards/?by=ours")] == ["Cosmos"]
    assert [row[0] for row in rows(somebody, "/admin/boards/?by=nonsense&page=x")] == ["Acme", "Cosmos"]


def test_by_volume_each_is_held_against_the_day_before(somebody: Browser, customer: Customer, cosmos: Customer) -> None:
    recent.push(customer.pk, 150)
    recent.push(customer.pk, 100, ago=timedelta(hours=26))
    recent.push(cosmos.pk, 40)
    recent.push(cosmos.pk, 10, verdict=KEY)
    recent.count(timedelta(hours=48))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery_hour SET acked = 30 WHERE outcome = 'sent' AND customer_id = %s", [cosmos.pk])
    found = rows(somebody, "/admin/boards/volume/")
    assert [row[:5] for row in found] == [["Acme", 150, "75 %", 100, "+50 %"], ["Cosmos", 50, "25 %", 0, "new"]]
    # As the customer reads it: of those that were handed off.
    assert found[1][5] == "75 %"


def test_who_has_pushed_and_does_not_any_more_is_silent(
    somebody: Browser, customer: Customer, cosmos: Customer
) -> None:
    recent.push(customer.pk, 30, ago=timedelta(hours=30))
    recent.push(cosmos.pk, 20)
    now = recent.count(timedelta(hours=48))
    (row,) = rows(somebody, "/admin/boards/silent/")
    assert row[0] == "Acme"
    assert abs(row[1]["at"] - (now - timedelta(hours=30))) < timedelta(seconds=90)  # type: ignore[index,operator]
    assert row[2] == 30
    assert rows(somebody, "/admin/boards/silent/?for=7d") == []


def test_an_unknown_answer_is_a_piece_of_work_with_a_push_to_look_at(somebody: Browser, customer: Customer) -> None:
    trace = recent.push(customer.pk, 1, verdict=UNKNOWN)
    recent.count()
    (row,) = rows(somebody, "/admin/boards/unknown/")
    assert row[2:5] == [{"code": "apns_unknown"}, 1, 1]
    assert row[7] == trace
    assert somebody.get(f"/admin/delivery/delivery/{trace}/change/").status_code == 200


def test_the_panel_shows_the_credential_in_trouble_first(somebody: Browser, customer: Customer) -> None:
    for label, more in (("apple_a", {}), ("apple_b", {"refused_at": "2026-01-02T00:00Z", "refused_code": "apns_x"})):
        app = PushApp.objects.create(customer=customer, label=label, topic="x", family="apns", host="sandbox")
        Credential.objects.create(app=app, kind="apns_key", sealed="v1:x", key_id=f"KEY-{label}", **more)
    answer = somebody.get("/admin/boards/providers/")
    assert [row[2]["code"] for row in answer.context["credential_rows"]] == ["KEY-apple_b", "KEY-apple_a"]
    assert "Refused" in answer.text


def test_a_customer_leads_to_its_delivery_page_and_looking_on_is_noted(somebody: Browser, customer: Customer) -> None:
    recent.push(customer.pk, 10, verdict=KEY)
    recent.count()
    (row,) = somebody.get("/admin/boards/").context["rows"]
    assert row[0]["href"].startswith("/c/acme/")


@pytest.mark.parametrize("name", ["", "providers/", "sla/"])
def test_each_board_leads_to_all_others(somebody: Browser, name: str) -> None:
    text = somebody.get(f"/admin/boards/{name}").text
    tabs = text.partition('aria-label="Boards"')[2].partition("</nav>")[0]
    assert tabs.count("<li>") == 7
    assert f'<a href="/admin/boards/{name}" aria-current="page">' in tabs


def test_the_admins_first_page_leads_to_the_boards(somebody: Browser) -> None:
    assert '<a href="/admin/boards/">' in somebody.get("/admin/").text


def test_a_board_of_many_customers_comes_in_pages(somebody: Browser, cosmos: Customer) -> None:
    many = Customer.objects.bulk_create(
        Customer(name=f"Customer {number}", slug=f"c{number}", offer="hpns") for number in range(60)
    )
    for each in many:
        recent.push(each.pk, 10, verdict=KEY)
    recent.count()
    assert len(rows(somebody, "/admin/boards/")) == 50
    assert len(rows(somebody, "/admin/boards/?page=2")) == 10
    assert len(rows(somebody, "/admin/boards/?page=99999")) == 50
