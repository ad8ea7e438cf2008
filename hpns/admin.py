"""The staff's view of people: who there is and how they log in. No password, secret or session key is shown.

Accounts are made by invitations, staff by `manage.py staff`; here a person can be locked out. What django-allauth
registers by itself would show sealed secrets and session keys; the groups are the roles of tenants/staff_roles.py,
which no page changes.
"""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q, QuerySet, Value
from django.forms import ModelForm
from django.http import HttpRequest

from tenants.admin import ReadOnlyAdmin
from tenants.audit import actors, recording
from tenants.models import Invitation, Membership
from tenants.services.second_factors import end_sessions

for theirs in (EmailAddress, Authenticator, UserSession, User, Group):
    if admin.site.is_registered(theirs):
        admin.site.unregister(theirs)


@admin.register(User)
class PersonAdmin(ReadOnlyAdmin):
    """People. Locking somebody out ends their sessions."""

    list_display = ("email", "first_name", "is_active", "is_staff", "second_factor", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "first_name", "memberships__customer__slug")
    ordering = ("email",)
    fields = ("email", "first_name", "is_active", "is_staff", "second_factor", "last_login", "date_joined")
    readonly_fields = tuple(name for name in fields if name != "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With the kinds of second factors, for the list."""
        kinds = ArrayAgg("authenticator__type", filter=Q(authenticator__isnull=False), distinct=True, default=Value([]))
        found: QuerySet[User] = super().get_queryset(request).annotate(factors=kinds)
        return found

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether a person may log in is all that can be changed; nobody can lock themselves out."""
        return bool(request.user.has_perm("auth.change_user")) and (obj is None or obj.pk != request.user.pk)

    def save_model(self, request: HttpRequest, obj: User, form: "ModelForm[Any]", change: bool) -> None:
        """Save, and end the sessions of a person who was deactivated."""
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            end_sessions(obj)
        with recording.acting(actors.of(request)):
            action = "person.let_in" if obj.is_active else "person.lock_out"
            recording.record(action, customer=None, target=obj.email, target_id=obj.pk)

    @admin.display(description="second factor", empty_value="none")
    def second_factor(self, row: User) -> str | None:
        """Which kinds the person has."""
        return ", ".join(str(Authenticator.Type(kind).label) for kind in getattr(row, "factors", ())) or None


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Memberships of people in customers."""

    list_display = ("user", "email", "customer", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "customer")
    search_fields = ("user__email", "customer__name", "customer__slug")

    @admin.display(ordering="user__email")
    def email(self, row: Membership) -> str:
        """The person's address."""
        return row.user.email


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Invitations, without what their links are made of."""

    list_display = (
        "email",
        "customer",
        "role",
        "invited_by",
        "created_at",
        "expires_at",
        "accepted_at",
        "withdrawn_at",
    )
    list_select_related = ("customer", "invited_by")
    search_fields = ("email", "customer__name", "customer__slug")
    fields = list_display
