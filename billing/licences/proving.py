"""Proves licences: from an uploaded file to a proof that is bound to one server, and back. Audited, in one transaction.

One licence is proven by one customer at a time: a unique constraint of the database decides, also between two uploads
in the same moment, and across the fence that keeps a customer's page from seeing the other one's row.
"""

from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from billing import events
from billing.dates import day
from billing.licences import cases, file, issuers, judging, reading, rows
from billing.licences.file import Licence
from billing.licences.judging import Code, Judgement
from billing.licences.site import Site, agrees_with_any, differences
from billing.models import LicenceCase, LicenceProof
from billing.models.licences import ONCE
from tenants.audit import recording
from tenants.changes import Changed
from tenants.models import Customer, Server
from tenants.problem import ProblemError


class RefusedError(ProblemError):
    """The file is a licence, and proves nothing for this customer. `code`: why, stable."""

    def __init__(self, code: str, text: str, *, field: str = "") -> None:
        super().__init__(text, field=field)
        self.code = code


class Proven(NamedTuple):
    """A proof, what it is worth, and whether this upload made or changed anything. `seen_at_site`: whether its server
    itself says the same of its licence."""

    proof: LicenceProof
    judgement: Judgement
    changed: bool
    seen_at_site: bool


IN_USE = (
    "this licence is in use by another account. A licence is for one server of one customer; our staff have been told "
    "and will look at it"
)
UNCHECKABLE = "licences cannot be checked here at the moment: no issuer's key is set. Our staff can vouch for yours"


def check(data: bytes, *, now: datetime) -> tuple[Licence, Judgement]:
    """Read, verify and judge a file by the settings, and keep nothing. Raises ProblemError."""
    found = issuers.load(settings.LICENCE_KEYS).issuers
    if not found:
        raise ProblemError(UNCHECKABLE)
    licence = file.read(data, found)
    return licence, judging.judge(licence, now, trials=settings.LICENCE_TRIALS)


def upload(
    *, customer: Customer, data: bytes, now: datetime, server: Server | None = None, site: Site | None = None
) -> Proven:
    """Prove a licence by its file, for a server of the customer (None: to be said later).

    `site`: what the server itself says of its licence, where that is known; then both have to agree. The same file
    again changes nothing but the server; a newer file of the same licence takes the place of the older one. Raises
    LicenceFileError, RefusedError; the case that was opened stays where it is caught within the caller's transaction.
    """
    licence, judgement = check(data, now=now)
    if not judgement.kept:
        if judgement.code is Code.UNKNOWN_SKU and licence.mhpns:
            kind = LicenceCase.Kind.UNKNOWN_PLAN
            cases.open_case(customer=customer, licence=licence, kind=kind, server=server, now=now)
        raise RefusedError(judgement.code, f"{judgement.sentence}. {judgement.what_to_do}")
    agreed = _compare(customer, licence, judgement, server, site)
    try:
        with events.changes(customer.pk, now):
            proof, changed = _kept(customer, licence, server, now if agreed else None, now)
    except IntegrityError as error:
        if ONCE not in str(error):
            raise
        kind = LicenceCase.Kind.DOUBLE_USE
        cases.open_case(customer=customer, licence=licence, kind=kind, server=server, now=now)
        raise RefusedError("in_use", IN_USE) from None
    return Proven(proof, judgement, changed, agreed)


def withdraw(*, proof: LicenceProof, now: datetime) -> Changed[LicenceProof]:
    """End a proof because its customer wants it so: another account can prove the licence then."""
    with events.changes(proof.customer_id, now):
        changed = rows.end(proof, reason="withdrawn by its customer", now=now)
    return Changed(proof, changed)


def bind(*, proof: LicenceProof, server: Server, now: datetime, site: Site | None = None) -> Changed[LicenceProof]:
    """Say which server a living proof is for. `site`: as in upload(). Raises ProblemError where the two differ."""
    if server.customer_id != proof.customer_id:
        raise ProblemError("this server is not one of the customer's", field="server")
    agreed = False
    if site is not None and now >= proof.starts_at and not proof.vouched:
        others = _living(proof.customer_id).filter(server=server).exclude(pk=proof.pk)
        agreed = _agrees(proof, server, site, list(others))
    with transaction.atomic():
        row = LicenceProof.objects.select_for_update().get(pk=proof.pk)
        if row.ended_at is not None:
            raise ProblemError("this licence was withdrawn in the meantime: upload it again")
        if row.server_id == server.pk and bool(row.site_agreed_at) == agreed:
            return Changed(row, changed=False)
        moved = row.server_id != server.pk
        row.server, row.site_agreed_at = server, now if agreed else None
        row.save(update_fields=("server", "site_agreed_at"))
        if moved:
            recording.record(
                "licence.bind", customer=row.customer_id, target=str(row), target_id=row.pk, server=server.name
            )
    return Changed(row, changed=True)


def note_site(*, server: Server, site: Site, now: datetime) -> bool:
    """Compare what a server says of its licence with the living proofs that are for it, and note which agree.

    Call it whenever the site was asked. Returns whether one agrees that includes HPNS and counts now: the
    server is licensed.
    """
    licensed = False
    including = {fact.id for fact in reading.proofs(server.customer, now)}
    for row in _living(server.customer_id).filter(server=server, vouched=False):
        agrees = not differences(row, site)
        if agrees != (row.site_agreed_at is not None):
            LicenceProof.objects.filter(pk=row.pk, ended_at=None).update(site_agreed_at=now if agrees else None)
        counts = judging.phase(row.starts_at, row.expires_at, now) in (Code.GOOD, Code.GRACE)
        licensed = licensed or (agrees and counts and row.pk in including)
    return licensed


def _living(customer_id: int) -> QuerySet[LicenceProof]:
    return LicenceProof.objects.filter(customer_id=customer_id, ended_at=None)


def _compare(
    customer: Customer, licence: Licence, judgement: Judgement, server: Server | None, site: Site | None
) -> bool:
    """Whether the server says the same; raises RefusedError where it says something else that is nothing of ours."""
    if server is not None and server.customer_id != customer.pk:
        raise ProblemError("this server is not one of the customer's", field="server")
    if server is None or site is None or not judgement.counts:
        return False
    return _agrees(licence, server, site, list(_living(customer.pk).filter(server=server)))


def _agrees(licence: Licence | LicenceProof, server: Server, site: Site, others: list[LicenceProof]) -> bool:
    wrong = differences(licence, site)
    if not wrong:
        return True
    if agrees_with_any(others, site):
        return False  # a renewal that is not installed there yet
    raise RefusedError(
        "site_differs",
        f"{server.name} itself says that it runs with another licence: {'; '.join(wrong)}. Choose the server that this "
        "licence is installed on, or install it there first",
        field="server",
    )


def _kept(
    customer: Customer, licence: Licence, server: Server | None, agreed_at: datetime | None, now: datetime
) -> tuple[LicenceProof, bool]:
    # Two uploads of one customer in the same moment come one after the other: the caller holds the entitlement.
    own = _living(customer.pk).filter(issuer=licence.issuer, licence_id=licence.id).first()
    if own is not None and not own.vouched:
        if own.digest == licence.digest:
            return _again(own, server, agreed_at)
        if own.issued_at is not None and licence.issued_at < own.issued_at:
            raise ProblemError(
                f"a newer file of this licence, issued on {day(own.issued_at)}, is proven already: this one "
                "was issued before"
            )
    if own is not None:
        server = server or own.server
        rows.end(own, reason="a newer proof of the same licence took its place", now=now)
    proof = LicenceProof.objects.create(
        customer=customer, server=server, site_agreed_at=agreed_at, **rows.terms(licence)
    )
    rows.note_proven(proof)
    return proof, True


def _again(own: LicenceProof, server: Server | None, agreed_at: datetime | None) -> tuple[LicenceProof, bool]:
    """The same file once more: it may be for another server now, or its server may agree by now."""
    moved = server is not None and own.server_id != server.pk
    if not moved and (agreed_at is None or own.site_agreed_at is not None):
        return own, False
    if server is not None:
        own.server = server
    own.site_agreed_at = agreed_at
    own.save(update_fields=("server", "site_agreed_at"))
    if moved and server is not None:
        recording.record(
            "licence.bind", customer=own.customer_id, target=str(own), target_id=own.pk, server=server.name
        )
    return own, True
