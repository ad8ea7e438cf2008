"""`manage.py credential ...`: what it does, prints and how it ends, with the sandbox as Apple and Google."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from tenants import services
from tenants.models import Credential, PushApp
from tests.sandbox_fixture import SandboxClient
from tests.tenants import files

pytestmark = pytest.mark.django_db
APP = ("--shared", "--label", "apple_rn")


@pytest.fixture
def app(valkey: redis.Redis) -> PushApp:
    """A shared app without a credential."""
    return services.app_add(label="apple_rn", topic="com.mattermost.rn").row


def run(*arguments: str) -> Any:
    """What `credential WORDS` prints."""
    out = io.StringIO()
    call_command("credential", *arguments, stdout=out)
    return json.loads(out.getvalue())


def fails(*arguments: str) -> tuple[Any, str]:
    """What it prints all the same, and the line that it fails with."""
    out = io.StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("credential", *arguments, stdout=out)
    assert raised.value.returncode == 1
    assert "\n" not in str(raised.value)
    return json.loads(out.getvalue() or "null"), str(raised.value)


def demo_key(providers: SandboxClient) -> tuple[str, ...]:
    return ("--file", str(providers.demo.apns_key), "--team-id", providers.demo.team_id)


def strange_key(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "AuthKey_STRANGE123.p8"
    path.write_bytes(files.p8())
    return ("--file", str(path), "--team-id", "TEAM123456")


def test_a_file_is_recognised_and_checked_at_once(app: PushApp, providers: SandboxClient) -> None:
    report = run("add", *APP, *demo_key(providers), "--check")
    assert (report["kind"], report["key_id"], report["check_code"]) == ("apns_key", "TEAM123456/ABC123DEFG", "ok")
    assert report["check"] == {
        "code": "ok",
        "good": True,
        "about_the_credential": True,
        "meaning": "Apple accepts this key for com.mattermost.rn",
        "fix": "nothing to do",
    }


def test_a_bad_one_is_printed_and_fails(app: PushApp, providers: SandboxClient, tmp_path: Path) -> None:
    run("add", *APP, *strange_key(tmp_path))
    report, line = fails("check", *APP)
    assert report["check"]["code"] == report["refused_code"] == "apns_invalid_provider_token"
    assert line.startswith("apns_invalid_provider_token: Apple does not accept the key STRANGE123")


def test_from_a_waiting_key_to_the_only_one(app: PushApp, providers: SandboxClient, tmp_path: Path) -> None:
    first = run("add", *APP, *strange_key(tmp_path))
    second = run("add", *APP, *demo_key(providers), "--slot", "next")
    promoted = run("promote", *APP)
    assert (promoted["id"], promoted["slot"], promoted["check"]["good"]) == (second["id"], "current", True)
    assert run("remove", *APP)["id"] == first["id"]
    assert [row["id"] for row in run("list")] == [second["id"]]
    _, line = fails("promote", *APP)
    assert "has no next credential" in line


def test_a_bad_key_is_promoted_only_unchecked(app: PushApp, providers: SandboxClient, tmp_path: Path) -> None:
    run("add", *APP, *demo_key(providers))
    waiting = run("add", *APP, *strange_key(tmp_path), "--slot", "next")
    _, line = fails("promote", *APP)
    assert "is not promoted (apns_invalid_provider_token)" in line
    _, line = fails("promote", *APP, "--unchecked")
    assert "is refused (apns_invalid_provider_token)" in line
    Credential.objects.filter(pk=waiting["id"]).update(refused_at=None)
    assert run("promote", *APP, "--unchecked")["id"] == waiting["id"]


def test_the_doctor_says_what_cannot_be_opened_and_why(
    app: PushApp, providers: SandboxClient, tmp_path: Path, settings: Settings
) -> None:
    good = run("add", *APP, *demo_key(providers))
    waiting = run("add", *APP, *strange_key(tmp_path), "--slot", "next")
    assert [(row["sealed"], row["end"]) for row in run("doctor")] == [("ok", "never")] * 2
    Credential.objects.filter(pk=good["id"]).update(expires_at=timezone.now(), refused_at=timezone.now())
    Credential.objects.filter(pk=waiting["id"]).update(sealed="v1:lost:" + "A" * 100)
    report, line = fails("doctor")
    assert line == "1 of 2 credentials cannot be opened"
    by_id = {row["id"]: row for row in report}
    assert by_id[waiting["id"]]["sealed"] == "sealed with the key 'lost', which is not in VAULT_KEYS: put that key back"
    assert (by_id[good["id"]]["end"], bool(by_id[good["id"]]["refused_at"])) == ("expired", True)
    row = Credential.objects.get(pk=good["id"])
    other = services.app_add(label="apple_other", topic="com.other").row
    Credential.objects.create(app=other, kind=row.kind, sealed=row.sealed, key_id="moved")
    Credential.objects.filter(pk=waiting["id"]).update(sealed=row.sealed[:-9] + "AAAAAAAA=")
    report, line = fails("doctor")
    assert line == "2 of 3 credentials cannot be opened"
    assert ["altered" in one["sealed"] for one in report].count(True) == 2


def test_sealing_anew_does_what_it_can_and_names_the_rest(
    app: PushApp, providers: SandboxClient, tmp_path: Path, settings: Settings
) -> None:
    run("add", *APP, *demo_key(providers))
    lost = run("add", *APP, *strange_key(tmp_path), "--slot", "next")
    Credential.objects.filter(pk=lost["id"]).update(sealed="v1:lost:" + "A" * 100)
    settings.VAULT_KEYS = ["new:" + "A" * 43 + "=", *settings.VAULT_KEYS]
    _, line = fails("reseal")
    assert f"the credential {lost['id']}" in line
    assert "see `credential doctor`" in line
    assert Credential.objects.get(slot="current").sealed.startswith("v1:new:")
    services.credential_remove(app=app)
    assert run("reseal") == {"resealed": 0, "credentials": 0, "second_factors": 0}


def test_what_is_wrong_with_the_order_is_one_line(app: PushApp) -> None:
    assert "exactly one of" in fails("add", *APP)[1]
    assert "exactly one of" in fails("add", *APP, "--file", "x", "--p8", "y")[1]
    assert "no current credential" in fails("check", *APP)[1]
    assert "no next credential" in fails("remove", *APP)[1]
