"""Invitations: an e-mail with a link that makes its reader a member, once."""

from datetime import timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from tenants import mail, people
from tenants.audit import recording
from tenants.changes import Changed, collision
from tenants.models import Customer, Invitation, Membership, Role
from tenants.problem import ProblemError
from tenants.services import invitation_tokens
from tenants.services.members import By, Operator, check_role, locked_members, may_touch

LIFETIME: Final = timedelta(days=7)
# A customer must not become a way to write to the whole world in our name.
PER_DAY_MAX: Final = 100


class NewInvitation(NamedTuple):
    """An invitation's row and its link: the only time that it is known."""

    row: Invitation
    link: str


def invitation_add(*, customer: Customer, email: str, role: str, by: By) -> NewInvitation:
    """Invite somebody; invitation_send sends the e-mail. The same again makes a new link, and the old one is dead."""
    check_role(role)
    email = _address(email)
    token, digest = invitation_tokens.new_token(settings.HASH_KEY)
    link = mail.link(reverse("invitation-token", args=(token,)))
    inviter = None if isinstance(by, Operator) else by.user
    try:
        with transaction.atomic():
            members = locked_members(customer)
            may_touch(members, by, Role(role))
            if any(email in people.addresses_of(member.user) for member in members.values()):
                raise ProblemError(f"{email} is a member of {customer.name} already")
            recent = Invitation.objects.filter(customer=customer, created_at__gt=timezone.now() - timedelta(days=1))
            if recent.count() >= PER_DAY_MAX:
                raise ProblemError(f"{PER_DAY_MAX} invitations in a day are the most: go on tomorrow")
            before = people.invitations_of(customer).filter(email=email).first()
            if before is not None:
                # It ends by the new one: who may not withdraw an owner's may not do so by inviting as something else.
                may_touch(members, by, Role(before.role))
                _withdraw(before, "a new one was sent")
            row = Invitation.objects.create(
                customer=customer,
                email=email,
                role=role,
                digest=digest,
                invited_by=inviter,
                expires_at=timezone.now() + LIFETIME,
            )
            recording.record("invitation.add", customer=customer, target=email, target_id=row.pk, role=role)
    except IntegrityError as error:
        raise collision(error) from error
    return NewInvitation(row, link)


def invitation_send(*, made: NewInvitation) -> None:
    """Send the e-mail. Call it once the row is committed: a mail server takes its time, and no letter comes back.

    Raises MailError when it cannot be sent; the row stays, and invitation_add can be called again.
    """
    row, link = made
    context = {"customer": row.customer, "invitation": row, "inviter": row.invited_by, "link": link}
    mail.send("tenants/mail/invitation", to=row.email, context=context)


def invitation_withdraw(*, invitation: Invitation, by: By) -> Changed[Invitation]:
    """Take an invitation back; its link is dead from now on. `changed` says whether that is news."""
    with transaction.atomic():
        may_touch(locked_members(invitation.customer), by, Role(invitation.role))
        row = Invitation.objects.select_for_update().get(pk=invitation.pk)
        if row.accepted_at is not None:
            raise ProblemError("the invitation was accepted in the meantime: remove the member instead")
        if row.withdrawn_at is not None:
            return Changed(row, changed=False)
        _withdraw(row, "")
    return Changed(row, changed=True)


def invitation_accept(*, invitation: Invitation, user: User) -> Changed[Membership]:
    """Make somebody the member that an invitation speaks of. It must be for an address that is shown to be theirs.

    `changed` is False for who was a member already; the invitation is used up all the same.
    """
    with transaction.atomic():
        row = Invitation.objects.select_for_update(of=("self",)).select_related("customer").get(pk=invitation.pk)
        if not people.is_open(row):
            raise ProblemError("this invitation can no longer be used: ask for a new one")
        if row.email not in people.addresses_of(user):
            raise ProblemError(f"the invitation is for {row.email}: log in with that address")
        row.accepted_at = timezone.now()
        row.save(update_fields=("accepted_at",))
        membership, created = Membership.objects.get_or_create(
            customer=row.customer, user=user, defaults={"role": row.role}
        )
        recording.record(
            "invitation.accept", customer=row.customer, target=row.email, target_id=row.pk, role=membership.role
        )
    return Changed(membership, created)


def _withdraw(row: Invitation, reason: str) -> None:
    row.withdrawn_at = timezone.now()
    row.save(update_fields=("withdrawn_at",))
    recording.record("invitation.withdraw", customer=row.customer, target=row.email, target_id=row.pk, reason=reason)


def _address(text: str) -> str:
    email = text.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise ProblemError(f"{email[:100]!r} is no e-mail address, which looks like ada@example.com") from None
    if len(email) > 254:
        raise ProblemError("an e-mail address has at most 254 characters")
    return email
