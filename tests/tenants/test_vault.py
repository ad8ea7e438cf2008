"""What is sealed opens with the right key for the right purpose, and in no other way."""

import base64
import json
import os

import pytest
from pytest_django import Settings

from tenants import vault
from tenants.vault import QueueCipher, Vault, VaultError


def entry(key_id: str, key: bytes | None = None) -> str:
    return f"{key_id}:{base64.urlsafe_b64encode(key or os.urandom(32)).decode()}"


OLD, NEW = entry("old"), entry("new")


def vault_of(*entries: str) -> Vault:
    return Vault(vault.parse_keys(entries))


def cipher_of(*entries: str) -> QueueCipher:
    return QueueCipher(vault.parse_keys(entries))


def test_a_sealed_secret_names_its_key_and_hides_its_text() -> None:
    sealed = vault_of(NEW, OLD).seal(b"the secret", "p")
    assert sealed.startswith("v1:new:")
    assert "secret" not in sealed
    assert vault_of(NEW).open_(sealed, "p") == b"the secret"


def test_a_dict_is_sealed_as_json() -> None:
    sealed = vault_of(NEW).seal({"key_pem": "ü"}, "p")
    assert json.loads(vault_of(NEW).open_(sealed, "p")) == {"key_pem": "ü"}


def test_the_settings_hold_the_keys(settings: Settings) -> None:
    settings.VAULT_KEYS = [OLD]
    sealed = vault.seal(b"x", "p")
    settings.VAULT_KEYS = [NEW, OLD]
    assert vault.open_(sealed, "p") == b"x"
    settings.VAULT_KEYS = [NEW]
    with pytest.raises(VaultError):
        vault.open_(sealed, "p")


def test_any_listed_key_opens_and_resealing_moves_to_the_primary() -> None:
    sealed = vault_of(OLD).seal(b"x", "p")
    both = vault_of(NEW, OLD)
    assert both.open_(sealed, "p") == b"x"
    moved = both.reseal(sealed, "p")
    assert moved.startswith("v1:new:")
    assert vault_of(NEW).open_(moved, "p") == b"x"
    assert both.reseal(moved, "p") == moved


def test_a_key_that_is_missing_is_named() -> None:
    with pytest.raises(VaultError, match="'old', which is not in VAULT_KEYS"):
        vault_of(NEW).open_(vault_of(OLD).seal(b"x", "p"), "p")


def test_another_key_under_the_same_id_opens_nothing() -> None:
    with pytest.raises(VaultError, match="another key"):
        vault_of(entry("old")).open_(vault_of(OLD).seal(b"x", "p"), "p")


def test_another_purpose_opens_nothing() -> None:
    sealed = vault_of(NEW).seal(b"x", "credential of app 1")
    with pytest.raises(VaultError, match="another purpose"):
        vault_of(NEW).open_(sealed, "credential of app 2")
    with pytest.raises(VaultError, match="another purpose"):
        vault_of(NEW).reseal(sealed, "credential of app 2")


@pytest.mark.parametrize("text", ["", "v1", "v1:new", "v2:new:x", "-----BEGIN PRIVATE KEY-----", "v1:new:é"])
def test_what_was_never_sealed_is_refused(text: str) -> None:
    with pytest.raises(VaultError):
        vault_of(NEW).open_(text, "p")


def test_a_changed_character_is_noticed() -> None:
    sealed = vault_of(NEW).seal(b"x" * 40, "p")
    at = len(sealed) // 2
    with pytest.raises(VaultError, match="altered"):
        vault_of(NEW).open_(sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :], "p")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "empty"),
        (["nocolon"], "entry 1"),
        ([OLD, "b ad:xx"], "entry 2"),
        (["a:not base64!"], "'a'"),
        (["a:ü"], "'a'"),
        (["a:" + base64.urlsafe_b64encode(b"short").decode()], "5 bytes instead of 32"),
        ([OLD, OLD], "occurs twice"),
    ],
)
def test_each_fault_of_the_list_is_said_without_quoting_a_key(entries: list[str], message: str) -> None:
    with pytest.raises(VaultError, match=message) as raised:
        vault.parse_keys(entries)
    for text in entries:
        assert text.partition(":")[2] == "" or text.partition(":")[2] not in str(raised.value)


def test_queue_bytes_open_with_any_listed_key_and_the_same_aad() -> None:
    sealed = cipher_of(OLD).seal_bytes(b"batch", b"aad")
    assert cipher_of(NEW, OLD).open_bytes(sealed, b"aad") == b"batch"
    assert len(sealed) == 1 + 4 + 12 + len(b"batch") + 16
    assert cipher_of(OLD).seal_bytes(b"batch", b"aad") != sealed


def test_queue_bytes_refuse_another_aad_a_missing_key_and_another_purpose() -> None:
    sealed = cipher_of(OLD).seal_bytes(b"batch", b"aad")
    with pytest.raises(VaultError, match="another purpose"):
        cipher_of(OLD).open_bytes(sealed, b"other")
    with pytest.raises(VaultError, match="not in VAULT_KEYS"):
        cipher_of(NEW).open_bytes(sealed, b"aad")
    with pytest.raises(VaultError, match="not in VAULT_KEYS"):
        QueueCipher(vault.parse_keys([OLD]), "directory").open_bytes(sealed, b"aad")


def test_every_changed_byte_of_queue_bytes_is_noticed() -> None:
    cipher = cipher_of(OLD)
    sealed = cipher.seal_bytes(b"batch", b"aad")
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(VaultError):
            cipher.open_bytes(changed, b"aad")
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            cipher.open_bytes(sealed[:length], b"aad")


def test_one_key_under_two_ids_still_seals_and_opens() -> None:
    key = os.urandom(32)
    cipher = cipher_of(entry("a", key), entry("b", key))
    assert cipher.open_bytes(cipher.seal_bytes(b"x", b""), b"") == b"x"
