"""A change costs what has changed, reaches the copy as well, and is found where nobody told of it."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone

from billing import customers, entitlements, tpns
from tenants import services
from tenants.directory import fingerprints, reading, version_stamp
from tenants.directory.live import Directory
from tenants.models import Credential, Customer, Entitlement, Proof, PushApp, Server, ServerKey, Site
from tests.tenants.conftest import Acme

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 50_000


def fill(acme: Acme) -> None:
    """Fifty thousand keys of the same server."""
    Entitlement.objects.update(key_quota=None)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tenants_serverkey (server_id, prefix, digest, name, created_at) "
            "SELECT %s, lpad(number::text, 8, '0'), decode(lpad(to_hex(number), 64, '0'), 'hex'), '', now() "
            "FROM generate_series(1, %s) AS number",
            [acme.server.pk, MANY],
        )


@contextlib.contextmanager
def rows_read() -> Iterator[list[int]]:
    """The number of rows of each query."""
    counts: list[int] = []

    def count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        counts.append(context["cursor"].rowcount)
        return result

    with connection.execute_wrapper(count):
        yield counts


def contents(directory: Directory) -> tuple[object, ...]:
    """All that a directory knows, whenever it was read."""
    found = directory.contents()
    apps = sorted(found.apps, key=lambda app: app.app_id)
    return dict(found.keys), apps, found.sharers, dict(found.listed), found.anonymous, found.canaries


def read_anew() -> tuple[object, ...]:
    fresh = Directory()
    fresh.load()
    return contents(fresh)


def test_a_key_among_fifty_thousand_is_added_and_revoked_by_reading_a_few_rows(acme: Acme) -> None:
    fill(acme)
    directory = Directory()
    directory.load()
    assert directory.find(f"{MANY:08d}") is not None
    untouched = directory.find("00000001")
    with rows_read() as counts:
        made = services.key_add(server=acme.server)
        directory.update()
        services.key_revoke(key=acme.key)
        directory.update()
    assert sum(max(0, count) for count in counts) < 60
    added, revoked = directory.find(made.row.prefix), directory.find(acme.key.prefix)
    assert added is not None
    assert added.active
    assert revoked is not None
    assert revoked.rejection_code == "revoked_key"
    assert directory.find("00000001") is untouched


def test_a_comparison_of_fifty_thousand_keys_that_finds_nothing_reads_a_few_rows(acme: Acme) -> None:
    fill(acme)
    directory = Directory()
    directory.load()
    with rows_read() as counts:
        directory.load()
    assert sum(max(0, count) for count in counts) < 20


def test_a_change_of_which_valkey_was_told_nothing_is_found_by_the_comparison_and_only_it_is_read(acme: Acme) -> None:
    other = customers.add(name="Other", offer="hpns").row
    lost = services.key_add(server=services.server_add(customer=other, name="o").row).row
    fill(acme)
    directory = Directory()
    directory.load()
    ServerKey.objects.filter(pk=lost.pk).update(revoked_at=timezone.now())
    with rows_read() as counts:
        directory.load()
    found = directory.find(lost.prefix)
    assert found is not None
    assert found.rejection_code == "revoked_key"
    assert sum(max(0, count) for count in counts) < 60


@pytest.mark.django_db(transaction=False)
@pytest.mark.parametrize(
    "change",
    [
        lambda acme: Customer.objects.filter(pk=acme.customer.pk).update(status="suspended"),
        lambda acme: Customer.objects.filter(pk=acme.customer.pk).update(offer="tpns"),
        lambda acme: Customer.objects.filter(pk=acme.customer.pk).update(content="generic"),
        lambda acme: Customer.objects.filter(pk=acme.customer.pk).update(canary=True),
        *(
            lambda acme, change=change: Entitlement.objects.filter(customer=acme.customer).update(**change)
            for change in (
                {"active": False},
                {"may_use_shared": False},
                {"tls_required": False},
                {"may_use_server_id": False},
                {"rate": 3, "burst": 4},
                {"in_flight": 77},
                {"server_rate": 3, "server_burst": 5},
                {"server_in_flight": 78},
                {"refusal": "licence_expired"},
            )
        ),
        lambda acme: Entitlement.objects.filter(customer=acme.customer).delete(),
        lambda acme: Server.objects.filter(pk=acme.server.pk).update(networks=["192.0.2.0/24"]),
        lambda acme: Server.objects.filter(pk=acme.server.pk).update(anonymous=True),
        lambda acme: ServerKey.objects.filter(pk=acme.key.pk).update(expires_at=timezone.now()),
        lambda acme: ServerKey.objects.filter(pk=acme.key.pk).update(prefix="AAAAAAAA"),
        lambda acme: ServerKey.objects.filter(pk=acme.key.pk).update(digest=bytes(32)),
        lambda acme: PushApp.objects.filter(pk=acme.app.pk).update(label="apple_other"),
        lambda acme: PushApp.objects.filter(pk=acme.app.pk).update(topic="com.other"),
        lambda acme: PushApp.objects.filter(pk=acme.app.pk).update(host="sandbox"),
        lambda acme: PushApp.objects.filter(pk=acme.app.pk).update(is_default=True),
        lambda acme: PushApp.objects.filter(pk=acme.app.pk).update(enabled=False),
        lambda acme: PushApp.objects.filter(pk=acme.app.pk).update(customer=acme.customer),
        lambda acme: Credential.objects.filter(pk=acme.credential.pk).update(sealed="v1:other"),
        lambda acme: Credential.objects.filter(pk=acme.credential.pk).update(slot="next"),
        lambda acme: Site.objects.filter(server=acme.server).update(public_key="another"),
        lambda acme: Proof.objects.filter(key=acme.key).update(public_key="another"),
        lambda acme: Proof.objects.filter(key=acme.key).update(proven_at=None),
        lambda acme: services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True),
    ],
)
def test_whatever_the_path_of_a_push_goes_by_is_found_by_the_comparison(
    acme: Acme, change: Callable[[Acme], object]
) -> None:
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    Site.objects.create(server=acme.server, how="fetched", mattermost_id="proven", public_key="of the site")
    now = timezone.now()
    Proof.objects.create(
        key=acme.key, mattermost_id="proven", public_key="k", how="fetched", proven_at=now, last="verified", last_at=now
    )
    directory = Directory()
    directory.load()
    before, prints = contents(directory), fingerprints.read()
    change(acme)
    assert fingerprints.read() != prints
    directory.load()
    assert contents(directory) == read_anew()
    assert contents(directory) != before


def test_a_directory_that_followed_each_change_is_as_one_that_is_read_anew(acme: Acme) -> None:
    directory = Directory()
    directory.load()

    def followed() -> None:
        installed = directory.installed
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(fingerprints, "read", lambda: pytest.fail("everything was compared"))
            directory.update()
        assert directory.installed > installed
        assert contents(directory) == read_anew()

    other = customers.add(name="Other", offer="eas").row
    server = services.server_add(customer=other, name="o").row
    services.key_add(server=server)
    followed()
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    entitlements.change(customer=other, may_use_server_id=True, may_use_shared=True)
    server_id = services.server_id_add(server=acme.server, mattermost_id="registered", confirmed=True).row
    followed()
    assert directory.listed("registered")
    services.server_id_remove(server_id=server_id)
    services.server_id_add(server=server, mattermost_id="registered", confirmed=True)
    followed()
    assert [each.customer_id for each in directory.listed("registered")] == [other.pk]
    app = services.app_add(customer=other, label="apple_own", topic="com.own", is_default=True).row
    followed()
    services.app_enable(app=app, enabled=False)
    followed()
    assert directory.route(other.pk, "apple_own", "apns") is None
    services.app_enable(app=acme.app, enabled=False)  # a shared one
    followed()
    services.app_enable(app=acme.app, enabled=True)
    tpns.add()
    followed()
    assert directory.anonymous() is not None
    customers.suspend(customer=other, reason="unpaid")
    followed()
    customers.erase(customer=Customer.objects.get(pk=other.pk))
    followed()
    assert not directory.listed("registered")
    assert not directory.knows(other.pk)


def test_a_spare_credential_that_expires_is_dropped_by_the_comparison_without_any_change(acme: Acme) -> None:
    Credential.objects.create(
        app=acme.app, slot="next", kind="apns_key", sealed="v1:x", key_id="S", expires_at=timezone.now() + timedelta(1)
    )
    directory = Directory()
    directory.load()
    app = directory.route(acme.customer.pk, "apple_rn", "apns")
    assert app is not None
    assert app.spare is not None
    before = fingerprints.read()
    Credential.objects.filter(slot="next").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert fingerprints.read() != before
    directory.load()
    app = directory.route(acme.customer.pk, "apple_rn", "apns")
    assert app is not None
    assert app.spare is None


def test_a_change_that_valkey_has_lost_leads_to_a_comparison(acme: Acme, valkey: redis.Redis) -> None:
    directory = Directory()
    directory.load()
    services.key_revoke(key=acme.key)
    valkey.delete(version_stamp.CHANGES_KEY)
    services.server_networks(server=acme.server, networks=["192.0.2.0/24"])
    assert version_stamp.changes_since(valkey, directory.version) is None
    directory.update()
    identity = directory.find(acme.key.prefix)
    assert identity is not None
    assert (identity.rejection_code, identity.networks) == ("revoked_key", ("192.0.2.0/24",))


def test_who_has_missed_more_changes_than_are_kept_compares(
    acme: Acme, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_stamp, "CHANGES_MAX", 3)
    version = version_stamp.current(valkey)
    for _ in range(3):
        version_stamp.bump(version_stamp.Change(7))
    assert version_stamp.changes_since(valkey, version) == (version_stamp.current(valkey), {(7, 0)})
    version_stamp.bump(version_stamp.Change(7, 8))
    assert version_stamp.changes_since(valkey, version) is None
    version = version_stamp.current(valkey)
    version_stamp.bump()
    assert version_stamp.changes_since(valkey, version) is None, "of anything"
    valkey.set(version_stamp.VERSION_KEY, 5)  # as after Valkey's clock was set back, or its file was lost in part
    version_stamp.bump(version_stamp.Change(7))
    assert version_stamp.current(valkey) > version


def test_a_part_is_read_with_few_queries(acme: Acme, django_assert_max_num_queries: Callable[..., Any]) -> None:
    with django_assert_max_num_queries(11):
        reading.read_part(1, 2, [acme.customer.pk, reading.SHARED], [], [])
