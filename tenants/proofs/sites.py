"""Reads a server's site: when somebody asks for it, from what they paste, and daily by itself.

Invariant: what comes by itself never gives a server another identity: a site that has another server_id than before is
a finding, and its documents are kept once a person fetches them.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from tenants.audit import recording
from tenants.changes import Changed, notify_processes
from tenants.models import Finding, Proof, Server, Site
from tenants.problem import ProblemError
from tenants.proofs import documents, fetching, findings, listeners
from tenants.proofs.documents import Documents
from tenants.waiting_outside import outside

# How long after a reading a site is fetched again, and after one that failed.
AGAIN: Final = timedelta(days=1)
RETRY: Final = timedelta(hours=4)
# Sites that one run of the timetable fetches: five seconds each at most.
RUN_MAX: Final = 20
_STEP: Final[Callable[[], AbstractContextManager[None]]] = nullcontext


def fetch(*, server: Server, address: str, step: Callable[[], AbstractContextManager[None]] = _STEP) -> Changed[Site]:
    """Fetch a site's documents and keep them as this server's. Raises ProblemError.

    `step`: entered for what reads and writes rows, so that no transaction waits for the site.
    """
    where = documents.address(address)
    try:
        with outside():
            found = fetching.fetch(where)
    except ProblemError as problem:
        with step():
            _failed(Site.objects.filter(server=server, address=where.text), problem, timezone.now())
        raise
    with step():
        return keep(server=server, found=found, how=Site.How.FETCHED, address=where.text)


def paste(*, server: Server, config: str, licence: str = "") -> Changed[Site]:
    """Keep documents that somebody has copied from a browser, of a site that we cannot reach. Raises ProblemError."""
    found = documents.read(config.strip(), licence.strip() or None)
    return keep(server=server, found=found, how=Site.How.PASTED)


def keep(
    *, server: Server, found: Documents, how: Site.How, address: str = "", now: datetime | None = None
) -> Changed[Site]:
    """Keep documents as those of a server, audited when they are others than before."""
    now = now or timezone.now()
    with transaction.atomic():
        row = Site.objects.select_for_update().filter(server=server).first() or Site(server=server)
        before = _identity(row)
        for name, value in found._asdict().items():
            setattr(row, name, value)
        row.how, row.address = how, address
        row.fetched_at = row.asked_at = now
        row.problem = ""
        row.due_at = now + AGAIN if address else None
        changed = _identity(row) != before
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError as error:
            raise ProblemError("somebody else has just done the same: look again") from error
        findings.settle(Finding.Kind.OTHER_ID, server=server, mattermost_id=str(before[2]), now=now)
        if changed:
            recording.record(
                "site.fetch" if how == Site.How.FETCHED else "site.paste",
                customer=server.customer_id,
                target=server.name,
                target_id=server.pk,
                address=address or found.site_url,
                server_id=found.mattermost_id,
                sku=found.sku,
                company=found.company,
                users=found.users,
            )
            notify_processes(server.customer_id)
        listeners.site_read(row, now)
    return Changed(row, changed)


def forget(*, server: Server) -> Changed[None]:
    """Fetch a site no more: an address that was wrong must not be asked for ever. What was proven stays."""
    with transaction.atomic():
        row = Site.objects.select_for_update().filter(server=server).exclude(address="").first()
        if row is None:
            return Changed(None, changed=False)
        recording.record(
            "site.forget", customer=server.customer_id, target=server.name, target_id=server.pk, address=row.address
        )
        row.address, row.due_at = "", None
        row.save(update_fields=("address", "due_at"))
    return Changed(None, changed=True)


def fetch_due(now: datetime | None = None) -> int:
    """Fetch the sites that are due, the longest waiting first; how many were asked. Catches up after any pause."""
    now = now or timezone.now()
    asked = 0
    due = Site.objects.filter(due_at__lte=now).exclude(address="").select_related("server").order_by("due_at")
    for row in due[:RUN_MAX]:
        # Claimed first, by a step that only one of several processes can make.
        if not Site.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=now + RETRY, asked_at=now):
            continue
        asked += 1
        try:
            found = fetching.fetch(documents.address(row.address))
        except ProblemError as problem:
            _failed(Site.objects.filter(pk=row.pk, address=row.address), problem, now)
        else:
            _keep_again(row, found, now)
    return asked


def _keep_again(row: Site, found: Documents, now: datetime) -> None:
    """Keep what a site says by itself, but for another server_id."""
    with transaction.atomic():
        there = Site.objects.select_for_update(of=("self",)).select_related("server").get(pk=row.pk)
        if there.address != row.address:
            return  # somebody has given another one meanwhile
        server = there.server
        if there.mattermost_id and found.mattermost_id != there.mattermost_id:
            problem = ProblemError(
                f"{there.address} has the server ID {found.mattermost_id} now, and had {there.mattermost_id}"
            )
            _failed(Site.objects.filter(pk=there.pk), problem, now)
            findings.note(
                Finding.Kind.OTHER_ID,
                server=server,
                mattermost_id=there.mattermost_id,
                now=now,
                other=found.mattermost_id,
            )
            return
        if there.public_key and found.public_key != there.public_key and _is_proven(there):
            findings.note(Finding.Kind.CHANGED_KEY, server=server, mattermost_id=found.mattermost_id, now=now)
        keep(server=server, found=found, how=Site.How.FETCHED, address=there.address, now=now)


def _is_proven(row: Site) -> bool:
    proofs = Proof.objects.filter(Proof.standing(), key__server=row.server, mattermost_id=row.mattermost_id)
    return proofs.filter(public_key=row.public_key).exists()


def _failed(rows: "QuerySet[Site]", problem: ProblemError, now: datetime) -> None:
    rows.update(asked_at=now, problem=problem.sentence[:300], due_at=now + RETRY)


def _identity(row: Site) -> tuple[object, ...]:
    """What a change of is news."""
    return (row.address, row.how, row.mattermost_id, row.public_key, row.site_url, row.sku, row.company, row.users)
