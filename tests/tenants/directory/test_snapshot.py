"""How each may come, and how much: what the path of a push is told of keys, server_ids and the test service."""

import msgspec
import pytest

from billing import customers, entitlements, tpns
from billing.offers import Limits
from tenants import services
from tenants.directory import reading, snapshot
from tenants.directory.live import Directory
from tenants.directory.snapshot import Limit
from tenants.models import Entitlement, PushApp
from tests.tenants.conftest import Acme


def known(acme: Acme) -> snapshot.Identity:
    identity = reading.read(1).keys[acme.key.prefix]
    assert identity == snapshot.decode(snapshot.encode(reading.read(1))).keys[acme.key.prefix]
    return identity


def test_a_key_comes_with_its_limits_networks_content_and_whether_it_needs_tls(acme: Acme) -> None:
    assert (known(acme).tls, known(acme).networks, known(acme).content, known(acme).trial) == (
        True,
        (),
        "as_sent",
        False,
    )
    entitlements.change(
        customer=acme.customer,
        tls_required=False,
        rate=7,
        burst=70,
        in_flight=None,
        server_rate=None,
        server_burst=None,
    )
    services.server_networks(server=acme.server, networks=["192.0.2.0/24"])
    services.customer_content(customer=acme.customer, content="generic")
    identity = known(acme)
    assert (identity.tls, identity.networks, identity.content) == (False, ("192.0.2.0/24",), "generic")
    assert (identity.customer, identity.server) == (Limit(7, 70, 0), Limit(0, 0, 15_000))
    entitlements.to_offer(customer=acme.customer, offer="tpns")
    assert known(acme).trial


@pytest.mark.parametrize("keys", [2, 3, 4, 5])
def test_all_keys_are_read_though_few_are_at_a_time_and_the_networks_of_a_server_are_kept_once(
    acme: Acme, keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.server_networks(server=acme.server, networks=["192.0.2.0/24"])
    prefixes = {acme.key.prefix, *(services.key_add(server=acme.server).row.prefix for _ in range(keys - 1))}
    whole = reading.read(1).keys
    assert set(whole) == prefixes
    monkeypatch.setattr(reading, "KEYS_AT_ONCE", 2)
    assert reading.read(1).keys == whole
    assert len({id(identity.networks) for identity in whole.values()}) == 1


def test_a_customer_without_entitlement_is_refused_and_needs_tls(acme: Acme) -> None:
    acme.customer.entitlement.delete()
    identity = known(acme)
    assert (identity.rejection_code, identity.tls, identity.active) == ("suspended", True, False)


def listed(acme: Acme) -> snapshot.Identity | None:
    directory = Directory()
    directory.load()
    return next(iter(directory.listed("registered")), None)


def test_a_server_id_speaks_for_its_server_only_when_staff_allow_it(acme: Acme) -> None:
    services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    assert listed(acme) is None
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    identity = listed(acme)
    assert identity is not None
    assert (identity.key_id, identity.server_id, identity.customer_id) == (0, acme.server.pk, acme.customer.pk)
    assert (identity.tls, identity.anonymous, identity.digest) == (True, False, b"")
    entitlements.change(customer=acme.customer, may_use_server_id=False)
    assert listed(acme) is None


def test_a_server_id_that_waits_for_staff_speaks_for_nobody(acme: Acme) -> None:
    row = services.server_id_add(server=acme.server, mattermost_id="registered").row
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    assert listed(acme) is None
    services.server_id_confirm(server_id=row)
    assert listed(acme) is not None


def test_a_server_id_that_others_claim_speaks_for_the_server_that_it_is_confirmed_for(acme: Acme) -> None:
    squatter = services.server_add(customer=customers.add(name="Mallory", offer="hpns").row, name="m").row
    services.server_id_add(server=squatter, mattermost_id="registered")
    services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    for customer in (acme.customer, squatter.customer):
        entitlements.change(customer=customer, may_use_server_id=True)
    identity = listed(acme)
    assert identity is not None
    assert identity.server_id == acme.server.pk


def test_a_server_id_opens_no_shared_app_to_a_customer_that_may_use_none(acme: Acme) -> None:
    services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    entitlements.change(customer=acme.customer, may_use_server_id=True, may_use_shared=False)
    assert listed(acme) is None


def test_a_server_id_is_second_class_in_limits_and_never_without(acme: Acme) -> None:
    services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    entitlements.change(customer=acme.customer, may_use_server_id=True, server_rate=15, server_burst=100)
    identity = listed(acme)
    assert identity is not None
    assert (identity.server, identity.customer) == (Limit(2, 10, 1_500), Limit(200, 10_000, 1_500))
    entitlements.change(customer=acme.customer, **dict.fromkeys(Limits._fields))
    identity = listed(acme)
    assert identity is not None
    assert identity.server == identity.customer == snapshot.LISTED_LIMIT_MAX


def test_a_server_id_of_a_suspended_customer_is_known_with_the_reason(acme: Acme) -> None:
    services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    customers.suspend(customer=acme.customer, reason="unpaid")
    identity = listed(acme)
    assert identity is not None
    assert (identity.active, identity.rejection_code) == (False, "suspended")


def test_a_server_that_is_switched_off_is_refused_by_key_and_by_server_id_until_it_is_switched_on(acme: Acme) -> None:
    services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    services.server_enable(server=acme.server, enabled=False)
    (key,) = reading.read(1).keys.values()
    assert (key.active, key.rejection_code) == (False, "disabled_server")
    assert listed(acme) is None
    services.server_enable(server=acme.server, enabled=True)
    (key,) = reading.read(1).keys.values()
    assert key.active
    assert listed(acme) is not None


def test_a_server_id_moves_with_its_removal(acme: Acme) -> None:
    row = services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True).row
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    assert listed(acme) is not None
    services.server_id_remove(server_id=row)
    assert listed(acme) is None


def test_the_test_service_takes_pushes_without_a_key_in_its_own_first_class(acme: Acme) -> None:
    directory = Directory()
    directory.load()
    assert directory.anonymous() is None
    assert not directory.accepts_keyless(test_service=True)
    server = tpns.add().row
    directory.load()
    identity = directory.anonymous()
    assert identity is not None
    assert (identity.key_id, identity.server_id, identity.anonymous, identity.trial) == (0, server.pk, True, True)
    assert (identity.tls, identity.server) == (False, Limit(5, 100, 50))
    assert directory.accepts_keyless(test_service=True)
    assert not directory.accepts_keyless(test_service=False)


def test_a_test_service_that_may_not_use_the_shared_apps_takes_none(acme: Acme) -> None:
    server = tpns.add().row
    entitlements.change(customer=server.customer, may_use_shared=False)
    assert reading.read(1).anonymous == []


def test_a_customer_that_is_added_while_we_read_does_not_stop_the_reading(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True)
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    tpns.add()
    # What was read first is from before they were there.
    monkeypatch.setattr(Entitlement.objects, "using", lambda *_: Entitlement.objects.none())
    fresh = reading.read(1)
    assert (fresh.listed, fresh.anonymous, fresh.keys[acme.key.prefix].rejection_code) == ({}, [], "suspended")


def test_a_copy_of_another_form_is_not_read(acme: Acme) -> None:
    older = msgspec.structs.replace(reading.read(1), form=snapshot.FORM - 1)
    with pytest.raises(ValueError, match=f"this release reads form {snapshot.FORM}"):
        snapshot.decode(snapshot.encode(older))


def test_what_a_subscription_is_refused_for_comes_with_the_key_and_keeps_the_apps_for_wipes(acme: Acme) -> None:
    entitlements.change(customer=acme.customer, refusal="licence_expired", may_grow=False)
    assert (known(acme).refusal, known(acme).active, known(acme).rejection_code) == ("licence_expired", True, "")
    assert reading.read(1).sharers == [acme.customer.pk]


def test_an_app_that_is_switched_off_takes_nothing_and_is_told_from_none(acme: Acme) -> None:
    app = services.app_add(customer=acme.customer, label="apple_own", topic="com.example.app", host="production").row
    PushApp.objects.update(enabled=False)
    directory = Directory()
    directory.load()
    assert directory.route(acme.customer.pk, "apple_own", "apns") is None
    assert directory.is_switched_off(acme.customer.pk, app.label)
    assert not directory.is_switched_off(acme.customer.pk, "android_own")
    assert not directory.is_switched_off(acme.customer.pk + 1, app.label)
    assert directory.is_switched_off(0, "apple_rn"), "a shared one"


def test_a_server_id_that_nobody_has_confirmed_is_told_from_one_that_nobody_has_registered(acme: Acme) -> None:
    services.server_id_add(server=acme.server, mattermost_id="registered")
    directory = Directory()
    directory.load()
    assert directory.is_unlisted("registered")
    assert not directory.is_unlisted("another")
    assert directory.accepts_keyless(test_service=False)
