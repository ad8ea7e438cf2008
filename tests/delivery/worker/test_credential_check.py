"""Asking a provider about a credential: a good one is text from a bad one, and nothing reaches a phone."""

import json
from typing import Any

import pytest
import redis
from django.utils import timezone
from pytest_django import Settings

from delivery.providers import table
from delivery.providers.apns import outcomes as apns
from delivery.providers.fcm import outcomes as fcm
from delivery.worker import credential_check
from delivery.worker.credential_check import Result
from tenants import services
from tenants.credentials import uploads
from tenants.models import AuditEvent, Credential, PushApp
from tenants.problem import ProblemError
from tenants.providers import apple_files
from tenants.providers.base import Parsed
from tests.sandbox_fixture import SandboxClient
from tests.tenants import files

pytestmark = pytest.mark.django_db

NOBODY = {family: provider.trial.nobody for family, provider in table.PROVIDERS.items()}


@pytest.fixture(autouse=True)
def _store(valkey: redis.Redis) -> None:
    """Changes are text to a Valkey of this test's own."""


def apple(providers: SandboxClient, **given: Any) -> Parsed:
    """The demo's token key."""
    made = providers.demo
    ids = {"key_id": made.key_id, "team_id": made.team_id, **given}
    return apple_files.apple_key(made.apns_key.read_bytes(), **ids)


def google(account: dict[str, str]) -> Parsed:
    return uploads.parse(json.dumps(account).encode(), owner=None)


def an_app(family: str = "apns", topic: str = "com.mattermost.rn", **given: Any) -> PushApp:
    label = "apple_rn" if family == "apns" else "android_rn"
    return services.app_add(label=label, topic=topic, **given).row


def credential(parsed: Parsed, app: PushApp | None = None, slot: str = "current") -> Credential:
    app = app or an_app("fcm" if parsed.kind == "fcm_account" else "apns")
    return services.credential_add(app=app, parsed=parsed, slot=slot).row


def stored(row: Credential) -> Credential:
    return Credential.objects.get(pk=row.pk)


def is_good(result: Result) -> bool:
    return (result.code, result.good, result.known, result.is_key_fault) == ("ok", True, True, False)


def test_a_good_key_of_apples_is_told_by_its_complaint_about_the_device(providers: SandboxClient) -> None:
    row = credential(apple(providers))
    result = credential_check.check(row)
    assert is_good(result)
    assert result.meaning == "Apple accepts this key for com.mattermost.rn"
    [request] = providers.requests(NOBODY["apns"])
    assert request["answer"]["json"] == {"reason": "BadDeviceToken"}
    assert (stored(row).check_code, stored(row).refused_at) == ("ok", None)
    at = stored(row).checked_at
    assert at is not None
    assert abs((timezone.now() - at).total_seconds()) < 60
    assert AuditEvent.objects.filter(action="credential.check", target_id=row.pk).count() == 1


def test_a_provider_that_the_settings_except_is_asked_without_the_proxy(
    providers: SandboxClient, settings: Settings
) -> None:
    settings.HTTPS_PROXY = "http://127.0.0.1:1"  # nobody is there
    row = credential(apple(providers))
    assert credential_check.check(row).code == "transport_proxy"
    settings.NO_PROXY = "localhost"
    assert is_good(credential_check.check(row))


def test_a_good_certificate_is_as_good(providers: SandboxClient) -> None:
    pem = providers.add_certificate("com.example.certified")
    app = an_app(topic="com.example.certified")
    result = credential_check.check(credential(uploads.parse(pem, owner=None), app))
    assert is_good(result)
    assert "this certificate for com.example.certified" in result.meaning


def test_the_host_of_the_app_is_asked(providers: SandboxClient) -> None:
    assert is_good(credential_check.check(credential(apple(providers), an_app(host="sandbox"))))
    [request] = providers.requests(NOBODY["apns"])
    assert request["host"].startswith("127.0.0.1")


def test_a_good_service_account_is_asked_without_sending(providers: SandboxClient) -> None:
    row = credential(google(json.loads(providers.demo.service_account.read_bytes())))
    result = credential_check.check(row)
    assert is_good(result)
    assert result.meaning == "Google accepts this service account for project demo-project"
    [request] = providers.requests(provider="fcm")
    assert request["json"]["validate_only"] is True
    assert request["token"] == NOBODY["fcm"]


def test_a_key_that_apple_does_not_know_is_refused_in_words_that_help(providers: SandboxClient) -> None:
    row = credential(apple(providers, key_id="STRANGE123"))
    result = credential_check.check(row)
    assert (result.code, result.good, result.known, result.is_key_fault) == (
        "apns_invalid_provider_token",
        False,
        True,
        True,
    )
    assert result.meaning == "Apple does not accept the key STRANGE123 of the team TEAM123456"
    assert "Apple Push Notifications service" in result.fix
    assert stored(row).refused_code == stored(row).check_code == "apns_invalid_provider_token"


def test_a_wrong_topic_is_told_from_a_bad_key(providers: SandboxClient) -> None:
    row = credential(apple(providers), an_app(topic="com.example.foreign"))
    result = credential_check.check(row)
    assert (result.code, result.good, result.known, result.is_key_fault) == (
        "apns_topic_disallowed",
        False,
        True,
        False,
    )
    assert "com.example.foreign" in result.meaning
    assert stored(row).refused_at is None


def test_a_certificate_that_apple_does_not_list_is_refused(providers: SandboxClient) -> None:
    pem = providers.add_certificate("com.example.revoked")
    listed = json.loads(providers.demo.accounts.read_bytes())
    listed["apns_certs"] = []
    providers.demo.accounts.write_text(json.dumps(listed))
    result = credential_check.check(credential(uploads.parse(pem, owner=None), an_app(topic="com.example.revoked")))
    assert (result.code, result.is_key_fault) == ("apns_bad_certificate", True)


def test_an_account_whose_key_was_deleted_has_no_grant(providers: SandboxClient) -> None:
    account = providers.add_service_account("gone@demo-project.iam.gserviceaccount.com")
    listed = json.loads(providers.demo.accounts.read_bytes())
    listed["fcm"] = [one for one in listed["fcm"] if not one["client_email"].startswith("gone@")]
    providers.demo.accounts.write_text(json.dumps(listed))
    result = credential_check.check(credential(google(account)))
    assert (result.code, result.known, result.is_key_fault) == ("credential_unusable", True, True)
    assert "does not accept the key of this service account any more" in result.meaning
    assert providers.requests(provider="fcm") == []


def apns_response(status: int, reason: str) -> dict[str, Any]:
    return {"status": status, "json": {"reason": reason}}


def fcm_response(status: int, reason: str) -> dict[str, Any]:
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": reason}
    return {"status": status, "json": {"error": {"status": reason, "message": "m", "details": [detail]}}}


@pytest.mark.parametrize(
    ("status", "reason", "known", "refused"),
    [
        (400, "BadTopic", True, False),
        (400, "DeviceTokenNotForTopic", True, False),
        (400, "MissingTopic", True, False),
        (403, "BadCertificateEnvironment", True, True),
        (403, "BadEnvironmentKeyIdInToken", True, True),
        (403, "BadEnvironmentKeyInToken", True, True),
        (403, "Forbidden", True, True),
        (403, "ExpiredProviderToken", False, False),
        (429, "TooManyRequests", False, False),
        (500, "InternalServerError", False, False),
        (418, "Teapot", False, False),
    ],
)
def test_each_other_answer_of_apples_is_not_good(
    providers: SandboxClient, status: int, reason: str, known: bool, refused: bool
) -> None:
    providers.script(NOBODY["apns"], apns_response(status, reason))
    result = credential_check.check(credential(apple(providers)))
    assert (result.good, result.known, result.is_key_fault) == (False, known, refused)
    expected = apns.ANSWERS.get((status, reason), apns.UNKNOWN)
    assert result.code == expected.code
    assert result.meaning
    assert result.fix
    assert "{" not in result.meaning + result.fix


@pytest.mark.parametrize(("status", "reason"), [(410, "Unregistered"), (200, "")])
def test_who_complains_about_the_device_alone_or_not_at_all_has_accepted_the_key(
    providers: SandboxClient, status: int, reason: str
) -> None:
    providers.script(NOBODY["apns"], apns_response(status, reason))
    assert is_good(credential_check.check(credential(apple(providers))))


@pytest.mark.parametrize(
    ("status", "reason", "known", "refused"),
    [
        (401, "UNAUTHENTICATED", True, True),
        (403, "PERMISSION_DENIED", True, True),
        (403, "SENDER_ID_MISMATCH", True, False),
        (404, "NOT_FOUND", True, False),
        (400, "INVALID_ARGUMENT", False, False),
        (503, "UNAVAILABLE", False, False),
    ],
)
def test_each_other_answer_of_googles_is_not_good(
    providers: SandboxClient, status: int, reason: str, known: bool, refused: bool
) -> None:
    providers.script(NOBODY["fcm"], fcm_response(status, reason))
    result = credential_check.check(credential(google(json.loads(providers.demo.service_account.read_bytes()))))
    assert (result.good, result.known, result.is_key_fault) == (False, known, refused)
    assert result.code == fcm.ANSWERS[status, reason].code
    assert "{" not in result.meaning + result.fix


def test_a_device_that_google_has_forgotten_is_as_good_as_none(providers: SandboxClient) -> None:
    providers.script(NOBODY["fcm"], fcm_response(404, "UNREGISTERED"))
    assert is_good(credential_check.check(credential(google(json.loads(providers.demo.service_account.read_bytes())))))


def test_a_provider_that_cannot_be_reached_says_nothing_about_the_credential(providers: SandboxClient) -> None:
    providers.mode("down")
    row = credential(apple(providers))
    result = credential_check.check(row)
    assert (result.good, result.known, result.is_key_fault) == (False, False, False)
    assert result.code.startswith("transport_")
    assert stored(row).refused_at is None


def test_a_credential_that_cannot_be_opened_is_not_asked_about(providers: SandboxClient) -> None:
    row = credential(apple(providers))
    Credential.objects.filter(pk=row.pk).update(sealed="v1:other:x")
    result = credential_check.check(stored(row))
    assert (result.code, result.known, result.is_key_fault) == ("credential_unreadable", True, False)
    assert providers.requests() == []


def test_a_good_answer_ends_a_refusal(providers: SandboxClient) -> None:
    row = credential(apple(providers))
    services.credential_record_fault(app_id=row.app_id, credential_id=row.pk, code="apns_forbidden")
    assert stored(row).refused_at
    assert credential_check.check(stored(row)).good
    assert (stored(row).refused_at, stored(row).refused_code) == (None, "")


def test_promoting_asks_first(providers: SandboxClient) -> None:
    row = credential(apple(providers))
    bad = credential(apple(providers, key_id="STRANGE123"), row.app, "next")
    with pytest.raises(ProblemError, match=r"is not promoted .* does not accept the key STRANGE123"):
        credential_check.promote(app=row.app, expected_id=bad.pk)
    assert stored(bad).slot == "next"
    other = apple_files.apple_key(files.p8(), key_id=providers.demo.key_id, team_id="TEAM123456")
    services.credential_add(app=row.app, parsed=other, slot="next")
    services.credential_remove(app=row.app)
    good = credential(apple(providers), row.app, "next")
    promoted, result = credential_check.promote(app=row.app, expected_id=good.pk)
    assert (promoted.pk, result.code, stored(row).slot) == (good.pk, "ok", "next")


def test_promoting_what_is_not_there_any_more_is_refused_unasked(providers: SandboxClient) -> None:
    row = credential(apple(providers))
    with pytest.raises(ProblemError, match="somebody else"):
        credential_check.promote(app=row.app, expected_id=row.pk)
    assert providers.requests() == []


def test_no_secret_is_in_what_is_said(providers: SandboxClient) -> None:
    parsed = apple(providers, key_id="STRANGE123")
    text = " ".join(map(str, credential_check.check(credential(parsed))))
    assert parsed.secret["key_pem"].splitlines()[1] not in text
