"""The round that asks again about credentials which their providers have refused: several at a time, and alone."""

import json
import threading
from datetime import timedelta

import pytest
import redis
from django.utils import timezone

from delivery.worker import credential_check
from tenants.directory.snapshot import AppRow
from tenants.models import Credential
from tests.delivery.worker.test_credential_check import apple, credential, google, stored
from tests.sandbox_fixture import SandboxClient

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(valkey: redis.Redis) -> None:
    """Changes are told to a Valkey of this test's own."""


def test_what_was_refused_lately_is_not_asked_about_again(providers: SandboxClient) -> None:
    row = credential(apple(providers))
    for ago, asked in ((timedelta(minutes=1), 0), (timedelta(minutes=10), 1)):
        Credential.objects.filter(pk=row.pk).update(refused_at=timezone.now() - ago, refused_code="apns_bad_key")
        assert credential_check.recheck() == asked
    assert stored(row).refused_at is None


def test_refused_credentials_are_asked_about_several_at_a_time_by_a_round_that_says_so(
    providers: SandboxClient, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = json.loads(providers.demo.service_account.read_text())
    first = [credential(apple(providers)), credential(google(account))]
    credential(apple(providers, key_id="OTHER12345"), first[0].app, "next")
    Credential.objects.all().update(refused_at=timezone.now() - timedelta(minutes=10), refused_code="apns_bad_key")
    said: list[object] = []
    together = threading.Barrier(3, action=lambda: said.append(valkey.get(credential_check.RUNNING)))

    def ask(app: AppRow) -> credential_check.Result:
        together.wait(20)
        return credential_check.Result("ok", True, True, False, "", "")

    monkeypatch.setattr(credential_check, "ask", ask)
    assert (credential_check.recheck(), said) == (3, [b"1"])
    assert not Credential.objects.filter(refused_at__isnull=False).exists()
    assert not valkey.exists(credential_check.RUNNING), "the next round may come"


def test_no_round_runs_beside_another(providers: SandboxClient, valkey: redis.Redis) -> None:
    row = credential(apple(providers))
    Credential.objects.filter(pk=row.pk).update(
        refused_at=timezone.now() - timedelta(minutes=10), refused_code="apns_bad_key"
    )
    valkey.set(credential_check.RUNNING, "1", ex=60)
    assert (credential_check.recheck(), providers.requests()) == (0, [])
    valkey.delete(credential_check.RUNNING)
    assert credential_check.recheck() == 1


def test_what_has_been_refused_for_a_month_is_left_to_people(providers: SandboxClient) -> None:
    row = credential(apple(providers))
    Credential.objects.filter(pk=row.pk).update(
        refused_at=timezone.now() - timedelta(days=31), refused_code="apns_bad_key"
    )
    assert (credential_check.recheck(), providers.requests()) == (0, [])
    assert credential_check.check(stored(row)).good, "by hand it is asked about"


def test_a_round_has_an_end_and_the_next_begins_with_what_waited(
    providers: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = credential(apple(providers))
    Credential.objects.filter(pk=row.pk).update(
        refused_at=timezone.now() - timedelta(minutes=10), refused_code="apns_bad_key"
    )
    monkeypatch.setattr(credential_check, "ROUND_SECONDS", 0.0)
    assert (credential_check.recheck(), providers.requests()) == (0, [])
    monkeypatch.setattr(credential_check, "ROUND_SECONDS", 60.0)
    assert credential_check.recheck() == 1
