"""System checks of what billing's parts need of the settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution

from billing.incidents import devices
from billing.licences import issuers
from tenants.problem import ProblemError

KEYS_HINT: Final = (
    "LICENCE_KEYS is a folder of PEM files, each an issuer's RSA public key of 2048 bits; the file's name is the "
    "issuer's. Leave it empty to check no licences."
)


def settings_are_usable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """billing.E001, E002; see the texts."""
    found: list[CheckMessage] = []
    try:
        devices.parse(settings.CANARY_DEVICES)
    except ProblemError as problem:
        text = f"CANARY_DEVICES is unusable: {problem}. There would be no canary."
        hint = "It has the form PLATFORM:TOKEN,PLATFORM:TOKEN, one for each provider."
        found.append(Error(text, hint=hint, id="billing.E001"))
    if settings.STATUS_DIR and not Path(settings.STATUS_DIR).is_absolute():
        text = "STATUS_DIR is no absolute path: each process would write the status page somewhere else."
        found.append(Error(text, hint="It is such as /var/lib/hpns/status.", id="billing.E002"))
    return found


def settings_are_for_production(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """For a deployment. billing.W001: nobody notices an outage in which nobody pushes."""
    if settings.CANARY_DEVICES:
        return []
    text = "CANARY_DEVICES is empty: an outage is noticed only by the pushes of customers, and is in no SLA at night."
    hint = "Name a phone of yours for each provider, and run manage.py canary setup."
    return [Caution(text, hint=hint, id="billing.W001")]


def licence_keys_are_usable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """billing.E003: the folder of issuers' keys, or a file in it, cannot be used; whatever else is in it counts."""
    found = issuers.load(settings.LICENCE_KEYS)
    return [Error(f"LICENCE_KEYS: {problem}.", hint=KEYS_HINT, id="billing.E003") for problem in found.problems]
