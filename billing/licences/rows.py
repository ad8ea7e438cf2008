"""Rows of proofs: what is kept of a licence, and how a proof ends. For the modules of this folder."""

from datetime import datetime
from typing import Any, Final

from billing.licences.file import Licence
from billing.licences.judging import is_trial
from billing.models import LicenceProof
from tenants.audit import recording
from tenants.problem import ProblemError

TERMS: Final = (
    *("issuer", "licence_id", "company", "sku", "users", "push_limit", "is_trial"),
    *("issued_at", "starts_at", "expires_at", "digest"),
)
"""The columns that a proof and a case have of a licence."""
PUSH_LIMIT_MAX: Final = 2**53
REASON_MAX: Final = 300


def terms(licence: Licence) -> dict[str, Any]:
    """The values of TERMS of a licence."""
    limit = licence.push_limit
    return {
        "issuer": licence.issuer,
        "licence_id": licence.id,
        "company": licence.company,
        "sku": licence.sku,
        "users": licence.users,
        # A limit of nothing is Go's zero value: none was given.
        "push_limit": limit if limit is not None and 0 < limit <= PUSH_LIMIT_MAX else None,
        "is_trial": is_trial(licence),
        "issued_at": licence.issued_at,
        "starts_at": licence.starts_at,
        "expires_at": licence.expires_at,
        "digest": licence.digest,
    }


def one_line(reason: str) -> str:
    """A reason as it is kept. Raises ProblemError for none, a long one, or one of several lines."""
    reason = reason.strip()
    if not reason or len(reason) > REASON_MAX or not reason.isprintable():
        raise ProblemError(
            f"say why, in one line of at most {REASON_MAX} characters: the customer sees it", field="reason"
        )
    return reason


def note_proven(proof: LicenceProof) -> None:
    """Note in the audit log that a licence is proven."""
    recording.record(
        "licence.prove",
        customer=proof.customer_id,
        target=proof.licence_id,
        target_id=proof.pk,
        plan=proof.sku,
        users=proof.users,
        starts=proof.starts_at.date(),
        ends=proof.expires_at.date(),
        issuer=proof.issuer,
        server=proof.server.name if proof.server else "",
    )


def end(proof: LicenceProof, *, reason: str, now: datetime, by_staff: bool = False) -> bool:
    """End a living proof, and note it; False: it had ended before. In the caller's transaction."""
    ended = LicenceProof.objects.filter(pk=proof.pk, ended_at=None).update(ended_at=now, end_reason=reason[:REASON_MAX])
    if ended:
        recording.record(
            "licence.end" if by_staff else "licence.withdraw",
            customer=proof.customer_id,
            target=str(proof),
            target_id=proof.pk,
            reason=reason,
        )
        proof.refresh_from_db()
    return bool(ended)
