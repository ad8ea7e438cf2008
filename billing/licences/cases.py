"""Cases for staff: a licence that another account uses already, or one of a plan that is not known.

A customer opens a case by what it uploads; the same again is counted at the open one. Staff resolve it, once. Neither
account learns from it who the other one is.
"""

from contextlib import ExitStack
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F, QuerySet

from billing import events
from billing.licences import rows
from billing.licences.file import Licence
from billing.licences.judging import Code, phase
from billing.models import LicenceCase, LicenceProof
from tenants.audit import recording
from tenants.models import Customer, Server
from tenants.problem import ProblemError

NOTE_MAX: Final = 300


def open_case(
    *, customer: Customer, licence: Licence, kind: LicenceCase.Kind, server: Server | None, now: datetime
) -> LicenceCase:
    """The open case of this customer about this licence, made where there is none; one more attempt where there is."""
    with transaction.atomic():
        row, made = LicenceCase.objects.get_or_create(
            customer=customer,
            issuer=licence.issuer,
            licence_id=licence.id,
            kind=kind,
            resolved_at=None,
            defaults={**rows.terms(licence), "server": server, "first_at": now, "last_at": now},
        )
        if made:
            recording.record("licence.dispute", customer=customer, target=licence.id, target_id=row.pk, kind=kind.value)
        else:
            LicenceCase.objects.filter(pk=row.pk).update(attempts=F("attempts") + 1, last_at=now)
    return row


def unresolved() -> QuerySet[LicenceCase]:
    """The cases that wait for staff, the oldest first."""
    return LicenceCase.objects.filter(resolved_at=None).order_by("first_at")


def holder(case: LicenceCase) -> LicenceProof | None:
    """The living proof of the same licence that another account has; None where there is none any more."""
    found = LicenceProof.objects.filter(issuer=case.issuer, licence_id=case.licence_id, ended_at=None)
    return found.exclude(customer_id=case.customer_id).select_related("customer").first()


def resolve(*, case: LicenceCase, resolution: str, note: str, now: datetime) -> LicenceCase:
    """Resolve a case; MOVED ends the other account's proof and makes this one's, in one transaction.

    Raises ProblemError for one that is resolved, without a note, and where nothing can be moved.
    """
    note = note.strip()
    if not note or len(note) > NOTE_MAX or not note.isprintable():
        raise ProblemError(f"say why, in one line of at most {NOTE_MAX} characters: the customer sees it", field="note")
    if resolution not in LicenceCase.Resolution.values:
        raise ProblemError("say what was decided", field="resolution")
    with ExitStack() as both:
        # In the order of their numbers, or two that move licences to and fro would wait for each other.
        for each in sorted({case.customer_id, *_loses(case, resolution)}):
            both.enter_context(events.changes(each, now))
        row = LicenceCase.objects.select_for_update().select_related("customer").get(pk=case.pk)
        if row.resolved_at is not None:
            raise ProblemError(f"this was resolved already: {row.get_resolution_display().lower()}")
        if resolution == LicenceCase.Resolution.MOVED:
            _move(row, note, now)
        row.resolved_at, row.resolution, row.note = now, resolution, note
        row.save(update_fields=("resolved_at", "resolution", "note"))
        recording.record(
            "licence.resolve",
            customer=row.customer,
            target=row.licence_id,
            target_id=row.pk,
            resolution=resolution,
            reason=note,
        )
    return row


def _loses(case: LicenceCase, resolution: str) -> list[int]:
    """The customer whose proof a resolution ends."""
    there = holder(case) if resolution == LicenceCase.Resolution.MOVED else None
    return [] if there is None else [there.customer_id]


def _move(case: LicenceCase, note: str, now: datetime) -> None:
    if case.kind != LicenceCase.Kind.DOUBLE_USE:
        raise ProblemError("a plan that is not known can only be vouched for: add a licence", field="resolution")
    if phase(case.starts_at, case.expires_at, now) is Code.EXPIRED:
        raise ProblemError("this licence has ended in the meantime: there is nothing to move", field="resolution")
    there = holder(case)
    if there is not None:
        rows.end(there, reason=f"moved to another account: {note}", now=now, by_staff=True)
    if not LicenceProof.objects.filter(issuer=case.issuer, licence_id=case.licence_id, ended_at=None).exists():
        values: dict[str, Any] = {name: getattr(case, name) for name in rows.TERMS}
        proof = LicenceProof.objects.create(customer=case.customer, server=case.server, **values)
        rows.note_proven(proof)
