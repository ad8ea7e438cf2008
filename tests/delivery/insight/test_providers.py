"""What customers are told of Apple and Google, out of all customers' pushes, as the pages' role."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache

from delivery.insight import providers
from delivery.insight.standing import Standing, State
from delivery.insight.troubles import troubles
from delivery.providers import table
from tenants import scope
from tests.browsing import Tenant
from tests.delivery.insight import recent
from tests.delivery.insight.troubled import in_page
from tests.roles import PAGES, acting_as

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

DOWN = table.verdict_of("apns_service_unavailable")
KEY = table.verdict_of("apns_invalid_provider_token")
assert DOWN is not None
assert KEY is not None


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def standing(family: str = "apns", span: timedelta = providers.NOW) -> Standing:
    with acting_as(PAGES), scope.customer(1):
        return providers.provider_standing(family, span)


def test_a_customer_reads_how_apple_is_from_everybodys_pushes() -> None:
    for customer in range(1, 7):
        recent.push(customer)
    recent.count()
    found = standing()
    assert found.state is State.WELL
    assert found.share == 1.0
    assert found.p50 == pytest.approx(100, rel=0.06)


def test_it_is_apple_when_many_customers_pushes_fail_there() -> None:
    for customer in range(1, 7):
        recent.push(customer)
        recent.push(customer, 10, verdict=DOWN)
    recent.count()
    assert standing().is_the_provider
    assert standing("fcm").state is State.TOO_FEW


def test_whose_pushes_fail_by_apple_is_told_that_everybodys_do(acme: Tenant) -> None:
    for other in range(6):
        recent.push(acme.customer.pk + other, 20, verdict=DOWN)
    recent.count()
    with in_page(acme) as customer:
        (found,) = troubles(customer)
    assert found.what_to_do == (
        "Others' pushes fail there, too: 100 % of all customers' in the last 15 minutes. "
        "Nothing to do unless it lasts; see Apple's system status page."
    )
    cache.clear()
    for other in range(6):
        recent.push(acme.customer.pk + other, 30_000, ago=timedelta(minutes=6))
    recent.count()
    with in_page(acme) as customer:
        (found,) = troubles(customer)
    assert found.what_to_do == "Nothing to do unless it lasts; see Apple's system status page."


def test_wrong_keys_of_customers_are_not_apples_fault() -> None:
    for customer in range(1, 7):
        recent.push(customer)
        recent.push(customer, 500, verdict=KEY)
    recent.count()
    assert standing().state is State.WELL


def test_nothing_is_told_of_four_customers() -> None:
    for customer in range(1, 5):
        recent.push(customer, 1_000)
    recent.count()
    assert standing().state is State.TOO_FEW


@pytest.mark.parametrize("span", [providers.NOW, providers.DAY])
def test_nothing_is_told_where_it_would_be_the_rate_of_one_large_customer(span: timedelta) -> None:
    for customer in range(2, 8):
        recent.push(customer)
    recent.push(1, 10_000)
    recent.count()
    assert standing(span=span).state is State.TOO_FEW
    with acting_as(PAGES), scope.customer(2):
        assert providers.day_chart().empty


def test_pushes_of_an_hour_ago_say_nothing_of_now_and_are_in_the_day() -> None:
    for customer in range(1, 7):
        recent.push(customer, ago=timedelta(minutes=61))
    recent.count()
    assert standing().state is State.TOO_FEW
    assert standing(span=providers.DAY).state is State.WELL


def test_the_day_is_drawn_with_gaps_where_there_was_nothing() -> None:
    for customer in range(1, 7):
        recent.push(customer)
    recent.count()
    with acting_as(PAGES), scope.customer(1):
        apple, google = providers.day_chart().series
    assert [value for value in apple.values if value is not None] == [100.0]
    assert set(google.values) == {None}


def test_an_hour_in_which_one_customer_pushed_is_a_gap() -> None:
    for customer in range(1, 7):
        recent.push(customer)
    recent.push(1, 60, ago=timedelta(hours=5))
    recent.count(timedelta(hours=7))
    with acting_as(PAGES), scope.customer(2):
        apple = providers.day_chart().series[0]
    assert len([value for value in apple.values if value is not None]) == 1


def test_it_is_read_once_a_minute_for_all_pages(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    recent.count()
    providers.provider_standing("apns")
    with django_assert_num_queries(0):
        providers.provider_standing("fcm")


def test_a_provider_that_nobody_has_is_none() -> None:
    with pytest.raises(KeyError):
        providers.provider_standing("other")
