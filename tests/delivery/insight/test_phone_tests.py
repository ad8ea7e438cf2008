"""Phones' own tests are found by the hours that have any: no other row of the log is read for them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delivery.insight import phone_tests
from tenants import scope
from tests.browsing import Tenant, tenant
from tests.delivery.pages.log_rows import count, trace_of, write

pytestmark = pytest.mark.django_db
DAY = 86_400
WEEK = timedelta(days=7)
AGES = (600, 2 * DAY + 600, 5 * DAY + 600)


@pytest.fixture
def acme() -> Tenant:
    return tenant("Acme")


def found(acme: Tenant, most: int = 5) -> tuple[list[str], int]:
    """The traces of the latest tests, and how often the log was asked."""
    now = timezone.now()
    with scope.customer(acme.customer.pk), CaptureQueriesContext(connection) as queries:
        rows = phone_tests.latest(now - WEEK, now, most)
    return [row.trace for row in rows], sum('FROM "delivery_delivery"' in query["sql"] for query in queries)


def test_the_latest_tests_are_found_and_no_hour_without_one_is_read(acme: Tenant) -> None:
    for number, age in enumerate(AGES):
        write(number, acme, ago=age, type="test")
    for number in range(10, 40):
        write(number, acme, ago=number * 5 * 3600 - 40_000)
    count(8)
    assert found(acme) == ([trace_of(0), trace_of(1), trace_of(2)], 3)


def test_no_more_is_read_than_is_wanted(acme: Tenant) -> None:
    for number, age in enumerate(AGES):
        write(number, acme, ago=age, type="test")
    count(8)
    assert found(acme, most=1) == ([trace_of(0)], 1)


def test_without_any_test_the_log_is_not_read(acme: Tenant) -> None:
    write(1, acme)
    count()
    assert found(acme) == ([], 0)


def test_tests_before_the_start_and_those_of_others_are_not_found(acme: Tenant) -> None:
    write(1, acme, ago=7 * DAY + 60, type="test")
    write(2, tenant("Cosmos"), type="test")
    write(3, acme, ago=900, type="test")
    count(8)
    assert found(acme)[0] == [trace_of(3)]
