"""How far a server has proven who it is: its level, with the evidence, and what is missing for the next one."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from tenants.models import Customer, Proof, Server, ServerId, Site
from tenants.proofs import listeners
from tenants.proofs.listeners import Licensed


class Step(IntEnum):
    """The levels, in their order."""

    UNKNOWN = 0
    """Nobody has said anything."""
    CLAIMED = 1
    """A server_id, or the address of a site, was typed in: it proves nothing."""
    SEEN = 2
    """The site's documents were read: its domain has this server_id, this key, this licence."""
    PROVEN = 3
    """A push came with one of the server's keys and its signature verifies: the installation is the customer's."""
    LICENSED = 4
    """Proven, and billing has its licence."""


class SiteSummary(NamedTuple):
    """What a server's site says of its licence, and when. `verified`: we fetched it ourselves."""

    sku: str
    company: str
    users: int | None
    at: datetime
    verified: bool


@dataclass(frozen=True)
class Level:
    """A server's level. `mattermost_id`: the server_id that it is known by, "" for none; `site`: its documents, None
    before they were read; `proof`: by which it is proven; `last`: of its pushes, what was looked at last."""

    step: Step
    mattermost_id: str = ""
    site: Site | None = None
    proof: Proof | None = None
    last: Proof | None = None
    confirmed: bool = False

    @property
    def word(self) -> str:
        """The level in a word."""
        return self.step.name.lower()

    @property
    def missing(self) -> str:
        """What is missing for the next level, as whole sentences; "" for nothing."""
        if self.step <= Step.CLAIMED:
            return "Fetch the documents of its site, or paste them where we cannot reach it."
        if self.step is Step.SEEN:
            return self._unproven()
        if self.step is Step.PROVEN and self.site is None:
            return "The documents of its site, which say what licence it has: fetch or paste them."
        if self.step is Step.PROVEN:
            return "Its licence, if it has one."
        return ""

    def _unproven(self) -> str:
        site, last = self.site, self.last
        if site is None or last is None:
            return "A signed push with one of its keys: it is looked at within a minute, by itself."
        if last.mattermost_id != site.mattermost_id:
            return (
                f"Its site has the server ID {site.mattermost_id}, and its pushes carry {last.mattermost_id}: this is "
                "another server's site, or another server has its key."
            )
        return f"The last push that was looked at {last.get_last_display()}. {_ADVICE.get(last.last, _NEXT)}"


_NEXT = "The next signed push is looked at within a minute."
_ADVICE: dict[str, str] = {
    Proof.Last.UNSIGNED: "Mattermost signs pushes from 9.5.5, 9.6.3, 9.7.3 and 9.8 on: update it.",
    Proof.Last.BAD: "Something changes pushes on their way, or makes them up.",
    Proof.Last.OTHER: "Fetch the documents again: the site's key may have changed.",
    Proof.Last.REPLAYED: "Only pushes of its own prove anything.",
}


def level(server: Server, licensed: Licensed = listeners.is_licensed) -> Level:
    """The level of a server, in its customer's scope. `licensed` is billing's to decide."""
    site = Site.objects.filter(server=server).first()
    proofs = list(Proof.objects.filter(key__server=server).select_related("key").order_by("-last_at"))
    standing = set(Proof.objects.filter(Proof.standing(), key__server=server).values_list("pk", flat=True))
    proven = sorted(
        (each for each in proofs if each.pk in standing),
        # What the site says comes before what only pushes say, and what was verified lately before what was once.
        key=lambda each: (_is_sites(each, site), each.verified_at or each.last_at),
        reverse=True,
    )
    claims = list(ServerId.objects.filter(server=server))
    read = site if site is not None and site.fetched_at is not None else None
    known = {
        "site": read,
        "last": proofs[0] if proofs else None,
        "confirmed": any(each.confirmed_at is not None for each in claims),
    }
    if proven:
        name = proven[0].mattermost_id
        step = Step.LICENSED if licensed(server, name) else Step.PROVEN
        return Level(step, name, proof=proven[0], **known)  # type: ignore[arg-type]
    if read is not None:
        return Level(Step.SEEN, read.mattermost_id, **known)  # type: ignore[arg-type]
    if claims or site is not None:
        return Level(Step.CLAIMED, claims[0].mattermost_id if claims else "", **known)  # type: ignore[arg-type]
    return Level(Step.UNKNOWN, **known)  # type: ignore[arg-type]


def _is_sites(proof: Proof, site: Site | None) -> bool:
    return site is not None and (site.mattermost_id, site.public_key) == (proof.mattermost_id, proof.public_key)


def proven_ids(customer: Customer) -> set[str]:
    """The server_ids that a customer's servers have proven."""
    rows = Proof.objects.filter(Proof.standing(), key__server__customer=customer)
    return set(rows.values_list("mattermost_id", flat=True))


def site_summary(server: Server) -> SiteSummary | None:
    """What a server's site says of its licence; None before it was read."""
    row = Site.objects.filter(server=server, fetched_at__isnull=False).first()
    if row is None or row.fetched_at is None:
        return None
    return SiteSummary(row.sku, row.company, row.users, row.fetched_at, row.how == Site.How.FETCHED)
