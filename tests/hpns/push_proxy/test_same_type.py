"""Of several entries of one Type the one is taken that the reference push proxy used: the last that it could use."""

from pathlib import Path

import pytest
import redis

from tenants.models import Credential, PushApp
from tests.hpns.push_proxy.test_importing import APPLE, CERTIFIED, counts, fails, imported
from tests.tenants import files

pytestmark = pytest.mark.django_db

SAMPLE = {
    **CERTIFIED,
    "Type": "apple_rn",
    "ApplePushUseDevelopment": False,
    "ApplePushCertPrivate": "",
    "ApplePushCertPassword": "",
}
ACCOUNT = {"Type": "android_rn", "ServiceFileLocation": "account.json"}
LATER = "a later entry has the same Type, and the push proxy used that one"


@pytest.fixture
def folder(tmp_path: Path, valkey: redis.Redis) -> Path:
    """The push proxy's folder."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "AuthKey_ABC123DEFG.p8").write_bytes(files.p8())
    (config / "damaged.p8").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (config / "account.json").write_bytes(files.account())
    return tmp_path


def test_the_samples_empty_entry_behind_ones_own_does_not_hide_it(folder: Path) -> None:
    content = {
        "ApplePushSettings": [APPLE, SAMPLE],
        "AndroidPushSettings": [ACCOUNT, {"Type": "android_rn", "ServiceFileLocation": "", "AndroidApiKey": "old"}],
    }
    lines = imported(folder, content, "--apply")
    assert lines["ApplePushSettings[1] apple_rn"][0] == "took"
    assert lines["ApplePushSettings[2] apple_rn"] == (
        "left",
        "it names no key and no certificate, so it was not in use",
    )
    assert lines["AndroidPushSettings[1] android_rn"][0] == "took"
    assert "Google's old interface" in lines["AndroidPushSettings[2] android_rn"][1]
    assert counts() == (1, 2, 2)


def test_an_entry_whose_key_cannot_be_used_is_passed_over_for_an_earlier_one(folder: Path) -> None:
    damaged = {**APPLE, "AppleAuthKeyFile": "damaged.p8", "ApplePushTopic": "com.example.damaged"}
    lines = imported(
        folder, {"ApplePushSettings": [{**APPLE, "ApplePushTopic": "com.first"}, APPLE, damaged]}, "--apply"
    )
    assert lines["ApplePushSettings[1] apple_rn"] == ("left", LATER)
    assert lines["ApplePushSettings[2] apple_rn"][0] == "took"
    result, text = lines["ApplePushSettings[3] apple_rn"]
    assert result == "left"
    assert text.startswith("the push proxy passed it over")
    assert "damaged.p8" in text
    assert PushApp.objects.get().topic == "com.example.app"


def test_a_key_file_that_is_not_there_is_asked_for_though_an_earlier_entry_could_be_used(folder: Path) -> None:
    lines = imported(folder, {"ApplePushSettings": [APPLE, {**APPLE, "AppleAuthKeyFile": "gone.p8"}]})
    assert lines["ApplePushSettings[2] apple_rn"][0] == "trouble"
    assert lines["ApplePushSettings[1] apple_rn"] == ("left", LATER)


@pytest.mark.parametrize("missing", ["AppleAuthKeyID", "AppleTeamID", "AppleAuthKeyFile"])
def test_a_key_without_its_ids_leaves_the_signing_to_the_certificate(folder: Path, missing: str) -> None:
    from_now = files.certificate_pem(files.certificate(now=files.datetime.now(files.UTC)))
    (folder / "config" / "own.pem").write_bytes(from_now)
    lines = imported(
        folder, {"ApplePushSettings": [{**APPLE, "ApplePushCertPrivate": "own.pem", missing: ""}]}, "--apply"
    )
    result, text = lines["ApplePushSettings[1] apple_rn"]
    assert result == "took"
    assert Credential.objects.get().kind == "apns_cert"
    assert (f"has no {missing}" in text) is (missing != "AppleAuthKeyFile")


def test_a_file_of_which_nothing_can_be_taken_is_no_success(folder: Path) -> None:
    assert "put the 1 right" in fails(folder, {"ApplePushSettings": [SAMPLE]}, "--apply")
    assert counts() == (0, 0, 0)
    assert imported(folder, {"ApplePushSettings": [SAMPLE]})["apps"][0] == "trouble"
