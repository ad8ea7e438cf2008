"""What a month comes to: billable pushes by day and server in UTC, devices by server, server_ids and seats."""

from datetime import date, timedelta

import pytest

from billing.facts import Month, Usage
from billing.usage import counting, months, reading
from delivery.selectors import usage as delivered
from tenants.models import Server, Sighting
from tests.billing.usage.used import NOVEMBER, at, devices, known, pushes, since, terms
from tests.browsing import Tenant, tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
MONTH = Month(2026, 11)


@pytest.fixture
def acme(db: None) -> Tenant:
    return tenant("Acme")


def count(whose: Tenant, month: Month = MONTH, **more: object) -> counting.Figures:
    return counting.count(whose.customer, month, NOVEMBER, known(**more))  # type: ignore[arg-type]


def test_a_push_belongs_to_the_day_and_month_of_utc_in_which_it_was_accepted(acme: Tenant) -> None:
    for moment, number in (
        (at(11, 1, 0) - timedelta(minutes=1), 1),
        (at(11, 1, 0), 2),
        (at(11, 1, 23), 4),
        (at(11, 2, 0), 8),
        (at(12, 1, 0) - timedelta(minutes=1), 16),
        (at(12, 1, 0), 32),
    ):
        pushes(acme, moment, number)
    closed = counting.count(acme.customer, MONTH, at(12, 5), known())
    assert closed.pushes == 2 + 4 + 8 + 16
    assert (len(closed.by_day), closed.by_day[0], closed.by_day[1], closed.by_day[29]) == (30, 6, 8, 16)
    assert counting.count(acme.customer, Month(2026, 10), NOVEMBER, known()).by_day[30] == 1


def test_the_29th_of_a_leap_february_is_counted(acme: Tenant) -> None:
    pushes(acme, at(2, 29, 23, year=2028), 7)
    found = counting.count(acme.customer, Month(2028, 2), at(3, 5, year=2028), known())
    assert (found.pushes, len(found.by_day), found.by_day[28]) == (7, 29, 7)


def test_tests_and_what_was_refused_are_not_billed_and_all_else_is(acme: Tenant) -> None:
    pushes(acme, NOVEMBER, 100, type_="test")
    pushes(acme, NOVEMBER, 100, outcome="refused")
    assert count(acme).pushes == 0
    for type_ in ("message", "clear", "session", "update_badge", "other"):
        pushes(acme, NOVEMBER, 1, type_=type_)
    for outcome in ("gone", "unknown", "failed", "expired", "lost"):
        pushes(acme, NOVEMBER, 10, outcome=outcome)
    assert count(acme).pushes == 55


def test_another_customers_pushes_are_not_counted(acme: Tenant) -> None:
    pushes(tenant("Cosmos"), NOVEMBER, 9)
    assert count(acme).pushes == 0


def test_servers_are_told_apart_the_busiest_first(acme: Tenant) -> None:
    other = Server.objects.create(customer=acme.customer, name="other")
    pushes(acme, NOVEMBER, 3)
    pushes(acme, NOVEMBER, 8, server=other.pk)
    devices(acme, NOVEMBER, "ab", 1, 2)
    devices(acme, NOVEMBER, "bc", 2, server=other.pk)
    found = count(acme)
    assert found.by_server == ((other.pk, 8, 2), (acme.server.pk, 3, 2))


def test_a_phone_of_two_servers_counts_once_for_each_and_is_one_phone(acme: Tenant) -> None:
    devices(acme, NOVEMBER, "ab", 1, 2)
    devices(acme, NOVEMBER, "bc", 2, server=999)
    found = count(acme)
    assert (found.devices, found.phones) == (4, 3)
    assert found.devices_by_day[:3] == (2, 4, 0)
    assert sum(each.devices for each in found.by_server) == found.devices


def test_what_is_counted_exactly_is_what_the_hourly_count_says(acme: Tenant) -> None:
    devices(acme, NOVEMBER, "abc", 1, 20)
    devices(acme, NOVEMBER, "cd", 19, server=999)
    month = date(2026, 11, 1)
    assert delivered.devices_exactly(acme.customer.pk, month) == delivered.devices_counted(acme.customer.pk, month)


def test_devices_that_nobody_has_counted_yet_are_not_none(acme: Tenant) -> None:
    pushes(acme, NOVEMBER, 3)
    found = counting.count_for_page(acme.customer, MONTH, NOVEMBER, known(), None)
    assert (found.devices, found.phones) == (None, None)
    assert count(acme).devices == 0


def test_proven_server_ids_count_once_each_and_without_any_those_that_were_seen_that_month(acme: Tenant) -> None:
    for name, first, last in (
        ("before", at(9, 1), at(10, 31)),
        ("through", at(9, 1), at(12, 9)),
        ("within", at(11, 30), at(11, 30)),
        ("after", at(12, 1, 0), at(12, 2)),
    ):
        Sighting.objects.create(key=acme.key, mattermost_id=name, first_at=first, last_at=last)
    assert count(acme).servers == 2
    assert count(acme, proven_ids=lambda _: ["x", "x"]).servers == 1


def test_seats_are_those_of_the_licence(acme: Tenant) -> None:
    assert count(acme).seats is None
    assert count(acme, seats=lambda _: 2_000).seats == 2_000


def test_a_month_with_no_push_is_all_zeros(acme: Tenant) -> None:
    found = counting.count(acme.customer, Month(2026, 2), NOVEMBER, known())
    assert found.usage == Usage(Month(2026, 2), 0, 0, 0, None)
    assert found.by_day == found.devices_by_day == (0,) * 28


def test_a_month_has_as_many_days_as_have_begun(acme: Tenant) -> None:
    for moment, begun in ((at(11, 1, 0), 1), (at(11, 1, 23), 1), (at(11, 30, 23), 30), (at(12, 1, 0), 30)):
        assert counting.days_begun(MONTH, moment) == begun
    assert counting.days_begun(Month(2026, 12), NOVEMBER) == 0


def test_usage_is_what_other_parts_of_billing_read(acme: Tenant) -> None:
    pushes(acme, NOVEMBER, 3)
    devices(acme, NOVEMBER, "ab", 1)
    sources = known(terms(), seats=lambda _: 10, proven_ids=lambda _: ["x"])
    assert reading.usage(acme.customer, MONTH, NOVEMBER, sources) == Usage(MONTH, 3, 2, 1, 10)
    since(acme.customer, at(10, 1))
    assert reading.usage(acme.customer, months.moved(MONTH, -1), NOVEMBER, sources).pushes == 0
