"""The phones that the canary pushes to: CANARY_DEVICES, one for each provider at most."""

from collections.abc import Sequence
from typing import NamedTuple

from tenants.problem import ProblemError
from tenants.providers.table import PROVIDERS, family_of


class CanaryDevice(NamedTuple):
    """A phone: its provider's family, its platform as servers send it, and its device token, which nothing may show."""

    family: str
    platform: str
    token: str


def parse(entries: Sequence[str]) -> list[CanaryDevice]:
    """The phones out of "platform:token" entries. Raises ProblemError, which quotes no token."""
    found: dict[str, CanaryDevice] = {}
    for place, entry in enumerate(entries, 1):
        # A token may hold colons, a platform none.
        platform, _, token = (part.strip() for part in entry.partition(":"))
        family = family_of(platform)
        if not family or not token or not token.isascii() or not token.isprintable():
            names = " or ".join(row.platform for row in PROVIDERS.values())
            raise ProblemError(f"entry {place} is not platform:token, with a platform that begins with {names}")
        if family in found:
            raise ProblemError(f"entry {place} is a second phone of {PROVIDERS[family].name}")
        found[family] = CanaryDevice(family, platform, token)
    return [found[family] for family in PROVIDERS if family in found]
