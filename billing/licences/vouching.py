"""Staff vouch for a licence by hand: for what no file proves, with a reason and an end date, audited, and shown to the
customer; and end any proof."""

from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError

from billing import events
from billing.licences import file, rows, skus
from billing.models import LicenceProof
from tenants.audit import recording
from tenants.changes import Changed
from tenants.models import Customer, Server
from tenants.problem import ProblemError

LONGEST: Final = timedelta(days=3 * 366)
"""Nobody vouches for longer than licences are sold for."""


def vouch(
    *,
    customer: Customer,
    sku: str,
    users: int,
    expires_at: datetime,
    reason: str,
    now: datetime,
    server: Server | None = None,
    company: str = "",
    issuer: str = "",
    licence_id: str = "",
) -> LicenceProof:
    """Make a proof that staff answer for, from now until `expires_at`. Raises ProblemError.

    With an issuer and a licence id it takes the place of that licence's file, so that no other account can prove it.
    """
    reason = rows.one_line(reason)
    if sku not in skus.VOUCHABLE:
        raise ProblemError(f"the plan must be one of {', '.join(skus.VOUCHABLE)}", field="sku")
    if not now < expires_at <= now + LONGEST:
        raise ProblemError("the end must be ahead, and within three years", field="expires_at")
    if not 0 <= users <= file.USERS_MAX:
        raise ProblemError("the number of users makes no sense", field="users")
    if server is not None and server.customer_id != customer.pk:
        raise ProblemError("this server is not one of the customer's", field="server")
    if bool(issuer) != bool(licence_id):
        raise ProblemError("give both the issuer and the licence id, or neither", field="licence_id")
    if licence_id and (len(licence_id) != file.ID_LENGTH or not (licence_id.isascii() and licence_id.isalnum())):
        raise ProblemError(f"a licence id has {file.ID_LENGTH} letters and digits", field="licence_id")
    try:
        with events.changes(customer.pk, now):
            proof = LicenceProof.objects.create(
                customer=customer,
                server=server,
                issuer=issuer,
                licence_id=licence_id,
                company=company.strip()[: file.TEXT_MAX] or customer.name,
                sku=sku,
                users=users,
                starts_at=now,
                expires_at=expires_at,
                vouched=True,
                reason=reason,
            )
            recording.record(
                "licence.vouch",
                customer=customer,
                target=licence_id or sku,
                target_id=proof.pk,
                plan=sku,
                users=users,
                ends=expires_at.date(),
                reason=reason,
            )
    except IntegrityError as error:
        raise ProblemError(
            "this licence is proven already: look for its id in the list of licences", field="licence_id"
        ) from error
    return proof


def end(*, proof: LicenceProof, reason: str, now: datetime) -> Changed[LicenceProof]:
    """End any proof, by staff. Raises ProblemError without a reason."""
    reason = rows.one_line(reason)
    with events.changes(proof.customer_id, now):
        changed = rows.end(proof, reason=reason, now=now, by_staff=True)
    return Changed(proof, changed)
