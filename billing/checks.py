"""System checks of billing's settings, each with its number and a hint."""

from collections.abc import Sequence
from typing import Any, Final

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error

from billing.licences import issuers

KEYS_HINT: Final = (
    "LICENCE_KEYS is a folder of PEM files, each an issuer's RSA public key of 2048 bits; the file's name is the "
    "issuer's. Leave it empty to check no licences."
)


def licence_keys_are_usable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """billing.E001: the folder of issuers' keys, or a file in it, cannot be used; whatever else is in it counts."""
    found = issuers.load(settings.LICENCE_KEYS)
    return [Error(f"LICENCE_KEYS: {problem}.", hint=KEYS_HINT, id="billing.E001") for problem in found.problems]
