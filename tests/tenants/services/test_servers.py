"""Changes to servers and to what they are known by: checked in plain words, audited once, told to whoever must know."""

from importlib import import_module

import pytest
import redis
from django.db import connection

from billing import customers, entitlements
from tenants import services
from tenants.audit import recording
from tenants.directory import version_stamp
from tenants.models import AuditEvent, Server, ServerId
from tenants.problem import ProblemError
from tests.tenants.conftest import Acme


@pytest.fixture
def cosmos(db: None, valkey: redis.Redis) -> Server:
    """The server of a stranger."""
    customer = customers.add(name="Cosmos", offer="hpns").row
    return services.server_add(customer=customer, name="chat").row


def events(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("id"))


# --- Names


@pytest.mark.django_db(transaction=True)
def test_a_new_name_is_audited_and_the_same_again_is_not(acme: Acme) -> None:
    assert services.server_rename(server=acme.server, name=" other ").changed
    assert not services.server_rename(server=acme.server, name="other").changed
    (event,) = events("server.rename")
    assert (event.customer_id, event.target, event.details) == (acme.customer.pk, "other", {"before": "main"})
    acme.server.refresh_from_db()
    assert acme.server.name == "other"


def test_the_name_of_another_server_is_refused_and_leaves_no_trace(acme: Acme) -> None:
    services.server_add(customer=acme.customer, name="second")
    with pytest.raises(ProblemError, match="there is a server with the name second already"):
        services.server_rename(server=acme.server, name="second")
    assert acme.server.name == "main"
    assert not events("server.rename")


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\r\nBcc: b", "a\x00b", "a\u2028b"])
def test_a_name_that_is_none_or_breaks_lines_is_refused(acme: Acme, name: str) -> None:
    with pytest.raises(ProblemError, match="name"):
        services.server_add(customer=acme.customer, name=name)
    with pytest.raises(ProblemError, match="name"):
        services.server_rename(server=acme.server, name=name)


# --- Networks


@pytest.mark.django_db(transaction=True)
def test_networks_are_kept_in_one_form_audited_and_told_once(acme: Acme, valkey: redis.Redis) -> None:
    before = version_stamp.current(valkey)
    row, changed = services.server_networks(
        server=acme.server, networks=[" 192.0.2.7 ", "2001:DB8::/32", "192.0.2.7/32"]
    )
    assert changed
    assert row.networks == ["192.0.2.7/32", "2001:db8::/32"]
    assert (after := version_stamp.current(valkey)) > before
    assert not services.server_networks(server=acme.server, networks=["192.0.2.7", "2001:db8::/32"]).changed
    assert version_stamp.current(valkey) == after
    assert services.server_networks(server=acme.server, networks=["", " "]).row.networks == []
    first, second = events("server.networks")
    assert first.details == {"before": "anywhere", "after": "192.0.2.7/32, 2001:db8::/32"}
    assert second.details["after"] == "anywhere"


def test_a_network_of_ipv4_in_ipv6_is_kept_as_ipv4(acme: Acme) -> None:
    row = services.server_networks(server=acme.server, networks=["::ffff:192.0.2.0/120", "192.0.2.0/24"]).row
    assert row.networks == ["192.0.2.0/24"]


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (["office"], "'office' is no network such as"),
        (["192.0.2.1/24"], "is no network"),
        (["192.0.2.0/99"], "is no network"),
        (["fe80::1%eth0"], "is no network"),
        (["fe80::%" + "x" * 100 + "/64"], "is no network"),
        (["x" * 100_000], "is no network"),
        (["192.0.2.0/24", "0.0.0.0/0"], "is everywhere"),
        (["::/0"], "is everywhere"),
        (["::ffff:0:0/96"], "is everywhere"),
        (["::ffff:192.0.2.0/24"], "the length must be 96 or more"),
        ([f"10.0.{n}.0/24" for n in range(51)], "50 networks at most"),
    ],
)
def test_networks_that_make_no_sense_are_refused(acme: Acme, networks: list[str], message: str) -> None:
    with pytest.raises(ProblemError, match=message) as raised:
        services.server_networks(server=acme.server, networks=networks)
    assert len(str(raised.value)) < 200
    assert not events("server.networks")


def test_the_longest_network_fits_its_column(acme: Acme) -> None:
    longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"
    assert services.server_networks(server=acme.server, networks=[longest]).row.networks == [longest]


# --- server_ids


@pytest.mark.django_db(transaction=True)
def test_a_server_id_that_staff_register_is_confirmed_at_once_audited_and_told(acme: Acme, valkey: redis.Redis) -> None:
    before = version_stamp.current(valkey)
    row, changed = services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    assert changed
    assert row.confirmed_at is not None
    assert (after := version_stamp.current(valkey)) > before
    assert not services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True).changed
    assert not services.server_id_add(server=acme.server, mattermost_id="registered").changed
    assert version_stamp.current(valkey) == after
    for action in ("server_id.add", "server_id.confirm"):
        (event,) = events(action)
        assert (event.customer_id, event.target, event.details) == (acme.customer.pk, "registered", {"server": "main"})


def test_a_server_id_that_a_customer_registers_waits(acme: Acme) -> None:
    row, changed = services.server_id_add(server=acme.server, mattermost_id="registered")
    assert changed
    assert row.confirmed_at is None
    assert not services.server_id_add(server=acme.server, mattermost_id="registered").changed
    assert len(events("server_id.add")) == 1
    assert not events("server_id.confirm")


@pytest.mark.django_db(transaction=True)
def test_confirming_is_audited_with_who_did_it_and_told_once(acme: Acme, valkey: redis.Redis) -> None:
    waiting = services.server_id_add(server=acme.server, mattermost_id="registered").row
    before = version_stamp.current(valkey)
    with recording.acting(recording.Actor(AuditEvent.Kind.STAFF, "staff@example.com")):
        row, changed = services.server_id_confirm(server_id=waiting)
    assert changed
    assert row.confirmed_at is not None
    assert (after := version_stamp.current(valkey)) > before
    assert not services.server_id_confirm(server_id=waiting).changed
    assert version_stamp.current(valkey) == after
    (event,) = events("server_id.confirm")
    assert (event.customer_id, event.target, event.actor) == (acme.customer.pk, "registered", "staff@example.com")


def test_staff_who_register_what_waits_confirm_it(acme: Acme) -> None:
    services.server_id_add(server=acme.server, mattermost_id="registered")
    assert services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True).changed
    assert ServerId.objects.get().confirmed_at is not None


@pytest.mark.parametrize("confirmed", [False, True])
def test_who_registered_a_server_id_first_keeps_no_other_customer_from_it(
    acme: Acme, cosmos: Server, confirmed: bool
) -> None:
    services.server_id_add(server=cosmos, mattermost_id="registered", confirmed=confirmed)
    row, changed = services.server_id_add(server=acme.server, mattermost_id="registered")
    assert (changed, row.server, row.confirmed_at) == (True, acme.server, None)
    assert ServerId.objects.filter(mattermost_id="registered").count() == 2


def test_a_server_id_is_confirmed_for_one_server_and_staff_are_told_for_which(acme: Acme, cosmos: Server) -> None:
    services.server_id_add(server=cosmos, mattermost_id="registered", confirmed=True)
    waiting = services.server_id_add(server=acme.server, mattermost_id="registered").row
    with pytest.raises(ProblemError, match="registered is confirmed for chat of cosmos already"):
        services.server_id_confirm(server_id=waiting)
    waiting.refresh_from_db()
    assert waiting.confirmed_at is None
    assert len(events("server_id.confirm")) == 1


def test_what_cannot_be_confirmed_is_not_registered_by_staff_either(acme: Acme, cosmos: Server) -> None:
    services.server_id_add(server=cosmos, mattermost_id="registered", confirmed=True)
    with pytest.raises(ProblemError, match="confirmed for chat of cosmos"):
        services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    assert ServerId.objects.get().server == cosmos
    assert len(events("server_id.add")) == 1


def test_a_server_id_of_another_server_of_the_same_customer_is_refused_in_words_that_name_nobody(acme: Acme) -> None:
    other = services.server_add(customer=acme.customer, name="second").row
    services.server_id_add(server=other, mattermost_id="registered", confirmed=True)
    with pytest.raises(ProblemError, match="registered already, with another server") as raised:
        services.server_id_add(server=acme.server, mattermost_id="registered")
    assert "second" not in str(raised.value)


def test_what_was_forgotten_while_staff_looked_is_not_confirmed(acme: Acme) -> None:
    seen = services.server_id_add(server=acme.server, mattermost_id="registered").row
    services.server_id_remove(server_id=ServerId.objects.get())
    with pytest.raises(ProblemError, match="registered was forgotten in the meantime"):
        services.server_id_confirm(server_id=seen)


def test_what_was_in_use_before_there_was_confirming_stays_in_use_and_all_else_waits(
    acme: Acme, cosmos: Server
) -> None:
    services.server_id_add(server=acme.server, mattermost_id="in-use")
    services.server_id_add(server=cosmos, mattermost_id="not-in-use")
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    with connection.cursor() as cursor:
        cursor.execute(import_module("tenants.migrations.0006_server_ids_are_confirmed").IN_FORCE)
    confirmed = {row.mattermost_id: row.confirmed_at is not None for row in ServerId.objects.all()}
    assert confirmed == {"in-use": True, "not-in-use": False}
    (event,) = events("server_id.confirm")
    assert (event.customer_id, event.target, event.actor) == (acme.customer.pk, "in-use", "manage.py migrate")
    assert event.details == {"server": "main"}


@pytest.mark.parametrize("text", ["", " ", "a b", "x" * 65, "a\n", "ünï", "٣", "a;b", "\x00"])
def test_what_is_no_server_id_is_refused(acme: Acme, text: str) -> None:
    with pytest.raises(ProblemError, match="a server_id has 26 letters and digits"):
        services.server_id_add(server=acme.server, mattermost_id=text)


@pytest.mark.django_db(transaction=True)
def test_a_server_id_that_is_forgotten_is_audited_told_and_free_again(
    acme: Acme, cosmos: Server, valkey: redis.Redis
) -> None:
    row = services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True).row
    before = version_stamp.current(valkey)
    services.server_id_remove(server_id=row)
    assert version_stamp.current(valkey) > before
    assert events("server_id.remove")[0].target == "registered"
    assert services.server_id_add(server=cosmos, mattermost_id="registered", confirmed=True).changed


# --- Keys


def test_what_is_done_to_keys_is_audited_with_who_did_it_and_without_the_secret(acme: Acme) -> None:
    with recording.acting(recording.Actor(AuditEvent.Kind.MEMBER, "ada@acme.example", 7, "203.0.113.9")):
        new = services.key_add(server=acme.server, name="office")
        services.key_revoke(key=new.row)
        services.key_revoke(key=new.row)
    (added,), (revoked,) = events("key.add")[1:], events("key.revoke")
    for event in (added, revoked):
        assert (event.actor_kind, event.actor, event.actor_id) == ("member", "ada@acme.example", 7)
        assert str(event.address) == "203.0.113.9"
        assert new.row.prefix in event.target
        assert new.text not in str(event.__dict__)
        assert new.text[12:] not in str(event.__dict__)
