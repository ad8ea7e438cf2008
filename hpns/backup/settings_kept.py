"""The settings that a backup keeps: keys that cannot be made again, and without which the database is worth nothing.

VAULT_KEYS open the credentials and second factors, under HASH_KEY server keys are known, by SECRET_KEY sessions are.
"""

import base64

from django.conf import settings


def kept() -> dict[str, str]:
    """Each by its variable, spelled as the environment has it."""
    return {
        "SECRET_KEY": settings.SECRET_KEY,
        "VAULT_KEYS": ",".join(settings.VAULT_KEYS),
        "HASH_KEY": base64.urlsafe_b64encode(settings.HASH_KEY).decode(),
    }


def lacking(wanted: dict[str, str]) -> list[str]:
    """Which variables have to be set before this service can use what a backup with `wanted` holds.

    Another SECRET_KEY only ends sessions, and more vault keys than the backup's do no harm.
    """
    found = []
    if not set(wanted["VAULT_KEYS"].split(",")) <= set(settings.VAULT_KEYS):
        found.append("VAULT_KEYS")
    if wanted["HASH_KEY"] != base64.urlsafe_b64encode(settings.HASH_KEY).decode():
        found.append("HASH_KEY")
    return found
