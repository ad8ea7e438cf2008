"""What staff type about customers: limits, what they may do, the test service. JSON, or one line that says why."""

import pytest
import redis
from django.core import mail
from django.core.management import CommandError
from pytest_django import Settings

from billing import customers, tpns
from tenants.models import AuditEvent, Customer, Role, Server
from tests.browsing import member
from tests.tenants.management.test_commands import run

pytestmark = pytest.mark.django_db
ACME = ("--slug", "acme")


@pytest.fixture(autouse=True)
def acme(valkey: redis.Redis) -> Customer:
    """A customer of the shared apps."""
    return customers.add(name="Acme", offer="hpns").row


def test_limits_are_changed_one_by_one_and_zero_takes_one_away() -> None:
    before = run("customer", "list")[0]["limits"]
    row = run("customer", "limits", *ACME, "--rate", "7", "--burst", "70", "--in-flight", "0")
    assert row["changed"]
    assert row["limits"] == {**before, "rate": 7, "burst": 70, "in_flight": None}
    assert not run("customer", "limits", *ACME, "--rate", "7")["changed"]
    assert run("customer", "limits", *ACME)["limits"] == row["limits"]


@pytest.mark.parametrize(
    ("what", "field", "yes"),
    [
        ("shared-apps", "may_use_shared", True),
        ("server-id", "may_use_server_id", True),
        ("plain-http", "tls_required", False),
        ("pushing", "entitled", True),
    ],
)
def test_each_thing_is_allowed_and_forbidden(what: str, field: str, yes: bool) -> None:
    for to, expected in (("no", not yes), ("yes", yes), ("no", not yes)):
        assert run("customer", "allow", *ACME, "--what", what, "--to", to)[field] is expected
    assert not run("customer", "allow", *ACME, "--what", what, "--to", "no")["changed"]


def test_an_offer_content_contacts_and_a_name_are_changed() -> None:
    assert run("customer", "offer", *ACME, "--offer", "tpns")["limits"]["rate"] == 5
    assert run("customer", "content", *ACME, "--to", "generic")["content"] == "generic"
    assert run("customer", "contacts", *ACME, "--to", "a@b.example, c@d.example")["contacts"] == [
        "a@b.example",
        "c@d.example",
    ]
    assert run("customer", "contacts", *ACME, "--to", "")["contacts"] == []
    renamed = run("customer", "rename", *ACME, "--name", "Acme Inc.")
    assert (renamed["name"], renamed["slug"]) == ("Acme Inc.", "acme")


def test_a_suspension_keeps_its_reason_and_who_ran_the_command() -> None:
    run("customer", "suspend", *ACME, "--reason", "unpaid")
    event = AuditEvent.objects.get(action="customer.suspend")
    assert event.details == {"reason": "unpaid"}
    assert event.actor.startswith("manage.py customer suspend (")
    assert run("customer", "resume", *ACME)["status"] == "active"


def test_a_suspension_by_command_needs_a_reason_and_writes_to_the_owners() -> None:
    with pytest.raises(CommandError, match="reason"):
        run("customer", "suspend", *ACME)
    with pytest.raises(CommandError, match="a reason is needed"):
        run("customer", "suspend", *ACME, "--reason", " ")
    member("ada", Customer.objects.get(slug="acme"), Role.OWNER)
    assert run("customer", "suspend", *ACME, "--reason", "unpaid")["mails"] == 1
    assert run("customer", "resume", *ACME)["mails"] == 1
    assert ["unpaid" in letter.body for letter in mail.outbox] == [True, False]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("customer limits --slug acme --rate 0", "set rate and burst both, or neither"),
        ("customer limits --slug acme --rate -1", "rate must be at least 1"),
        ("customer limits --slug acme --server-burst 99999999999", "server burst must be at most 1,000,000,000"),
        ("customer limits --slug nobody --rate 1", "no customer 'nobody'"),
        ("customer contacts --slug acme --to nobody", "is no e-mail address"),
        ("customer rename --slug acme --name ", "needs a name"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_changes_nothing(words: str, message: str) -> None:
    before = run("customer", "list")
    with pytest.raises(CommandError, match=message) as raised:
        run(*words.split(" "))
    assert "\n" not in str(raised.value)
    assert run("customer", "list") == before


@pytest.mark.parametrize(
    "words", ["customer offer --slug acme --offer gold", "customer allow --slug acme --what all --to yes"]
)
def test_a_choice_that_there_is_not_is_refused(words: str) -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        run(*words.split())


def test_the_test_service_is_prepared_once_and_says_whether_it_is_on(settings: Settings) -> None:
    settings.TEST_SERVICE = True
    first, second = run("tpns", "add"), run("tpns", "add")
    assert (first["changed"], first["on"], second["changed"]) == (True, True, False)
    settings.TEST_SERVICE = False
    assert run("tpns", "add")["on"] is False
    server = Server.objects.get(anonymous=True)
    assert (server.customer.slug, server.customer.offer) == (tpns.SLUG, "tpns")
    assert not server.keys.exists()


def test_a_customer_that_has_taken_the_test_services_name_is_not_made_it(acme: Customer) -> None:
    customers.add(name="Somebody", offer="hpns", slug=tpns.SLUG)
    with pytest.raises(CommandError, match="there is a customer test-service already, with the name Somebody"):
        run("tpns", "add")
    assert not Server.objects.filter(anonymous=True).exists()
