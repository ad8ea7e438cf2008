"""The table of push providers as customers deal with them, and what is looked up in it. Pure.

A new provider is a file beside this one and a row here; delivery/providers/table.py has the other half of it, how a
push is sent. The database holds families and kinds to this table by constraints: `manage.py makemigrations` writes the
migration that a new row needs.
"""

from typing import Final

from tenants.providers.apns import APNS
from tenants.providers.base import Provider
from tenants.providers.fcm import FCM

PROVIDERS: Final[dict[str, Provider]] = {row.family: row for row in (APNS, FCM)}
"""By family. The order is that of every list of them."""

PLATFORMS: Final = {row.platform: row.family for row in PROVIDERS.values()}
"""The family that a platform names by its head."""

FAMILY_OF_KIND: Final = {kind: row.family for row in PROVIDERS.values() for kind in row.kinds}
HOSTS: Final = tuple(dict.fromkeys(host for row in PROVIDERS.values() for host in row.hosts))


def family_of(label: str) -> str:
    """Return the family that a label names by its beginning ("apns" for "apple_rn"), "" if it names none.

    For defaults and texts only: the app that the label leads to knows its own provider.
    """
    for head, family in PLATFORMS.items():
        if label.startswith(head):
            return family
    return ""


def families() -> list[tuple[str, str]]:
    """The families with their labels, as choices of a field."""
    return [(row.family, row.name) for row in PROVIDERS.values()]


def kinds() -> list[tuple[str, str]]:
    """The kinds of credentials with their labels, as choices of a field."""
    return [(kind, label) for row in PROVIDERS.values() for kind, label in row.kinds.items()]


def hosts() -> list[tuple[str, str]]:
    """The hosts that an app may choose, with their labels, as choices of a field."""
    return [(host, host.capitalize()) for host in HOSTS]
