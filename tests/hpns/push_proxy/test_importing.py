"""A reference push proxy's configuration becomes a customer with apps and credentials; nothing is changed unasked."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from billing import customers
from hpns.push_proxy import file
from tenants import services
from tenants.credentials import uploads
from tenants.models import AuditEvent, Credential, Customer, PushApp
from tests.tenants import files

pytestmark = pytest.mark.django_db

APPLE = {
    "Type": "apple_rn",
    "ApplePushUseDevelopment": False,
    "ApplePushCertPrivate": "",
    "ApplePushCertPassword": "",
    "ApplePushTopic": "com.example.app",
    "AppleAuthKeyFile": "./config/AuthKey_ABC123DEFG.p8",
    "AppleAuthKeyID": "ABC123DEFG",
    "AppleTeamID": "TEAM123456",
}
CERTIFIED = {
    "Type": "apple_beta",
    "ApplePushUseDevelopment": True,
    "ApplePushCertPrivate": "/etc/push/beta.pem",
    "ApplePushCertPassword": "opensesame",
    "ApplePushTopic": "",
    "AppleAuthKeyFile": "",
    "AppleAuthKeyID": "",
    "AppleTeamID": "",
}
IDLE = {**APPLE, "Type": "apple", "AppleAuthKeyFile": "", "ApplePushTopic": "com.example.old"}
WHOLE = {
    "ListenAddress": ":8066",
    "ThrottlePerSec": 300,
    "ThrottleMemoryStoreSize": 50000,
    "ThrottleVaryByHeader": "X-Forwarded-For",
    "EnableMetrics": True,
    "SendTimeoutSec": 30,
    "RetryTimeoutSec": 8,
    "EnableConsoleLog": True,
    "EnableFileLog": False,
    "LogFileLocation": "",
    "LogFormat": "plain",
    "LogLevel": "info",
    "ApplePushSettings": [IDLE, APPLE, CERTIFIED],
    "AndroidPushSettings": [
        {"Type": "android", "AndroidApiKey": "AIzaOldKey", "ServiceFileLocation": ""},
        {"Type": "android_rn", "ServiceFileLocation": "account.json"},
        {"Type": "android_idle", "ServiceFileLocation": ""},
    ],
}


@pytest.fixture
def folder(tmp_path: Path, valkey: redis.Redis) -> Path:
    """The push proxy's folder: its configuration in config/, and its key files, one of which lay elsewhere."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "AuthKey_ABC123DEFG.p8").write_bytes(files.p8())
    certificate = files.certificate(now=datetime.now(UTC), hosts="1")
    (tmp_path / "beta.pem").write_bytes(files.certificate_pem(certificate, files.pem(files.RSA_KEY, b"opensesame")))
    (config / "account.json").write_bytes(files.account())
    return tmp_path


def written(folder: Path, content: object) -> str:
    """The configuration's path, with this in it."""
    path = folder / "config" / "mattermost-push-proxy.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def imported(folder: Path, content: object, *options: str) -> dict[str, tuple[str, str]]:
    """The import's line for each part of the configuration: the result and the text."""
    out = io.StringIO()
    try:
        call_command(
            "import_push_proxy", written(folder, content), "--customer", "acme", "--json", *options, stdout=out
        )
    except CommandError:
        if not out.getvalue():
            raise
    lines: list[dict[str, Any]] = json.loads(out.getvalue())["lines"]
    return {line["about"]: (line["result"], line["text"]) for line in lines}


def fails(folder: Path, content: object, *options: str) -> str:
    with pytest.raises(CommandError) as raised:
        call_command(
            "import_push_proxy", written(folder, content), "--customer", "acme", *options, stdout=io.StringIO()
        )
    return str(raised.value)


def counts() -> tuple[int, int, int]:
    return Customer.objects.count(), PushApp.objects.count(), Credential.objects.count()


def files_of(folder: Path) -> tuple[str, ...]:
    return ("--files", str(folder))


def test_a_dry_run_tells_everything_and_changes_nothing(folder: Path) -> None:
    lines_by_part = imported(folder, WHOLE, *files_of(folder))
    assert {about: result for about, (result, _) in lines_by_part.items() if result != "left"} == {
        "customer": "took",
        "ApplePushSettings[2] apple_rn": "took",
        "ApplePushSettings[3] apple_beta": "took",
        "AndroidPushSettings[2] android_rn": "took",
    }
    assert counts() == (0, 0, 0)
    assert AuditEvent.objects.count() == 0


def test_applied_it_is_all_there_and_a_second_run_changes_nothing(folder: Path) -> None:
    options = (*files_of(folder), "--apply", "--name", "Acme Ltd", "--package", "android_rn=com.example.app")
    imported(folder, WHOLE, *options)
    acme = Customer.objects.get(slug="acme")
    assert (acme.name, acme.offer) == ("Acme Ltd", "eas")
    apps = {app.label: app for app in PushApp.objects.filter(customer=acme)}
    assert {label: (app.family, app.topic, app.host) for label, app in apps.items()} == {
        "apple_rn": ("apns", "com.example.app", "production"),
        "apple_beta": ("apns", "com.example.app", "sandbox"),
        "android_rn": ("fcm", "com.example.app", ""),
    }
    kinds = dict(Credential.objects.values_list("app__label", "kind"))
    assert kinds == {"apple_rn": "apns_key", "apple_beta": "apns_cert", "android_rn": "fcm_account"}
    events = AuditEvent.objects.count()
    again = imported(folder, WHOLE, *options)
    assert {result for result, _ in again.values()} == {"there", "left"}
    assert counts() == (1, 3, 3)
    assert AuditEvent.objects.count() == events
    assert AuditEvent.objects.filter(actor__startswith="manage.py import_push_proxy").count() == events


def test_every_member_of_the_file_is_spoken_of(folder: Path) -> None:
    lines_by_part = imported(folder, WHOLE, *files_of(folder))
    for member in WHOLE:
        if not member.endswith("PushSettings"):
            assert lines_by_part[member] == ("left", file.ELSEWHERE[member])
    assert lines_by_part["ApplePushSettings[1] apple"] == (
        "left",
        "it names no key and no certificate, so it was not in use",
    )
    assert "Google's old interface" in lines_by_part["AndroidPushSettings[1] android"][1]
    assert "was not in use" in lines_by_part["AndroidPushSettings[3] android_idle"][1]
    assert "--package android_rn=NAME" in lines_by_part["AndroidPushSettings[2] android_rn"][1]
    assert "opensesame" not in str(lines_by_part)
    assert "AIzaOldKey" not in str(lines_by_part)


def test_names_are_taken_in_any_case_and_unknown_ones_are_left(folder: Path) -> None:
    entry = {name.upper(): value for name, value in APPLE.items()} | {"Colour": "red", "appleteamid": "TEAM999999"}
    lines_by_part = imported(folder, {"applepushsettings": [entry], "listenaddress": ":1", "Pronto": True}, "--apply")
    assert lines_by_part["ApplePushSettings[1] apple_rn"][0] == "took"
    assert Credential.objects.get().key_id == "TEAM999999/ABC123DEFG"
    assert lines_by_part["listenaddress"][1].startswith("set HOST and PORT")
    assert lines_by_part["Pronto"] == ("left", "not known")


def test_of_two_entries_of_a_type_the_last_counts(folder: Path) -> None:
    lines_by_part = imported(
        folder, {"ApplePushSettings": [{**APPLE, "ApplePushTopic": "com.first"}, APPLE]}, "--apply"
    )
    assert PushApp.objects.get().topic == "com.example.app"
    assert "a later entry has the same Type" in lines_by_part["ApplePushSettings[1] apple_rn"][1]


def test_the_key_is_taken_where_there_is_a_certificate_too(folder: Path) -> None:
    lines_by_part = imported(folder, {"ApplePushSettings": [{**APPLE, "ApplePushCertPrivate": "old.pem"}]})
    result, text = lines_by_part["ApplePushSettings[1] apple_rn"]
    assert result == "took"
    assert "its certificate was left" in text


def test_what_is_wrong_names_the_file_and_the_rest_is_still_told(folder: Path) -> None:
    (folder / "config" / "AuthKey_ABC123DEFG.p8").write_bytes(files.pem(files.RSA_KEY))
    lines_by_part = imported(folder, WHOLE, "--apply")
    result, text = lines_by_part["ApplePushSettings[2] apple_rn"]
    assert (result, text) == (
        "trouble",
        "./config/AuthKey_ABC123DEFG.p8: the file holds a key, but no elliptic-curve one as Apple's .p8 files do",
    )
    assert lines_by_part["AndroidPushSettings[2] android_rn"][0] == "took"
    assert counts() == (0, 0, 0)
    assert "put the 1 right that are WRONG" in fails(folder, {"ApplePushSettings": [APPLE]}, "--apply")
    left = imported(folder, WHOLE, *files_of(folder), "--apply", "--skip", "apple_rn")
    assert left["ApplePushSettings[2] apple_rn"] == ("left", "as told by --skip")
    assert counts() == (1, 2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AppleAuthKeyFile": "nowhere/AuthKey_ZZZ123DEFG.p8"}, "is not there: give the folder"),
        ({"AppleAuthKeyFile": "beta.pem"}, "the private key is encrypted|is encrypted"),
        ({"AppleAuthKeyFile": "account.json"}, "another kind of credential"),
        ({"AppleAuthKeyID": "ZZZ123DEFG"}, "which of them is right"),
        ({"AppleTeamID": ""}, "it has no AppleTeamID, without which its key signs nothing"),
        ({"ApplePushTopic": ""}, "has no ApplePushTopic"),
        ({"ApplePushTopic": "com example"}, "bundle id or package name"),
        ({"Type": "apple-v2"}, "without -v"),
        ({"Type": ""}, "the label must be"),
        ({"Type": "android_rn"}, "must be of the family fcm"),
        ({"AppleAuthKeyFile": "", "ApplePushCertPrivate": "beta.pem"}, "is encrypted"),
        ({"AppleAuthKeyFile": "", "ApplePushCertPrivate": "beta.pem", "ApplePushCertPassword": "x"}, "password right"),
        (
            {"AppleAuthKeyFile": "", "ApplePushCertPrivate": "beta.pem", "ApplePushCertPassword": "opensesame"},
            "for Apple's sandbox host, the app uses production",
        ),
    ],
)
def test_each_trouble_is_told_in_one_line(folder: Path, change: dict[str, str], message: str) -> None:
    lines = imported(folder, {"ApplePushSettings": [{**APPLE, **change}]}, "--apply")
    [(result, text)] = [line for about, line in lines.items() if about != "customer"]
    assert result == "trouble"
    assert any(part in text for part in message.split("|")), text
    assert "\n" not in text
    assert counts() == (0, 0, 0)


def test_a_credential_that_is_there_is_never_replaced(folder: Path) -> None:
    acme = customers.add(name="Acme", offer="eas").row
    app = services.app_add(customer=acme, label="apple_rn", topic="com.example.app").row
    own = uploads.parse(files.p8(), key_id="OWN1234567", team_id="TEAM123456", owner=None)
    services.credential_add(app=app, parsed=own)
    lines_by_part = imported(folder, {"ApplePushSettings": [APPLE]}, "--apply")
    assert lines_by_part["customer"][0] == "there"
    result, text = lines_by_part["ApplePushSettings[1] apple_rn"]
    assert result == "left"
    assert "--slot next" in text
    assert Credential.objects.get().key_id == "TEAM123456/OWN1234567"


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("{", (), "is not JSON"),
        ("[" * 5000, (), "is not JSON"),
        ("[]", (), "no JSON object"),
        ({"ApplePushSettings": {}}, (), "no list of objects"),
        ({"ApplePushSettings": [{"Type": 7}]}, (), "Type of entry 1 of ApplePushSettings must be a text"),
        ({"ApplePushSettings": [{"ApplePushUseDevelopment": "yes"}]}, (), "must be true or false"),
        ('"' + "x" * 1_000_001 + '"', (), "larger than 1000 KB"),
        ({}, ("--package", "android_rn"), "TYPE=NAME"),
        ({}, ("--customer", "Not A Slug"), "slug must be"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(
    folder: Path, content: object, options: tuple[str, ...], message: str
) -> None:
    assert message in fails(folder, content, *options)


def test_a_customer_of_another_name_or_offer_is_not_touched(folder: Path) -> None:
    customers.add(name="Acme", offer="eas")
    assert "with another name" in fails(folder, {}, "--name", "Acme Ltd")
    assert "with another offer" in fails(folder, {}, "--offer", "hpns")
    imported(folder, {"ApplePushSettings": [APPLE]}, "--name", "Acme", "--offer", "eas")


def test_people_read_lines_and_what_to_do_next(folder: Path) -> None:
    def lines(*options: str) -> list[str]:
        out = io.StringIO()
        path = written(folder, {"ApplePushSettings": [APPLE], "LogFormat": "json", "AndroidPushSettings": None})
        call_command("import_push_proxy", path, "--customer", "acme", *options, stdout=out)
        return out.getvalue().splitlines()

    assert lines() == [
        "take   customer: acme (acme), offer eas",
        "take   ApplePushSettings[1] apple_rn: com.example.app on Apple's production host with Apple token key "
        "TEAM123456/ABC123DEFG",
        "leave  LogFormat: set LOG_FORMAT (json or plain)",
        "Nothing was changed: with --apply, 2 would be taken.",
    ]
    nobodys = written(folder, {"ApplePushSettings": [], "AndroidPushSettings": []})
    out = io.StringIO()
    call_command("import_push_proxy", nobodys, "--customer", "nobody", stdout=out)
    assert (
        out.getvalue().splitlines()[-1] == "Nothing was changed: with --apply, the customer would be made, and no app."
    )
    assert lines("--apply")[-1].startswith("Took 2. Next: `server add`")
    assert lines("--apply")[-1] == "There is nothing to take that is not here already."
