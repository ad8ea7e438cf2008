"""The staff's view of people: who there is and how they log in. No password, secret or session key is shown.

Accounts are made by invitations, staff by `manage.py staff`; here a person can be locked out. What django-allauth
registers by itself would show sealed secrets and session keys; the groups are the roles of tenants/staff_roles.py,
which no page changes.
"""

from functools import partial
from typing import Any, Final

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.models import Group, User
from django.contrib.postgres.aggregates import ArrayAgg
from django.db import transaction
from django.db.models import Q, QuerySet, Value
from django.forms import ModelForm
from django.http import HttpRequest

from tenants import services
from tenants.admin import ReadOnlyAdmin
from tenants.audit import actors, recording
from tenants.mail import MailError
from tenants.models import Invitation, Membership
from tenants.problem import ProblemError
from tenants.services.second_factors import end_sessions

# Invitations that one click sends: each may wait for the mail server.
SENT_AT_ONCE: Final = 5

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
        """Whether a person may log in is all that can be changed; nobody can lock themselves out, and staff are locked
        out by admins of the staff alone."""
        if not request.user.has_perm("auth.change_user"):
            return False
        user: Any = request.user
        return obj is None or (obj.pk != user.pk and (user.is_superuser or not (obj.is_staff or obj.is_superuser)))

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
    actions = ("send_again",)

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Whose role takes customers on."""
        return bool(request.user.has_perm("tenants.add_customer"))

    @admin.action(description="Send again: a new link, and the old one is dead", permissions=("send",))
    def send_again(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """Send new links for what nobody has accepted or withdrawn, expired ones too; say what came of each."""
        for row in queryset.select_related("customer")[:SENT_AT_ONCE]:
            if row.accepted_at is not None or row.withdrawn_at is not None:
                self.message_user(request, f"{row.email}: it was accepted or withdrawn.", messages.WARNING)
                continue
            try:
                made = services.invitation_add(
                    customer=row.customer, email=row.email, role=row.role, by=services.OPERATOR
                )
            except ProblemError as problem:
                self.message_user(request, f"{row.email}: {problem.sentence}", messages.ERROR)
                continue
            transaction.on_commit(partial(self._send, request, made), robust=True)

    def _send(self, request: HttpRequest, made: services.NewInvitation) -> None:
        """Send the e-mail, now that the row is there, and say on the next page what became of it."""
        try:
            services.invitation_send(made=made)
        except MailError as problem:
            text = f"{made.row.email}: {problem}. Send it again once that is mended."
            self.message_user(request, text, messages.ERROR)
        else:
            self.message_user(request, f"An invitation is on its way to {made.row.email}.", messages.SUCCESS)
