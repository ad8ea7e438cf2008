"""Which servers a server_id may stand for on a push without a key, and the public keys that speak for each."""

from collections.abc import Collection
from typing import Final

from django.db.models import Q, QuerySet

from tenants.models import Proof, Server, ServerId, Site

# Servers for which one server_id may stand; each costs a verification.
LISTED_MAX: Final = 4
Listed = list[tuple[str, Server, tuple[str, ...]]]


def read(alias: str, ids: Collection[str] | None = None) -> Listed:
    """Server_id, server and public keys, of one server_id those first who have proven it first, by three queries.

    `ids`: of these server_ids alone. Who has proven it is told from all others by the signature of each push; who has
    not, has no keys here and is confirmed by staff.
    """
    among = Q() if ids is None else Q(mattermost_id__in=ids)
    servers: dict[str, dict[int, Server]] = {}
    signers: dict[tuple[str, int], dict[str, None]] = {}
    for proof in proofs(alias).filter(among).select_related("key__server").order_by("proven_at"):
        server = proof.key.server
        servers.setdefault(proof.mattermost_id, {})[server.pk] = server
        signers.setdefault((proof.mattermost_id, server.pk), {})[proof.public_key] = None
    # The site's key may be newer than the pushes that were looked at.
    for mattermost_id, server_id, public_key in (
        sites(alias).filter(among).values_list("mattermost_id", "server", "public_key")
    ):
        if (mattermost_id, server_id) in signers:
            signers[mattermost_id, server_id][public_key] = None
    for row in confirmed(alias).filter(among).select_related("server"):
        servers.setdefault(row.mattermost_id, {}).setdefault(row.server_id, row.server)
    return [
        (mattermost_id, server, tuple(signers.get((mattermost_id, server.pk), ())))
        for mattermost_id, candidates in servers.items()
        for server in candidates.values()
    ]


def ids_of(alias: str, customers: Collection[int]) -> set[str]:
    """The server_ids that these customers' servers may stand for."""
    proven = proofs(alias).filter(key__server__customer__in=customers).values_list("mattermost_id", flat=True)
    by_staff = confirmed(alias).filter(server__customer__in=customers).values_list("mattermost_id", flat=True)
    return {*proven, *by_staff}


def proofs(alias: str) -> "QuerySet[Proof]":
    """Whose signatures say who they are."""
    return Proof.objects.using(alias).filter(Proof.standing())


def sites(alias: str) -> "QuerySet[Site]":
    """The documents that were fetched, whose keys count beside those of proofs."""
    return Site.objects.using(alias).filter(how=Site.How.FETCHED)


def confirmed(alias: str) -> "QuerySet[ServerId]":
    """The server_ids that staff answer for: one that waits is anybody's claim."""
    return ServerId.objects.using(alias).filter(confirmed_at__isnull=False)
