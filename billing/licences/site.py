"""What a Mattermost site itself says of its licence, compared with an uploaded one. Pure.

A site's public document (/api/v4/license/client) has plan, seats and company; it is a claim that agrees or does not,
never a proof: the signature is.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from billing.licences import skus


class Site(NamedTuple):
    """A site's own summary: its plan's short name ("" without a licence), its seats, and whom it is licensed to."""

    sku: str
    users: int
    company: str


class Licensed(Protocol):
    """What is compared of a licence, or of a proof."""

    @property
    def sku(self) -> str:
        """The plan's short name."""

    @property
    def users(self) -> int:
        """The seats."""

    @property
    def company(self) -> str:
        """Whom it was issued to."""


def differences(licence: Licensed, site: Site) -> list[str]:
    """How a licence differs from what the site says: such as "200 users, not 100"; none: they agree."""
    found = []
    if skus.title(licence.sku) != skus.title(site.sku):
        found.append(f"{skus.title(site.sku)}, not {skus.title(licence.sku)}")
    if licence.users != site.users:
        found.append(f"{site.users:,} users, not {licence.users:,}")
    if _words(licence.company) != _words(site.company):
        found.append(f"{site.company or 'no company'}, not {licence.company or 'no company'}")
    return found


def agrees_with_any(licences: Iterable[Licensed], site: Site) -> bool:
    """Whether the site runs with one of these: a renewal is uploaded here before it is installed there."""
    return any(not differences(each, site) for each in licences)


def _words(name: str) -> str:
    return " ".join(name.casefold().split())
