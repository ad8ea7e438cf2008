"""Changes to memberships and roles. Invariant: a customer that had an owner keeps one."""

from enum import Enum
from typing import Final

from django.db import transaction
from django.utils import timezone

from tenants.audit import recording
from tenants.changes import Changed
from tenants.models import Customer, Invitation, Membership, Role
from tenants.problem import ProblemError


class Operator(Enum):
    """Stands for staff and commands where a member is asked for: they may do what no member may."""

    OPERATOR = "operator"


OPERATOR: Final = Operator.OPERATOR
By = Membership | Operator


def member_set_role(*, membership: Membership, role: str, by: By) -> Changed[Membership]:
    """Give a member another role. `by` is who does it: owners are made and lowered by owners alone."""
    check_role(role)
    with transaction.atomic():
        members = _locked(membership.customer)
        row = _row(members, membership)
        if row.role == role:
            return Changed(row, changed=False)
        may_touch(members, by, Role(row.role), Role(role))
        if role != Role.OWNER:
            _keep_an_owner(members, row, "lowered")
        before, row.role = row.role, role
        row.save(update_fields=("role",))
        if role == Role.VIEWER or before == Role.OWNER:
            _withdraw_invitations_by(row)
        _record("member.role", row, before=before, after=role)
    return Changed(row, changed=True)


def member_remove(*, membership: Membership, by: By) -> None:
    """Take somebody out of a customer, and withdraw the invitations that this member sent and nobody has accepted."""
    with transaction.atomic():
        members = _locked(membership.customer)
        row = _row(members, membership)
        may_touch(members, by, Role(row.role))
        _keep_an_owner(members, row, "removed")
        _record("member.remove", row, role=row.role)
        _withdraw_invitations_by(row)
        row.delete()


def member_leave(*, membership: Membership) -> None:
    """Leave a customer, of one's own accord."""
    with transaction.atomic():
        members = _locked(membership.customer)
        row = _row(members, membership)
        _keep_an_owner(members, row, "the one to leave")
        _record("member.leave", row, role=row.role)
        _withdraw_invitations_by(row)
        row.delete()


def check_role(role: str) -> None:
    """Raise ProblemError for a role that there is not."""
    if role not in Role.values:
        raise ProblemError(f"the role must be one of {', '.join(Role.values)}")


def may_touch(members: dict[int, Membership], by: By, *roles: Role) -> None:
    """Raise ProblemError unless `by`, as locked among `members` now, may deal with members of these roles."""
    if isinstance(by, Operator):
        return
    now = members.get(by.pk)
    if now is None or now.role == Role.VIEWER:
        raise ProblemError("only owners and admins may do this: ask one of them")
    if Role.OWNER in roles and now.role != Role.OWNER:
        raise ProblemError("only an owner may make, lower or remove an owner: ask one of them")


def locked_members(customer: Customer) -> dict[int, Membership]:
    """The customer's members as they are now; until the transaction ends nobody else changes them."""
    return _locked(customer)


def _locked(customer: Customer) -> dict[int, Membership]:
    # In one order, so that two who do this at once wait for each other instead of for ever. Whoever waited sees what
    # the other one left.
    found = Membership.objects.select_for_update(of=("self",)).filter(customer=customer).order_by("pk")
    return {row.pk: row for row in found.select_related("user", "customer")}


def _row(members: dict[int, Membership], membership: Membership) -> Membership:
    if membership.pk not in members:
        raise ProblemError("this person is no member any more: look again")
    return members[membership.pk]


def _keep_an_owner(members: dict[int, Membership], row: Membership, what: str) -> None:
    others = (one for one in members.values() if one.role == Role.OWNER and one.pk != row.pk)
    if row.role == Role.OWNER and next(others, None) is None:
        raise ProblemError(f"the last owner cannot be {what}: make somebody else an owner first")


def _withdraw_invitations_by(row: Membership) -> None:
    """Withdraw the open invitations of a former member: their links must not outlive the right to invite."""
    theirs = Invitation.objects.filter(
        customer=row.customer, invited_by=row.user_id, accepted_at=None, withdrawn_at=None
    )
    for invitation in theirs:
        invitation.withdrawn_at = timezone.now()
        invitation.save(update_fields=("withdrawn_at",))
        recording.record(
            "invitation.withdraw",
            customer=row.customer,
            target=invitation.email,
            target_id=invitation.pk,
            reason=f"{row.user.email} sent it",
        )


def _record(action: str, row: Membership, **details: object) -> None:
    recording.record(action, customer=row.customer, target=row.user.email, target_id=row.user_id, **details)
