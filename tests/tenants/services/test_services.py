"""Each change is checked, made once, and told; what is ambiguous is refused."""

from datetime import timedelta

import pytest
import redis
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from billing import customers
from tenants import keys, services, vault
from tenants.credentials import sealing
from tenants.directory import version_stamp
from tenants.models import Credential, Customer, PushApp, ServerKey
from tenants.problem import ProblemError
from tenants.providers import apple_files, google_files
from tests.tenants import files
from tests.tenants.conftest import Acme


@pytest.mark.parametrize(("offer", "shares"), [("hpns", True), ("tpns", True), ("eas", False)])
def test_a_new_customer_is_entitled_to_what_was_agreed_on(
    db: None, valkey: redis.Redis, offer: str, shares: bool
) -> None:
    row, changed = customers.add(name="Cleo & Co.", offer=offer)
    assert changed
    assert (row.slug, row.status) == ("cleo-co", "active")
    assert (row.entitlement.active, row.entitlement.may_use_shared) == (True, shares)


def test_the_same_again_changes_nothing(acme: Acme, p8: bytes) -> None:
    assert customers.add(name="Acme", offer="hpns") == (acme.customer, False)
    assert services.server_add(customer=acme.customer, name="main") == (acme.server, False)
    assert services.app_add(label="apple_rn", topic="com.mattermost.rn", host="production") == (acme.app, False)
    parsed = apple_files.apple_key(p8, key_id="ABC123DEFG", team_id="TEAM123456")
    assert services.credential_add(app=acme.app, parsed=parsed) == (acme.credential, False)


@pytest.mark.django_db(transaction=True)
def test_a_change_is_told_only_after_its_commit(acme: Acme, valkey: redis.Redis) -> None:
    before = version_stamp.current(valkey)
    with transaction.atomic():
        customers.suspend(customer=acme.customer, reason="unpaid")
        assert version_stamp.current(valkey) == before
    assert version_stamp.current(valkey) > before


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_is_not_told(acme: Acme, valkey: redis.Redis) -> None:
    before = version_stamp.current(valkey)
    with transaction.atomic():
        customers.suspend(customer=acme.customer, reason="unpaid")
        transaction.set_rollback(True)
    assert version_stamp.current(valkey) == before


def test_suspending_and_resuming_say_what_is_news(acme: Acme) -> None:
    assert customers.suspend(customer=acme.customer, reason="unpaid").changed
    assert not customers.suspend(customer=acme.customer, reason="unpaid").changed
    assert customers.resume(customer=acme.customer).changed
    assert acme.customer.status == "active"


def test_a_key_is_made_each_time_and_its_text_is_kept_nowhere(acme: Acme, settings: Settings) -> None:
    row, text = services.key_add(server=acme.server, name="second")
    assert text != acme.text
    assert keys.parse(text) == (row.prefix, text[-32:])
    assert bytes(row.digest) == keys.digest(text, settings.HASH_KEY)


def test_a_key_that_would_be_expired_is_refused(acme: Acme) -> None:
    with pytest.raises(ProblemError, match="expired from the beginning"):
        services.key_add(server=acme.server, expires_at=timezone.now() - timedelta(seconds=1))


def test_revoking_is_final_and_keeps_its_first_time(acme: Acme) -> None:
    assert services.key_revoke(key=acme.key).changed
    first = acme.key.revoked_at
    assert first is not None
    assert not services.key_revoke(key=acme.key).changed
    assert acme.key.revoked_at == first


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label": ""}, "label must be"),
        ({"label": "apple rn"}, "label must be"),
        ({"label": "apple_rn-v2"}, "without -v"),
        ({"label": "windows"}, "family must be apns or fcm"),
        ({"label": "android_rn", "family": "apns"}, "must be of the family fcm"),
        ({"topic": "com/example"}, "bundle id or package name"),
        ({"topic": ""}, "bundle id or package name"),
        ({"topic": "1257222717"}, "is a number"),
        ({"topic": "UQ8HT4Q2XM.com.mattermost.rn"}, "the bundle id alone .com.mattermost.rn."),
        ({"topic": "com.mattermost.rn.voip"}, "the bundle id alone .com.mattermost.rn."),
        ({"label": "android_rn", "host": "sandbox"}, "only Apple has two hosts"),
        ({"host": "staging"}, "production or sandbox"),
        ({"label": "apple_rn", "topic": "com.other"}, "already, with another topic com.mattermost.rn"),
        ({"label": "apple_rn", "host": "sandbox"}, "already, with another host production"),
    ],
)
def test_a_wrong_app_is_refused(acme: Acme, given: dict[str, str], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        services.app_add(**{"label": "apple_new", "topic": "com.mattermost.rn", **given})


def test_a_second_default_of_a_family_is_refused(acme: Acme) -> None:
    services.app_add(customer=acme.customer, label="apple_one", topic="com.a", is_default=True)
    services.app_add(customer=acme.customer, label="android_one", topic="com.a", is_default=True)
    services.app_add(label="apple_two", topic="com.a", is_default=True)
    with pytest.raises(ProblemError, match="a default app of this family already"):
        services.app_add(customer=acme.customer, label="apple_three", topic="com.a", is_default=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "apple_rn"},  # a second shared app of the label
        {"label": "apple_x-v2"},
        {"label": "apple_x", "family": "fcm", "host": ""},
        {"label": "apple_x", "host": ""},
        {"label": "apple_x", "family": "windows"},
        {"label": "apple_x", "topic": "a b"},
    ],
)
def test_the_database_itself_refuses_a_wrong_app(acme: Acme, wrong: dict[str, str]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        PushApp.objects.create(**{"family": "apns", "topic": "com.a", "host": "production", **wrong})


def test_the_database_itself_refuses_other_ambiguities(acme: Acme) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Credential.objects.create(app=acme.app, kind="apns_key", sealed="v1:x:y", key_id="second current")
    with pytest.raises(IntegrityError), transaction.atomic():
        Credential.objects.create(app=acme.app, slot="next", kind="apns_key", sealed="PRIVATE KEY", key_id="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        ServerKey.objects.create(server=acme.server, prefix=acme.key.prefix, digest=b"d" * 32)
    with pytest.raises(IntegrityError), transaction.atomic():
        ServerKey.objects.create(server=acme.server, prefix="12345678", digest=b"short")
    with pytest.raises(IntegrityError), transaction.atomic():
        Customer.objects.filter(pk=acme.customer.pk).update(status="gone")


def test_another_secret_takes_the_place_of_the_first_under_another_id(acme: Acme) -> None:
    parsed = apple_files.apple_key(files.p8(), key_id="ZZZ123DEFG", team_id="TEAM123456")
    row, changed = services.credential_add(app=acme.app, parsed=parsed)
    assert changed
    assert row.pk != acme.credential.pk
    assert [one.pk for one in Credential.objects.filter(app=acme.app)] == [row.pk]
    assert sealing.open_(acme.app.pk, row.sealed) == parsed.secret


def test_the_next_credential_waits_beside_the_current_one(acme: Acme) -> None:
    parsed = apple_files.apple_key(files.p8(), key_id="ZZZ123DEFG", team_id="TEAM123456")
    services.credential_add(app=acme.app, parsed=parsed, slot="next")
    assert {one.slot for one in Credential.objects.filter(app=acme.app)} == {"current", "next"}


def test_a_sealed_secret_does_not_open_in_another_apps_row(acme: Acme) -> None:
    with pytest.raises(vault.VaultError, match="another purpose"):
        sealing.open_(acme.app.pk + 1, acme.credential.sealed)


def test_a_credential_must_fit_its_app(acme: Acme) -> None:
    account = google_files.service_account(files.account())
    with pytest.raises(ProblemError, match="of the family apns"):
        services.credential_add(app=acme.app, parsed=account)
    other = apple_files.apple_certificate_pem(files.certificate_pem(), now=files.NOW)
    with pytest.raises(ProblemError, match=r"is for com\.example\.app, the app is com\.mattermost\.rn"):
        services.credential_add(app=acme.app, parsed=other)
    sandbox = files.certificate(uid="com.mattermost.rn", name="x", hosts="1")
    parsed = apple_files.apple_certificate_pem(files.certificate_pem(sandbox), now=files.NOW)
    with pytest.raises(ProblemError, match="for Apple's sandbox host, the app uses production"):
        services.credential_add(app=acme.app, parsed=parsed)


def test_resealing_moves_everything_to_the_first_key(acme: Acme, settings: Settings) -> None:
    old = settings.VAULT_KEYS
    settings.VAULT_KEYS = ["new:" + "A" * 43 + "=", *old]
    assert services.credentials_reseal() == 1
    assert services.credentials_reseal() == 0
    settings.VAULT_KEYS = settings.VAULT_KEYS[:1]
    row = Credential.objects.get(pk=acme.credential.pk)
    assert sealing.open_(row.app_id, row.sealed) == acme.secret
    settings.VAULT_KEYS = old
    with pytest.raises(ProblemError, match="'new', which is not in VAULT_KEYS"):
        services.credentials_reseal()


def test_a_credential_that_no_longer_opens_can_be_added_again(acme: Acme, settings: Settings, p8: bytes) -> None:
    settings.VAULT_KEYS = ["new:" + "A" * 43 + "="]
    parsed = apple_files.apple_key(p8, key_id="ABC123DEFG", team_id="TEAM123456")
    row, changed = services.credential_add(app=acme.app, parsed=parsed)
    assert changed
    assert sealing.open_(row.app_id, row.sealed) == acme.secret
