"""Mattermost's plans by the short names that licences carry (sku_short_name), and what each means here. Pure."""

from enum import StrEnum
from typing import Final, NamedTuple


class Tier(StrEnum):
    """What a licence brings: HPNS with its promise, or the test service's terms."""

    HPNS = "hpns"
    ENTRY = "entry"


class Sku(NamedTuple):
    """A plan of Mattermost: its name for people, and what it brings. Two names of one plan have one `name`."""

    name: str
    tier: Tier


PROFESSIONAL: Final = Sku("Professional", Tier.HPNS)
ENTERPRISE: Final = Sku("Enterprise", Tier.HPNS)
SKUS: Final[dict[str, Sku]] = {
    "e10": PROFESSIONAL,
    "professional": PROFESSIONAL,
    "e20": ENTERPRISE,
    "enterprise": ENTERPRISE,
    "advanced": Sku("Enterprise Advanced", Tier.HPNS),
    "entry": Sku("Entry", Tier.ENTRY),
}
VOUCHABLE: Final = ("E10", "professional", "E20", "enterprise", "advanced")
"""What staff may vouch for: whatever includes HPNS."""


def of(short_name: str) -> Sku | None:
    """The plan of this short name, in any case; None for one that is not known here."""
    return SKUS.get(short_name.strip().lower())


def title(short_name: str) -> str:
    """How people call it: "Professional"; what is not known, as it is."""
    sku = of(short_name)
    return sku.name if sku else short_name or "no plan"
