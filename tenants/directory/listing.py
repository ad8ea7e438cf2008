"""Which servers a server_id may stand for on a push without a key, and the public keys that speak for each."""

from typing import Final

from tenants.models import Proof, Server, ServerId, Site

# Servers for which one server_id may stand; each costs a verification.
LISTED_MAX: Final = 4
Listed = list[tuple[str, Server, tuple[str, ...]]]


def read(alias: str) -> Listed:
    """Server_id, server and public keys, of one server_id those first who have proven it first, by three queries.

    Who has proven it is told from all others by the signature of each push; who has not, has no keys here and is
    confirmed by staff.
    """
    servers: dict[str, dict[int, Server]] = {}
    signers: dict[tuple[str, int], dict[str, None]] = {}
    proofs = Proof.objects.using(alias).filter(Proof.standing()).select_related("key__server").order_by("proven_at")
    for proof in proofs:
        server = proof.key.server
        servers.setdefault(proof.mattermost_id, {})[server.pk] = server
        signers.setdefault((proof.mattermost_id, server.pk), {})[proof.public_key] = None
    # The site's key may be newer than the pushes that were looked at.
    sites = Site.objects.using(alias).filter(how=Site.How.FETCHED).values_list("mattermost_id", "server", "public_key")
    for mattermost_id, server_id, public_key in sites:
        if (mattermost_id, server_id) in signers:
            signers[mattermost_id, server_id][public_key] = None
    # One that waits is anybody's claim.
    for row in ServerId.objects.using(alias).filter(confirmed_at__isnull=False).select_related("server"):
        servers.setdefault(row.mattermost_id, {}).setdefault(row.server_id, row.server)
    return [
        (mattermost_id, server, tuple(signers.get((mattermost_id, server.pk), ())))
        for mattermost_id, candidates in servers.items()
        for server in candidates.values()
    ]
