"""Who sends pushes with a key, as samples of them come to the worker; and the documents of a site, as if fetched."""

from datetime import UTC, datetime, timedelta

from hpns.local.mattermost_site import Installation
from tenants.models import Finding, Proof, Server, ServerKey, Site
from tenants.proofs import evidence, signatures, sites
from tenants.proofs.documents import Documents
from tenants.proofs.evidence import Sample
from tests.roles import WORKER, acting_as

DEVICE = "ab" * 32
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


class Sender:
    """Who sends pushes with a key; each a minute after the last one."""

    def __init__(self, key: ServerKey, installation: Installation, server_id: str = "") -> None:
        self.key, self.installation = key, installation
        self.server_id = server_id or installation.diagnostic_id
        self.sent_elsewhere: set[str] = set()
        self.start = NOW

    def sample(self, minute: int = 0, **changes: object) -> Sample:
        push = self.installation.signed({"device_id": DEVICE})
        signed = signatures.read(push["signature"], push["ack_id"], DEVICE)
        at = int((NOW + timedelta(minutes=minute)).timestamp())
        made = Sample(
            self.key.pk, self.server_id, at, "signed", push["ack_id"], signed.digest.hex(), signed.signature.hex()
        )
        return made._replace(**changes)

    def push(self, minute: int = 0, **changes: object) -> Proof:
        return self.record(self.sample(minute, **changes))

    def record(self, sample: Sample) -> Proof:
        with acting_as(WORKER):
            evidence.record([sample], lambda ack_id, customer: ack_id in self.sent_elsewhere)
        return Proof.objects.get(key=self.key, mattermost_id=sample.mattermost_id)


def documents_of(installation: Installation, **changes: object) -> Documents:
    given = Documents(
        installation.diagnostic_id, "https://chat.example.com", installation.public_key, "11.1.0", *_LICENCE
    )
    return given._replace(**changes)


_LICENCE = (True, "professional", "Acme", 100, False)


def seen(server: Server, installation: Installation, at: datetime = NOW, **changes: object) -> Site:
    return sites.keep(
        server=server,
        found=documents_of(installation, **changes),
        how=Site.How.FETCHED,
        address="chat.example.com",
        now=at,
    ).row


def kinds(server: Server) -> set[str]:
    return set(Finding.objects.filter(server=server, settled_at=None).values_list("kind", flat=True))
