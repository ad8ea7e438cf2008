"""Findings: notes what signatures and sites tell that somebody has to look at, and takes back what is over."""

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import DateTimeField, QuerySet
from django.utils import timezone

from tenants.audit import recording
from tenants.models import Finding, Proof, Server, ServerKey
from tenants.prepared import Given, Prepared

# How long after it was seen last a finding is shown.
SHOWN = timedelta(days=7)
# Findings that pages speak of one by one.
LATEST = 6
# Within which time both of two copies push.
BOTH = timedelta(days=1)


def note(
    kind: Finding.Kind,
    *,
    server: Server,
    mattermost_id: str,
    now: datetime,
    key: ServerKey | None = None,
    other: str = "",
) -> Finding:
    """Note a finding, audited when it is news; one that was settled begins anew. In its finder's transaction."""
    row, created = Finding.objects.get_or_create(
        server=server,
        kind=kind,
        mattermost_id=mattermost_id,
        other=other[:300],
        defaults={"key": key, "first_at": now, "last_at": now},
    )
    again = not created and row.settled_at is not None
    if again:
        row.first_at, row.settled_at, row.told_at = now, None, None
    row.last_at, row.key = now, key or row.key
    row.save()
    if created or again:
        recording.record(
            "server.suspect",
            customer=server.customer_id,
            target=server.name,
            target_id=server.pk,
            kind=kind.value,
            server_id=mattermost_id,
            # Who the other customer is, is nobody's business.
            key=key or "",
        )
    return row


def settle(kind: Finding.Kind, *, server: Server, mattermost_id: str, now: datetime) -> None:
    """Take findings of a kind back: what caused them is over."""
    rows = Finding.objects.filter(server=server, kind=kind, mattermost_id=mattermost_id, settled_at=None)
    rows.update(settled_at=now)


def living(server: Server | None = None, now: datetime | None = None) -> "QuerySet[Finding]":
    """The findings that count now, for the customer's eyes, the latest first: neither settled, nor old, nor of a key
    that is in use no more."""
    rows = _living((now or timezone.now()) - SHOWN)
    return rows if server is None else rows.filter(server=server)


def _living(since: Any) -> "QuerySet[Finding]":
    rows = Finding.objects.filter(settled_at=None, last_at__gte=since, key__revoked_at=None)
    return rows.exclude(kind__in=Finding.FOR_STAFF_ALONE).select_related("server", "key").order_by("-last_at")


_LATEST: Final = Prepared(lambda: _living(Given("since", DateTimeField()))[:LATEST])


def latest(now: datetime) -> list[Finding]:
    """The latest LATEST of a customer's findings that count now."""
    return _LATEST.rows(since=now - SHOWN)


def look_again(now: datetime | None = None) -> int:
    """See whether copies that were found a day ago still push as two servers; at how many was looked. What is over is
    not found again, and is shown no more after SHOWN."""
    now = now or timezone.now()
    rows = Finding.objects.filter(kind=Finding.Kind.CLONE, settled_at=None, last_at__lt=now - BOTH)
    found = list(rows.filter(last_at__gte=now - SHOWN)[:100])
    for row in found:
        proofs = Proof.objects.filter(Proof.standing(), key=row.key, mattermost_id=row.mattermost_id)
        for proof in proofs.filter(verified_at__gte=now - BOTH).select_related("key__server"):
            with transaction.atomic():
                compare(proof, now)
    return len(found)


def compare(proof: Proof, now: datetime) -> None:
    """Hold a new proof against those of all other servers: the same installation twice, or two with one server_id."""
    server = proof.key.server
    same_id = Proof.objects.filter(Proof.standing(), mattermost_id=proof.mattermost_id).exclude(key__server=server)
    for other in same_id.select_related("key__server")[:20]:
        there = other.key.server
        if other.public_key == proof.public_key:
            # One that pushes as nobody else any more was moved, and is no copy.
            if other.verified_at is not None and other.verified_at >= now - BOTH:
                _clone(proof, other, now)
        elif there.customer_id != server.customer_id:
            for one, key in ((server, proof.key), (there, other.key)):
                note(Finding.Kind.CONTESTED, server=one, mattermost_id=proof.mattermost_id, now=now, key=key)


def _clone(proof: Proof, other: Proof, now: datetime) -> None:
    """Note on both servers that one installation pushes as either; the other is named to its own customer alone."""
    pair = (proof.key, other.key)
    for key, another in (pair, pair[::-1]):
        same = key.server.customer_id == another.server.customer_id
        site = getattr(another.server, "site", None)
        where = (site.address or site.site_url) if site is not None and same else ""
        note(
            Finding.Kind.CLONE,
            server=key.server,
            mattermost_id=proof.mattermost_id,
            now=now,
            key=key,
            other=(where or another.server.name) if same else "",
        )
