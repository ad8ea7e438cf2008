"""The filters of the delivery's pages: whatever stands in the URL, there is something to look at, and it says what."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import RequestFactory

from delivery.models import Delivery
from delivery.outcomes import judge
from delivery.pages import spans
from delivery.pages.filters import Filters, parse
from tenants import scope
from tests.browsing import Tenant, tenant
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 3, 9, 30, 12, tzinfo=UTC)


@pytest.fixture
def acme(db: None) -> Tenant:
    return tenant("Acme")


def asked(acme: Tenant, zone: str = "", **values: str) -> Filters:
    """What a page of Acme's makes of a query."""
    request = RequestFactory().get(f"/?{urlencode({'from' if n == 'since' else n: v for n, v in values.items()})}")
    request.COOKIES["tz"] = zone
    with scope.customer(acme.customer):
        return parse(request, now=NOW)


def hours(filters: Filters) -> float:
    return (filters.end - filters.start) / timedelta(hours=1)


def is_default(filters: Filters) -> bool:
    return filters.span.range == "24h" and filters.values == {}


def test_without_a_query_it_is_the_last_24_hours_in_utc(acme: Tenant) -> None:
    found = asked(acme)
    assert (found.start, found.end) == (datetime(2026, 11, 2, 9, 30, tzinfo=UTC), NOW)
    assert (found.notices, found.words, str(found.zone)) == ((), "the last 24 hours", "UTC")


@pytest.mark.parametrize(
    ("values", "notice"),
    [
        ({"since": "2026-11-02T10:00", "to": "2026-11-01T10:00"}, "ends before it begins"),
        ({"since": "2026-11-02T10:00", "to": "2026-11-02T10:00"}, "ends before it begins"),
        ({"since": "2027-11-02T10:00"}, "ends before it begins"),
        ({"since": "2027-11-02T10:00", "to": "2027-11-03T10:00"}, "in the future"),
        ({"since": "2020-01-01T00:00", "to": "2020-02-01T00:00"}, "kept for 25 months"),
        ({"to": "0001-01-01T00:00"}, "kept for 25 months"),
        ({"since": "yesterday"}, "to be written as"),
        ({"since": "9999-12-31T23:59-12:00"}, "to be written as"),
        ({"range": "2h"}, "The ranges are"),
        ({"server": "00000000-0000-0000-0000-000000000000"}, "no such server"),
        ({"server": "' OR 1=1 --"}, "no such server"),
        ({"app": "7777777"}, "no such app"),
        ({"app": "9" * 30}, "no such app"),
        ({"app": "²"}, "no such app"),
        ({"family": "hms"}, "The filter family knows"),
        ({"type": "gossip"}, "The filter type knows"),
        ({"outcome": "good"}, "The filter outcome knows"),
        ({"attribution": "nobody"}, "The filter attribution knows"),
        ({"code": "<script>"}, "no such code"),
        ({"code": "x" * 5_000}, "longer than anything"),
        ({"server": "x" * 5_000}, "longer than anything"),
        ({"server": "a\0b"}, "longer than anything"),
    ],
)
def test_what_cannot_be_shown_is_said_and_the_default_is_shown(
    acme: Tenant, values: dict[str, str], notice: str
) -> None:
    found = asked(acme, **values)
    assert notice in " ".join(found.notices)
    assert is_default(found)


def test_what_is_no_filter_is_passed_over_however_long_it_is(acme: Tenant) -> None:
    assert asked(acme, utm_source="x" * 5_000).notices == ()


def test_servers_and_apps_of_others_are_not_there(acme: Tenant) -> None:
    other = tenant("Cosmos").server
    assert is_default(asked(acme, server=str(other.public_id)))
    assert asked(acme, server=other.name).notices == ("There is no such server: shown are all.",)


def test_a_server_is_found_by_its_id_and_by_its_name(acme: Tenant) -> None:
    by_name = asked(acme, server=acme.server.name)
    assert by_name.lookups == {"server_id": acme.server.pk}
    assert by_name == asked(acme, server=str(acme.server.public_id))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "America", "x" * 5_000])
def test_a_zone_that_does_not_exist_is_said_and_utc_is_used(acme: Tenant, zone: str) -> None:
    found = asked(acme, zone)
    assert str(found.zone) == "UTC"
    assert "time zone is not known" in found.notices[0]


def test_a_range_that_begins_before_what_is_kept_shows_what_is_left_and_says_so(acme: Tenant) -> None:
    found = asked(acme, since="2020-01-01T00:00", to="2026-01-01T00:00")
    assert "shown is what is left, since 3 Oct 2024" in found.notices[0]
    assert found.start == datetime(2024, 10, 3, 9, tzinfo=UTC)


def test_a_range_that_reaches_into_the_future_ends_now_and_says_so(acme: Tenant) -> None:
    found = asked(acme, since="2026-11-03T09:00", to="9000-01-01T00:00")
    assert found.end == NOW
    assert "reaches into the future" in found.notices[0]


def test_an_own_range_is_in_the_viewers_zone_and_its_link_says_the_same_everywhere(acme: Tenant) -> None:
    found = asked(acme, "Asia/Kolkata", since="2026-11-01T12:00", to="2026-11-01T13:00")
    assert found.start == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert found.query() == "from=2026-11-01T06%3A30Z&to=2026-11-01T07%3A30Z"
    assert found.words == "1 Nov 2026, 12:00 to 1 Nov 2026, 13:00"
    again = asked(acme, since="2026-11-01T06:30Z", to="2026-11-01T07:30Z")
    assert (again.start, again.end) == (found.start, found.end)


def test_a_long_range_is_widened_to_the_hours_that_are_counted(acme: Tenant) -> None:
    found = asked(acme, since="2026-10-01T12:10", to="2026-10-03T12:10")
    assert (found.start.minute, found.end.minute, hours(found)) == (0, 0, 49)


@pytest.mark.parametrize(("day", "length"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_days_of_23_and_25_hours_are_one_step_each(acme: Tenant, day: str, length: int) -> None:
    found = asked(acme, "Europe/Berlin", since="2026-01-01T00:00", to="2026-11-02T00:00")
    assert found.notices == ()
    begins = spans.steps(found.span, found.zone)
    local = [at.astimezone(found.zone) for at in begins]
    assert {(at.hour, at.minute) for at in local} == {(0, 0)}
    place = [f"{at:%Y-%m-%d}" for at in local].index(day)
    assert begins[place + 1] - begins[place] == timedelta(hours=length)


@pytest.mark.parametrize("name", spans.RANGES)
def test_each_range_is_shown_in_a_number_of_steps_that_a_chart_can_show(name: str) -> None:
    span = spans.last(name, NOW)
    assert 60 <= len(spans.steps(span, spans.zone_of("UTC"))) <= 200  # type: ignore[arg-type]
    assert span.before.end == span.start


def test_a_query_keeps_what_is_not_changed(acme: Tenant) -> None:
    found = asked(acme, range="7d", family="apns", code="no_app")
    assert found.query(code=None, outcome="failed") == "range=7d&family=apns&outcome=failed"
    assert found.query(range="1h", family="", code="") == "range=1h"
    assert found.query(start=HOUR, code="").startswith("from=2026-09-21T14%3A00Z&to=2026-11-03T09%3A30Z")


@pytest.mark.parametrize(
    ("values", "traces"),
    [
        ({}, "abcd"),
        ({"family": "apns"}, "abd"),
        ({"family": "other"}, ""),
        ({"type": "other"}, "b"),
        ({"type": "message"}, "acd"),
        ({"code": "no_app"}, "c"),
        ({"app": "0"}, "d"),
        ({"attribution": "customer"}, "c"),
        ({"outcome": "sent"}, "abd"),
        ({"outcome": "failures"}, "c"),
    ],
)
def test_the_log_is_filtered_as_the_counts_are(acme: Tenant, values: dict[str, str], traces: str) -> None:
    of = {"customer": acme.customer.pk, "server": acme.server.pk}
    write("a", 10, SENT, **of)
    write("b", 20, SENT, type="gossip", **of)
    write("c", 30, judge.refusal("no_app"), platform="android_rn-v2", **of)
    write("d", 40, SENT, app=None, **of)
    write("e", -40, SENT, **of)
    found = asked(acme, since="2026-09-21T14:00", to="2026-09-21T15:00", **values)
    assert found.notices == ()
    assert sorted(Delivery.objects.filter(found.of_log()).values_list("trace", flat=True)) == list(traces)
