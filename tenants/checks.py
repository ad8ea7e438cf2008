"""System checks of the secrets that this app needs, never quoted, and of how long it keeps what; each with a hint."""

import ssl
from collections.abc import Sequence
from typing import Any, Final

from django.apps.config import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error

from tenants import keys, vault

_CHANCE: Final = "base64.urlsafe_b64encode(os.urandom(32)).decode()"
MAKE_VAULT_KEY: Final = f"Make one with: python -c \"import base64, os; print('2026a:' + {_CHANCE})\""
MAKE_HASH_KEY: Final = f'Make one with: python -c "import base64, os; print({_CHANCE})" and never change it.'
DEMO_MARKERS: Final = ("demo", "test", "dev", "example", "changeme", "insecure")


def secrets_are_set(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001/E002: VAULT_KEYS missing or unusable; E003/E004: HASH_KEY missing or of an unusable length."""
    found: list[CheckMessage] = []
    entries = list(getattr(settings, "VAULT_KEYS", None) or ())
    if not entries:
        found.append(Error("VAULT_KEYS is not set: no credential can be kept.", hint=MAKE_VAULT_KEY, id="tenants.E001"))
    else:
        try:
            vault.QueueCipher(vault.parse_keys(entries))
        except vault.VaultError as error:
            hint = f"It is a list id:key,id:key; the first seals, all open. {MAKE_VAULT_KEY}"
            found.append(Error(f"VAULT_KEYS is unusable: {error}.", hint=hint, id="tenants.E002"))
    hash_key = getattr(settings, "HASH_KEY", b"") or b""
    if not hash_key:
        found.append(Error("HASH_KEY is not set: no server key can be made.", hint=MAKE_HASH_KEY, id="tenants.E003"))
    elif not keys.HASH_KEY_MIN <= len(hash_key) <= keys.HASH_KEY_MAX:
        text = f"HASH_KEY has {len(hash_key)} bytes; it needs {keys.HASH_KEY_MIN} to {keys.HASH_KEY_MAX}."
        found.append(Error(text, hint=MAKE_HASH_KEY, id="tenants.E004"))
    return found


def agreement_years_are_valid(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E007: AGREEMENT_YEARS is below nothing; the timetable would delete at once what the law wants kept."""
    if settings.AGREEMENT_YEARS >= 0:
        return []
    text = f"AGREEMENT_YEARS is {settings.AGREEMENT_YEARS}: what is kept of erased customers would be deleted at once."
    return [Error(text, hint="6 is the default, by the German Commercial Code.", id="tenants.E007")]


def site_ca_file_is_readable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E008: SITE_CA_FILE cannot be used; every site would be said to be out of reach."""
    path = settings.SITE_CA_FILE
    if not path:
        return []
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else str(error.strerror)
        hint = "It is a PEM file of certification authorities; leave it empty for those of the machine."
        return [Error(f"SITE_CA_FILE is unusable: {path}: {reason}.", hint=hint, id="tenants.E008")]
    return []


def secrets_are_not_for_trying_out(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """For a deployment. E005: a demo or all-alike vault key; E006: such a HASH_KEY; W001: one secret used twice."""
    found: list[CheckMessage] = []
    try:
        parsed = vault.parse_keys(getattr(settings, "VAULT_KEYS", None) or ())
    except vault.VaultError:
        parsed = {}  # tenants.E001 and E002 have said so already.
    for key_id, key in parsed.items():
        if looks_made_up(key) or key_id.lower().startswith(DEMO_MARKERS):
            text = f"The key {key_id!r} of VAULT_KEYS is one for trying out."
            found.append(Error(text, hint=MAKE_VAULT_KEY, id="tenants.E005"))
    hash_key: bytes = getattr(settings, "HASH_KEY", b"") or b""
    if hash_key and looks_made_up(hash_key):
        found.append(Error("HASH_KEY is one for trying out.", hint=MAKE_HASH_KEY, id="tenants.E006"))
    if hash_key and hash_key in (*parsed.values(), str(getattr(settings, "SECRET_KEY", "")).encode()):
        text = "HASH_KEY is also used as another secret, so that one leak would be two."
        found.append(checks.Warning(text, hint=MAKE_HASH_KEY, id="tenants.W001"))
    return found


def looks_made_up(key: bytes) -> bool:
    """Whether nobody drew this key: too few different bytes, or a word that stands for trying out."""
    return len(set(key)) < 12 or any(marker.encode() in key.lower() for marker in DEMO_MARKERS if len(marker) > 3)
