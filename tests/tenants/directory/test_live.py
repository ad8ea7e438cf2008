"""The directory's sources: PostgreSQL first, else the sealed copy, and never the older in place of the newer."""

import threading
import time
from collections.abc import Callable

import pytest
import redis
from django.db import connection, connections, transaction
from pytest_django import Settings

from billing import customers
from tenants import services, vault
from tenants.credentials import sealing
from tenants.directory import kept_copy, reading, snapshot, version_stamp
from tenants.directory.live import Directory
from tenants.directory.lookup import DirectoryError
from tests.tenants.conftest import Acme
from tests.tenants.relay import Relay

pytestmark = pytest.mark.django_db(transaction=True)


def elsewhere(work: Callable[[], str]) -> str:
    """The result of `work` in a thread, which dials PostgreSQL anew."""
    results: list[str | BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except DirectoryError as error:
            results.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


def test_from_postgres_it_knows_the_key_the_app_and_the_sealed_credential(acme: Acme) -> None:
    directory = Directory()
    assert not directory.ready
    assert directory.load() == "postgres"
    assert (directory.ready, directory.problem) == (True, "")
    identity = directory.find(acme.key.prefix)
    assert identity is not None
    assert (identity.customer_id, identity.server_id, identity.rejection_code) == (acme.customer.pk, acme.server.pk, "")
    assert bytes(identity.digest) == bytes(acme.key.digest)
    app = directory.route(acme.customer.pk, "apple_rn", "apns")
    assert app is not None
    assert (app.app_id, app.credential_id, app.kind) == (acme.app.pk, acme.credential.pk, "apns_key")
    assert sealing.secret(app) == acme.secret


def test_reading_takes_few_queries_however_much_there_is(acme: Acme, django_assert_num_queries: Callable) -> None:
    for number in range(20):
        services.key_add(server=services.server_add(customer=acme.customer, name=str(number)).row)
    with django_assert_num_queries(12):
        reading.read(1)


@pytest.mark.parametrize("change", ["revoke", "suspend", "disentitle"])
def test_who_may_no_longer_push_is_known_with_the_reason(acme: Acme, change: str) -> None:
    if change == "revoke":
        services.key_revoke(key=acme.key)
    elif change == "suspend":
        customers.suspend(customer=acme.customer, reason="unpaid")
    else:
        acme.customer.entitlement.active = False
        acme.customer.entitlement.save()
    directory = Directory()
    directory.load()
    identity = directory.find(acme.key.prefix)
    assert identity is not None
    assert not identity.active
    assert identity.rejection_code == ("revoked_key" if change == "revoke" else "suspended")


def test_a_disabled_app_and_a_waiting_credential_are_not_used(acme: Acme) -> None:
    acme.credential.slot = "next"
    acme.credential.save()
    directory = Directory()
    directory.load()
    app = directory.route(acme.customer.pk, "apple_rn", "apns")
    assert app is not None
    assert (app.credential_id, app.kind, app.sealed) == (0, "", "")
    acme.app.enabled = False
    acme.app.save()
    directory.load()
    assert directory.route(acme.customer.pk, "apple_rn", "apns") is None


def test_without_postgres_a_process_starts_from_the_copy(acme: Acme, postgres_relay: Relay) -> None:
    assert elsewhere(Directory().load) == "postgres"
    postgres_relay.refuse()
    directory = Directory()
    assert elsewhere(directory.load) == "copy"
    assert directory.find(acme.key.prefix) is not None
    app = directory.route(acme.customer.pk, "apple_rn", "apns")
    assert app is not None
    assert sealing.secret(app) == acme.secret
    assert "PostgreSQL cannot be read" in directory.problem


def test_without_postgres_and_copy_a_process_knows_nobody_and_says_why(
    acme: Acme, valkey: redis.Redis, postgres_relay: Relay
) -> None:
    postgres_relay.refuse()
    valkey.delete(kept_copy.COPY_KEY)
    directory = Directory()
    with pytest.raises(DirectoryError, match=r"PostgreSQL cannot be read .*holds no copy"):
        elsewhere(directory.load)
    assert not directory.ready


def test_without_postgres_and_valkey_a_process_knows_nobody_and_says_why(
    acme: Acme, valkey_relay: Relay, postgres_relay: Relay
) -> None:
    postgres_relay.refuse()
    valkey_relay.refuse()
    directory = Directory()
    with pytest.raises(DirectoryError, match=r"PostgreSQL cannot be read .*Valkey cannot be reached"):
        elsewhere(directory.load)


def test_without_valkey_postgres_is_enough(acme: Acme, valkey_relay: Relay) -> None:
    valkey_relay.refuse()
    directory = Directory()
    assert directory.load() == "postgres"
    assert directory.find(acme.key.prefix) is not None
    assert "Valkey cannot be reached" in directory.problem


def test_an_outage_leaves_the_last_word_in_force(acme: Acme, valkey_relay: Relay, postgres_relay: Relay) -> None:
    directory = Directory()
    elsewhere(directory.load)
    postgres_relay.refuse()
    valkey_relay.refuse()
    assert elsewhere(directory.load) == "postgres"
    assert directory.find(acme.key.prefix) is not None


def test_a_newer_copy_of_another_process_is_taken_and_an_older_one_is_not(
    acme: Acme, valkey: redis.Redis, postgres_relay: Relay
) -> None:
    before, after = Directory(), Directory()
    elsewhere(before.load)
    services.key_revoke(key=acme.key)
    elsewhere(after.load)
    assert after.version > before.version
    postgres_relay.refuse()
    assert elsewhere(before.load) == "copy"
    revoked = before.find(acme.key.prefix)
    assert revoked is not None
    assert revoked.rejection_code == "revoked_key"

    valkey.delete(kept_copy.COPY_KEY)
    older = snapshot.Snapshot(after.version - 1, 0.0, {}, [], [])
    assert kept_copy.store_copy(valkey, older)
    elsewhere(after.load)
    assert after.find(acme.key.prefix) is not None


def test_a_reading_that_postgres_held_up_does_not_replace_a_newer_copy(acme: Acme, valkey: redis.Redis) -> None:
    directory = Directory()
    directory.load()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE tenants_entitlement")
        reading = threading.Thread(target=elsewhere, args=(directory.load,))
        reading.start()
        time.sleep(0.3)  # it has read the stamp, and waits for the table
        newer = snapshot.Snapshot(directory.version + 1, time.time(), {}, [], [])
        assert kept_copy.store_copy(valkey, newer)
        assert directory.load_copy("PostgreSQL does not answer") == "copy"
    reading.join()
    assert (directory.version, directory.source) == (newer.version, "copy")
    directory.load()  # begun after the copy was taken
    assert directory.source == "postgres"


def test_an_older_copy_never_replaces_a_newer_one_in_valkey(valkey: redis.Redis) -> None:
    def of(version: int, read_at: float) -> snapshot.Snapshot:
        return snapshot.Snapshot(version, read_at, {}, [], [])

    assert kept_copy.store_copy(valkey, of(1_700_000_000_000_002, 5.0))
    assert not kept_copy.store_copy(valkey, of(1_700_000_000_000_001, 6.0))
    assert not kept_copy.store_copy(valkey, of(1_700_000_000_000_002, 4.0))
    assert kept_copy.load_copy(valkey).read_at == 5.0
    assert kept_copy.store_copy(valkey, of(1_700_000_000_000_002, 5.5))
    assert kept_copy.store_copy(valkey, of(1_700_000_000_000_003, 1.0))
    assert kept_copy.load_copy(valkey).version == 1_700_000_000_000_003


def test_the_stamp_only_grows_also_when_valkey_lost_it(valkey: redis.Redis) -> None:
    seen = [version_stamp.current(valkey)]
    for _ in range(50):
        assert version_stamp.bump()
        seen.append(version_stamp.current(valkey))
    valkey.flushdb()
    seen.append(version_stamp.current(valkey))
    assert seen == sorted(set(seen))
    ahead = seen[-1] + 10**12  # as after Valkey's clock was set back
    valkey.set(version_stamp.VERSION_KEY, ahead)
    version_stamp.bump()
    assert version_stamp.current(valkey) == ahead + 1


def test_a_touch_without_valkey_says_so_and_breaks_nothing(
    valkey_relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    valkey_relay.refuse()
    assert not version_stamp.bump()
    assert "the change is saved, but Valkey cannot be reached" in caplog.text


@pytest.mark.parametrize("fault", ["key", "bytes", "form"])
def test_a_copy_that_cannot_be_used_is_said_to_be_so(valkey: redis.Redis, settings: Settings, fault: str) -> None:
    kept_copy.store_copy(valkey, snapshot.Snapshot(1, 1.0, {}, [], [], form=99 if fault == "form" else snapshot.FORM))
    if fault == "key":
        settings.VAULT_KEYS = ["other:" + "A" * 43 + "="]
    elif fault == "bytes":
        valkey.hset(kept_copy.COPY_KEY, "sealed", b"\x01 something else that is long enough for it")
    with pytest.raises(kept_copy.CopyError, match="cannot be used"):
        kept_copy.load_copy(valkey)


def test_the_copy_in_valkey_is_sealed(acme: Acme, valkey: redis.Redis) -> None:
    Directory().load()
    sealed = valkey.hget(kept_copy.COPY_KEY, "sealed")
    assert isinstance(sealed, bytes)
    assert acme.key.prefix.encode() not in sealed
    opened = vault.queue_cipher("directory").open_bytes(sealed, b"directory copy")
    assert acme.key.prefix.encode() in opened
