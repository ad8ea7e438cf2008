"""Holds what a server's site says of its licence against what its customer has proven."""

from datetime import datetime

from django.utils import timezone

from billing.licences import proving, reading
from billing.licences.site import Site
from billing.models import LicenceProof
from tenants.models import Server
from tenants.models import Site as Documents
from tenants.proofs.reading import site_summary


def site_of(server: Server) -> Site | None:
    """What a server's site says of its licence; None before it was read, and where it does not say how many seats."""
    found = site_summary(server)
    return Site(found.sku, found.users, found.company) if found is not None and found.users is not None else None


def note_read(documents: Documents, now: datetime) -> None:
    """The documents of a site were read: note which of the customer's proofs they agree with."""
    site = site_of(documents.server)
    if site is not None:
        proving.note_site(server=documents.server, site=site, now=now)


def is_licensed(server: Server, _mattermost_id: str) -> bool:
    """Whether a living licence that includes HPNS is for this server, and its site says the same of it."""
    now = timezone.now()
    bound = {each.id for each in reading.proofs(server.customer, now) if each.server_id == server.pk}
    held = LicenceProof.objects.filter(pk__in=bound, starts_at__lte=now, expires_at__gt=now)
    return held.filter(site_agreed_at__isnull=False).exists() or held.filter(vouched=True).exists()
