"""What a customer's page cannot write of billing, whatever is wrong with the page: as its role, without a manager."""

import copy

import pytest
from django.core import signing
from django.utils import timezone

from billing.incidents import subscribing
from billing.subscriptions import applying
from tenants import scope
from tests.roles import PAGES, acting_as
from tests.tenants.two_customers import Cast, count, page_of, refused, sql, two_customers

pytestmark = pytest.mark.django_db
NOT_ITS_OWN = (
    "UPDATE tenants_entitlement SET refusal = '', may_grow = true",
    "UPDATE billing_subscription SET cancel_at = NULL",
    "UPDATE billing_subscription SET anchor_at = now(), offer_pending = true",
    "INSERT INTO billing_subscription (customer_id, version_id, basis, starts_at, anchor_at, created_at, offer_pending)"
    " SELECT customer_id, (SELECT min(v.id) FROM billing_planversion v JOIN billing_plan p ON p.id = v.plan_id"
    " WHERE p.listed), 'paid', now(), now(), now(), true FROM billing_subscription",
    "INSERT INTO billing_planchange (subscription_id, before_id, after_id, at, amount_minor, currency, actor)"
    " SELECT id, version_id, version_id, now(), -100000, 'EUR', '' FROM billing_subscription",
    "UPDATE billing_laststanding SET state = 'active', serves = true",
    "INSERT INTO billing_incident (title, components, created_at, impact, started_at)"
    " VALUES ('x', '{}', now(), 'down', now())",
    "DELETE FROM billing_incident",
    "INSERT INTO billing_maintenancewindow (title, components, created_at, text, starts_at, ends_at)"
    " VALUES ('x', '{}', now(), 'x', now(), now() + interval '1 hour')",
    "DELETE FROM billing_maintenancewindow",
    "DELETE FROM billing_incidentupdate",
    "DELETE FROM billing_subscriber",
    "UPDATE billing_subscriber SET email = 'mallory@example.com'",
    "DELETE FROM billing_notice",
    "INSERT INTO billing_notice (email, kind, subject_id, subscriber, created_at, due_at, tries)"
    " VALUES ('victim@example.com', 'incident', 1, false, now(), now(), 0)",
    "UPDATE billing_invoicecounter SET last = last + 1",
    "INSERT INTO billing_invoicecounter (series, year, last, last_on) VALUES ('INV', 2031, 0, now())",
    "UPDATE billing_plan SET listed = true",
    "UPDATE billing_planversion SET price_minor = 0",
    "INSERT INTO billing_statusday (day, component, good, bad, unknown) VALUES (now(), 'x', 1, 0, 0)",
    "INSERT INTO billing_canaryminute (at, family, good, why, whose, ms, ack_id, settled)"
    " VALUES (now(), 'x', false, '', '', 1, '', true)",
    "DELETE FROM billing_canaryminute",
    "SELECT * FROM billing_slasecret",
    "INSERT INTO billing_usagelimit (customer_id, month, began_at, rate, burst) SELECT customer_id, now(), now(), 1, 1"
    " FROM billing_subscription",
    "UPDATE billing_usagerunning SET pushes = 0",
    "DELETE FROM billing_subscription",
    "UPDATE tenants_proof SET proven_at = now()",
)


@pytest.fixture(scope="module")
def made(kept_rows: None) -> Cast:
    return two_customers()


@pytest.fixture
def cast(made: Cast, db: None) -> Cast:
    return copy.deepcopy(made)


@pytest.mark.parametrize("statement", NOT_ITS_OWN)
def test_a_page_of_a_customer_writes_none_of_it(cast: Cast, statement: str) -> None:
    with page_of(cast.acme), refused():
        sql(statement)


@pytest.mark.parametrize(
    "statement", [each for each in NOT_ITS_OWN if "incident" in each or "window" in each or "counter" in each]
)
def test_a_page_of_nobodys_writes_nothing_of_the_services_own(cast: Cast, statement: str) -> None:
    with acting_as(PAGES), refused():
        sql(statement)


def test_a_turn_of_another_customers_is_none_of_this_one(cast: Cast) -> None:
    with page_of(cast.acme):
        sql("SELECT set_config('hpns.turn', %s, true)", str(cast.cosmos.customer.pk))
        with refused():
            sql("UPDATE tenants_entitlement SET refusal = ''")


def test_a_turn_ends_with_what_is_done_in_it_however_that_ends(cast: Cast) -> None:
    with page_of(cast.acme):
        with pytest.raises(ZeroDivisionError), applying.turn(cast.acme.customer):
            print(sql("UPDATE tenants_entitlement SET may_grow = may_grow")[0] / 0)
        with refused():
            sql("UPDATE tenants_entitlement SET refusal = ''")
        with applying.turn(cast.acme.customer), applying.turn(cast.acme.customer):
            assert sql("UPDATE tenants_entitlement SET may_grow = may_grow") == [1]
        with refused():
            sql("UPDATE tenants_entitlement SET refusal = ''")


MADE = (
    "INSERT INTO billing_subscriber (email, confirmed_at) VALUES ('a@example.com', now()), ('b@example.com', now())",
    "INSERT INTO billing_notice (email, kind, subject_id, subscriber, created_at, due_at, tries)"
    " VALUES ('a@example.com', 'incident', 1, true, now(), now(), 0)",
    "INSERT INTO billing_roundfailure (customer_id, round, why, times, first_at, last_at)"
    " VALUES (1, 'usage', 'x', 1, now(), now())",
)


@pytest.mark.parametrize("table", ["billing_subscriber", "billing_notice", "billing_roundfailure"])
def test_who_gets_mails_and_what_failed_is_read_by_staff_alone(cast: Cast, table: str) -> None:
    for statement in MADE:
        sql(statement)
    with page_of(cast.acme):
        assert count(table) == 0
    with acting_as(PAGES):
        assert count(table) == 0
    with acting_as(PAGES), scope.staff():
        assert count(table) > 0


def test_a_mailed_link_reaches_its_own_address_alone(cast: Cast) -> None:
    for statement in MADE:
        sql(statement)
    with acting_as(PAGES):
        sql("SELECT set_config('hpns.address', 'b@example.com', true)")
        assert sql("SELECT email FROM billing_subscriber") == [("b@example.com",)]
        assert sql("SELECT billing_subscribers()") == [(2,)]
    with acting_as(PAGES):
        assert subscribing.leave(email="B@example.com")
        assert not subscribing.leave(email="nobody@example.com")
        made = subscribing.confirm(token=signing.dumps("c@example.com", salt=subscribing._CONFIRM), now=timezone.now())
        assert made is not None
        assert made.changed
        assert count("billing_subscriber") == 0
    assert sql("SELECT email FROM billing_subscriber ORDER BY email") == [("a@example.com",), ("c@example.com",)]


def test_staff_and_the_links_of_mails_write_what_is_theirs(cast: Cast) -> None:
    with acting_as(PAGES):
        sql("SELECT set_config('hpns.address', 'a@example.com', true)")
        sql("INSERT INTO billing_subscriber (email, confirmed_at) VALUES ('a@example.com', now())")
        assert sql("DELETE FROM billing_subscriber") == [1]
        sql("DELETE FROM billing_notice")
    with acting_as(PAGES), scope.staff():
        sql("INSERT INTO billing_incident (title, components, created_at, impact, started_at)"
            " VALUES ('x', '{}', now(), 'down', now())")  # fmt: skip
        assert sql("UPDATE tenants_entitlement SET refusal = ''") == [2]
