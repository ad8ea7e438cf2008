"""The page of usage: the answer first, months by their address, CSV, and what it costs."""

import csv
import io
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.facts import Month, Terms
from billing.models import UsageNotice, UsageRunning
from billing.usage import closing, months, sources, watching
from tenants.models import Role, Server
from tests.billing.usage.used import devices, known, pushes, since, terms
from tests.browsing import Browser, Tenant, member, staff, tenant

pytestmark = pytest.mark.django_db
PAGE = "/c/acme/usage/"


@pytest.fixture
def acme(valkey: redis.Redis) -> Tenant:
    made = tenant("Acme")
    since(made.customer, timezone.now() - timedelta(days=100))
    return made


@pytest.fixture
def ada(acme: Tenant) -> Browser:
    return Browser().enter(member("ada", acme.customer, Role.OWNER))


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the pages know of a plan, seats and so on."""

    def put(plan: Terms | None = None, **more: Any) -> None:
        monkeypatch.setattr(sources, "current", lambda: known(plan, **more))

    return put


def text(ada: Browser, address: str = PAGE, status: int = 200) -> str:
    answer = ada.get(address)
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


def last_month(back: int = 1) -> Month:
    return months.moved(months.month_of(timezone.now()), -back)


def today() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def test_the_answer_comes_first_with_what_is_included(acme: Tenant, ada: Browser, wire: Callable[..., None]) -> None:
    wire(terms(included_pushes=100, included_devices=10), seats=lambda _: 40)
    pushes(acme, today(), 30)
    devices(acme, today(), "abc", today().day)
    page = text(ada)
    assert "3 active devices and 30 pushes so far in" in page
    assert "within what is included." in page
    assert "30 % of 100 included" in page
    assert "The licence has 40 seats; 3 devices were active" in page


def test_without_a_push_it_says_what_will_be_here(ada: Browser) -> None:
    page = text(ada)
    assert "No push so far in" in page
    assert "Nothing was used" in page
    assert "data-plot" not in page


def test_by_server_the_busiest_first_with_the_way_to_its_pushes(acme: Tenant, ada: Browser) -> None:
    other = Server.objects.create(customer=acme.customer, name="<b>other</b>")
    pushes(acme, today(), 10)
    pushes(acme, today(), 30, server=other.pk)
    pushes(acme, today(), 1, server=999_999)
    page = text(ada)
    assert page.index("&lt;b&gt;other") < page.index("chat.acme.example") < page.index("A server that is no more")
    assert f"server={other.public_id}" in page
    address = re.search(r'href="(/c/acme/delivery/\?[^"]*)"', page)
    assert address is not None
    assert ada.get(address[1].replace("&amp;", "&")).status_code == 200


def test_all_of_five_hundred_servers_count_and_the_first_are_listed(acme: Tenant, ada: Browser) -> None:
    rows = Server.objects.bulk_create(Server(customer=acme.customer, name=f"s{number}") for number in range(500))
    for number, row in enumerate(rows):
        pushes(acme, today(), 1 + number, server=row.pk)
    page = text(ada)
    assert f"{sum(range(501)):,} pushes so far" in page
    assert "And 475 more servers, which are counted above." in page


def test_closed_months_are_listed_with_their_links_and_corrections_are_said(acme: Tenant, ada: Browser) -> None:
    month = last_month(2)
    pushes(acme, months.begins(month), 7)
    closing.close_all(timezone.now(), known())
    page = text(ada)
    address = f"/c/acme/usage/{months.text(month)}/"
    assert f'href="{address}"' in page
    assert "Closed" in page
    assert "Corrections" not in text(ada, address)
    pushes(acme, months.begins(month), 2)
    closing.close_all(timezone.now(), known())
    page = text(ada, address)
    assert f"9 pushes in {months.words(month)}." in page
    assert "Counted again it came to something else" in page
    assert closing.LATE in page


def test_months_before_the_first_use_are_left_out_and_many_are_folded_up(acme: Tenant, ada: Browser) -> None:
    since(acme.customer, timezone.now() - timedelta(days=800))
    pushes(acme, months.begins(last_month(16)), 1)
    closing.close_all(timezone.now(), known())
    page = text(ada)
    assert months.words(last_month(16)) in page
    assert months.words(last_month(17)) not in page
    assert "earlier months" in page
    assert len(rows(ada, "/c/acme/usage.csv")) >= 25


def test_days_are_those_of_utc_and_are_called_so(acme: Tenant, ada: Browser) -> None:
    pushes(acme, months.begins(months.month_of(timezone.now())), 7)
    ada.cookies["zone"] = "Pacific/Auckland"
    page = text(ada)
    first = months.month_of(timezone.now()).first
    assert "Pushes by day (UTC)" in page
    assert f'<th scope="row">{first:%a} 1 {first:%b %Y}</th><td class="number">7</td>' in page


@pytest.mark.parametrize(
    ("month", "why"),
    [("2099-01", "January 2099 has not begun yet"), ("2001-01", "kept for 25 months"), ("nov", "year and month")],
)
def test_a_bad_month_is_said_above_the_running_one(ada: Browser, month: str, why: str) -> None:
    assert why in text(ada, f"{PAGE}?month={month}", 400)
    assert why in text(ada, f"{PAGE}{month}/", 404)
    answer = ada.get(f"{PAGE}{month}.csv")
    assert (answer.status_code, answer["Location"]) == (302, f"{PAGE}{month}/")


def test_a_month_may_stand_in_the_query(ada: Browser) -> None:
    month = months.text(last_month())
    answer = ada.get(f"{PAGE}?month={month}")
    assert (answer.status_code, answer["Location"]) == (302, f"{PAGE}{month}/")
    assert months.words(last_month()) in text(ada, f"{PAGE}{month}/")


def test_months_are_walked_along_from_the_customers_first_to_the_running_one(acme: Tenant, ada: Browser) -> None:
    since(acme.customer, months.begins(last_month(2)))
    page = text(ada)
    assert f'rel="prev" href="{PAGE}{months.text(last_month())}/"' in page
    assert 'rel="next"' not in page
    first = text(ada, f"{PAGE}{months.text(last_month(2))}/")
    assert 'rel="prev"' not in first
    assert f'rel="next" href="{PAGE}{months.text(last_month())}/"' in first
    assert f'rel="next" href="{PAGE}"' in text(ada, f"{PAGE}{months.text(last_month())}/")


def rows(ada: Browser, address: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(ada.body(address).decode())))


def test_a_month_by_day_as_csv_adds_up_to_what_the_page_says(acme: Tenant, ada: Browser) -> None:
    month = last_month()
    pushes(acme, months.begins(month), 7)
    pushes(acme, months.ends(month) - timedelta(minutes=1), 5)
    devices(acme, months.begins(month), "ab", 1)
    found = rows(ada, f"{PAGE}{months.text(month)}.csv")
    assert found[0] == ["day_utc", "pushes", "active_devices"]
    assert found[1] == [f"{months.text(month)}-01", "7", "2"]
    assert len(found) == months.days(month) + 1
    assert sum(int(each) for _, each, _ in found[1:]) == 12


def test_all_months_as_csv(acme: Tenant, ada: Browser) -> None:
    pushes(acme, months.begins(last_month(2)), 7)
    pushes(acme, today(), 3)
    closing.close_all(timezone.now(), known(seats=lambda _: 5))
    found = rows(ada, "/c/acme/usage.csv")
    assert found[1][:2] == [months.text(months.month_of(timezone.now())), "3"]
    assert found[1][-1] == "so far"
    assert [months.text(last_month(2)), "7", "0", "0", "0", "5", "closed"] in found


def test_another_customers_usage_is_not_in_it(acme: Tenant, ada: Browser) -> None:
    cosmos = tenant("Cosmos")
    pushes(cosmos, today(), 4_321)
    assert "4,321" not in text(ada)
    assert Browser().enter(member("cleo", cosmos.customer, Role.OWNER)).get(PAGE).status_code == 404


def test_a_page_reads_hours_and_asks_the_database_a_few_times(acme: Tenant, ada: Browser) -> None:
    for number in range(3):
        row = Server.objects.create(customer=acme.customer, name=f"s{number}")
        pushes(acme, today(), 5, server=row.pk)
    closing.close_all(timezone.now(), known())
    with CaptureQueriesContext(
        connection,
    ) as few:
        text(ada)
    for number in range(30):
        row = Server.objects.create(customer=acme.customer, name=f"t{number}")
        pushes(acme, today(), 5, server=row.pk)
    with CaptureQueriesContext(connection) as many:
        text(ada)
    of_usage = [each["sql"] for each in many if "delivery_" in each["sql"] or "billing_" in each["sql"]]
    assert len(many) == len(few)
    # What is settled, hours, device counts, closed months, corrections, the banner; and of the other parts of billing
    # the licences, the subscription, and the standing as it was applied last.
    assert len(of_usage) == 9, of_usage
    assert not any("delivery_minute" in each or "delivery_delivery" in each for each in of_usage)


# --- The banner


def used_up(acme: Tenant, wire: Callable[..., None]) -> None:
    wire(terms(included_pushes=10))
    pushes(acme, today(), 11)
    watching.watch_all(timezone.now(), sources.current())


def test_owners_read_of_a_quota_on_each_page_and_nobody_else_does(
    acme: Tenant, ada: Browser, wire: Callable[..., None]
) -> None:
    used_up(acme, wire)
    words = "11 of the 10 pushes that are included this month are used (110 %)."
    for page in ("/c/acme/", PAGE, "/c/acme/servers/", "/c/acme/test/"):
        assert words in text(ada, page)
    for role in (Role.ADMIN, Role.VIEWER):
        other = Browser().enter(member(role.value, acme.customer, role))
        assert words not in text(other, "/c/acme/")
    assert words not in text(Browser().enter(staff(), factor=True), "/c/acme/")


def test_the_banner_ends_by_itself(acme: Tenant, ada: Browser, wire: Callable[..., None]) -> None:
    used_up(acme, wire)
    UsageRunning.objects.update(month=last_month().first)
    UsageNotice.objects.update(month=last_month().first)
    assert "that are included this month" not in text(ada, "/c/acme/")


def test_a_larger_plan_takes_the_banner_away_at_once(acme: Tenant, ada: Browser, wire: Callable[..., None]) -> None:
    used_up(acme, wire)
    wire(terms(included_pushes=1_000))
    assert "that are included this month" not in text(ada, "/c/acme/")


# --- Staff


def test_staff_see_all_customers_by_their_share_and_find_one(acme: Tenant, wire: Callable[..., None]) -> None:
    cosmos = tenant("Cosmos")
    wire(terms(included_pushes=100))
    pushes(acme, today(), 30)
    pushes(cosmos, today(), 90)
    watching.watch_all(timezone.now(), sources.current())
    closing.close_all(timezone.now(), sources.current())
    somebody = Browser().enter(staff(), factor=True)
    page = text(somebody, "/admin/billing/usagerunning/")
    assert page.index("Cosmos") < page.index("Acme")
    assert "90 of 100" in page
    assert "Cosmos" not in text(somebody, "/admin/billing/usagerunning/?q=acme")
    assert "Acme" not in text(somebody, "/admin/billing/usagerunning/?share=80")
    month = months.text(last_month(2))
    closed = text(somebody, f"/admin/billing/usagemonth/?month={month}")
    assert f'href="/c/acme/usage/{month}/"' in closed
    for name in ("usagemonth", "usagecorrection", "usagenotice", "usagelimit"):
        text(somebody, f"/admin/billing/{name}/")
