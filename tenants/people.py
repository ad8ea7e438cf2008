"""Selectors of memberships and invitations: of a customer, of a person, of an invitation's link."""

from typing import Final

from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.db.models import BigIntegerField, Case, IntegerField, QuerySet, When
from django.utils import timezone

from tenants import scope
from tenants.models import Customer, Invitation, Membership, Role
from tenants.prepared import Given, Prepared

_MEMBERSHIPS: Final = Prepared(
    lambda: (
        Membership.objects.filter(user_id=Given("user", BigIntegerField()))
        .select_related("customer")
        .order_by("customer__name", "pk")
    )
)


def memberships_of(user: User) -> list[Membership]:
    """Where somebody is a member, with the customers, by their names."""
    with scope.person(user.pk):
        rows: list[Membership] = _MEMBERSHIPS.rows(user=user.pk)
    for row in rows:
        row.user = user
    return rows


def members_of(customer: Customer) -> QuerySet[Membership]:
    """Who belongs to a customer, the owners first."""
    rank = Case(*(When(role=role, then=place) for place, role in enumerate(Role.values)), output_field=IntegerField())
    return Membership.objects.filter(customer=customer).select_related("user").order_by(rank, "user__email", "pk")


def invitations_of(customer: Customer) -> QuerySet[Invitation]:
    """A customer's invitations that nobody has accepted or withdrawn, expired ones too."""
    found = Invitation.objects.filter(customer=customer, accepted_at=None, withdrawn_at=None)
    return found.select_related("invited_by").order_by("email")


def invitation(digest: bytes) -> Invitation | None:
    """The invitation of this digest, in whatever state it is."""
    with scope.invitation(digest):
        return Invitation.objects.select_related("customer", "invited_by").filter(digest=digest).first()


def is_open(row: Invitation) -> bool:
    """Whether an invitation can be accepted."""
    return row.accepted_at is None and row.withdrawn_at is None and row.expires_at > timezone.now()


def addresses_of(user: User) -> set[str]:
    """The e-mail addresses that somebody has shown to be theirs, in lower case."""
    found = EmailAddress.objects.filter(user_id=user.pk, verified=True).values_list("email", flat=True)
    return {address.lower() for address in found}
