"""What is missing or weak in the settings is named with a hint, and never quoted."""

import base64
import os

import pytest
from django.core.checks import CheckMessage
from pytest_django import Settings

from tenants import checks

GOOD = "2026a:" + base64.urlsafe_b64encode(bytes(range(50, 82))).decode()
HASH_KEY = bytes(range(100, 132))


def ids(found: list[CheckMessage]) -> list[str | None]:
    assert all(message.hint for message in found)
    return [message.id for message in found]


@pytest.mark.parametrize(
    ("vault_keys", "hash_key", "expected"),
    [
        ([GOOD], HASH_KEY, []),
        ([], HASH_KEY, ["tenants.E001"]),
        (["x"], HASH_KEY, ["tenants.E002"]),
        ([GOOD, GOOD], HASH_KEY, ["tenants.E002"]),
        ([GOOD], b"", ["tenants.E003"]),
        ([GOOD], b"short", ["tenants.E004"]),
        ([GOOD], b"x" * 65, ["tenants.E004"]),
    ],
)
def test_each_missing_or_malformed_secret_has_its_error(
    settings: Settings, vault_keys: list[str], hash_key: bytes, expected: list[str]
) -> None:
    settings.VAULT_KEYS, settings.HASH_KEY = vault_keys, hash_key
    assert ids(checks.secrets_are_set(None)) == expected


@pytest.mark.parametrize(
    ("vault_keys", "hash_key", "expected"),
    [
        ([GOOD], HASH_KEY, []),
        (["demo:" + GOOD.partition(":")[2]], HASH_KEY, ["tenants.E005"]),
        (["a:" + base64.urlsafe_b64encode(b"v" * 32).decode()], HASH_KEY, ["tenants.E005"]),
        ([GOOD], b"h" * 32, ["tenants.E006"]),
        ([GOOD], b"this-is-an-example-of-a-hash-key", ["tenants.E006"]),
        ([GOOD], bytes(range(50, 82)), ["tenants.W001"]),
        ([], HASH_KEY, []),
    ],
)
def test_a_deployment_with_a_secret_for_trying_out_is_refused(
    settings: Settings, vault_keys: list[str], hash_key: bytes, expected: list[str]
) -> None:
    settings.VAULT_KEYS, settings.HASH_KEY = vault_keys, hash_key
    assert ids(checks.secrets_are_not_for_trying_out(None)) == expected


def test_a_drawn_secret_is_never_taken_for_a_made_up_one() -> None:
    assert not any(checks.looks_made_up(os.urandom(32)) for _ in range(2000))


def test_no_message_quotes_a_key(settings: Settings) -> None:
    secret = base64.urlsafe_b64encode(b"v" * 31).decode()
    settings.VAULT_KEYS, settings.HASH_KEY = [f"a:{secret}"], b"v" * 31
    found = [*checks.secrets_are_set(None), *checks.secrets_are_not_for_trying_out(None)]
    assert found
    assert not any(secret in f"{message.msg}{message.hint}" or "vvv" in message.msg for message in found)


@pytest.mark.parametrize(("years", "expected"), [(6, []), (0, []), (-1, ["tenants.E007"])])
def test_what_the_law_wants_kept_cannot_be_forgotten_by_a_slip(
    settings: Settings, years: int, expected: list[str]
) -> None:
    settings.AGREEMENT_YEARS = years
    assert ids(checks.agreement_years_are_valid(None)) == expected
