"""The staff's view of servers, keys and the audit log: readable, and without a secret on any page.

Keys are made by customers and by commands, which show a key's text once; here they can be looked at and revoked.
Invariant: whatever is saved here goes through the services, which check it in plain words, audit it, and tell it to the
running processes after the commit.
"""

from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db import models, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from tenants import selectors, services
from tenants.models import AuditEvent, Customer, Finding, Proof, Server, ServerId, ServerKey
from tenants.models.audit_words import DESCRIPTIONS
from tenants.problem import ProblemError

# Columns that no list may be narrowed down by: a secret, or its hash, could be guessed letter by letter.
SECRETS: Final = frozenset({"password", "sealed", "digest", "data", "session_key"})


# Django's admin classes take type arguments in the stubs only, not at run time.
class SecretSafeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A model admin whose lists cannot be filtered by secrets in the URL; Django allows any column of a model."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """As Django's, but for SECRETS."""
        return SECRETS.isdisjoint(lookup.split("__")) and super().lookup_allowed(lookup, value, request)


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A model form whose rows are created and changed by services."""

    def clean(self) -> dict[str, Any]:
        """Validate by a dry run in a transaction that is rolled back: what would go wrong is an error of the form."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                with transaction.atomic():
                    self.apply(given)
                    transaction.set_rollback(True)
            except ProblemError as problem:
                self.add_error(self.error_field(given), problem.sentence)
        return given

    def error_field(self, given: dict[str, Any]) -> str | None:
        """The field that a problem is an error of; None: the form's own."""
        return None

    def apply(self, given: dict[str, Any]) -> models.Model:
        """Apply the form by its services; returns the row. Raises ProblemError."""
        raise NotImplementedError


class ServiceAdmin(SecretSafeAdmin):
    """A model admin that saves by a ServiceForm and deletes nothing, because the delivery log points here."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """What the form's services do, and nothing beside them."""
        obj.__dict__.update(form.apply(form.cleaned_data).__dict__)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: suspend, disable or revoke instead."""
        return False


class ReadOnlyAdmin(SecretSafeAdmin):
    """A read-only model admin: no form may create, change or delete its rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: revoke instead, or let it go with what it belongs to."""
        return False


class ServerForm(ServiceForm):
    """A server, and where its keys are taken from."""

    def apply(self, given: dict[str, Any]) -> Server:
        """Add or rename it, and say from where."""
        if self.instance.pk:
            row = Server.objects.get(pk=self.instance.pk)
            services.server_rename(server=row, name=given["name"])
        else:
            row = services.server_add(customer=given["customer"], name=given["name"]).row
        return services.server_networks(server=row, networks=given["networks"]).row


@admin.register(Server)
class ServerAdmin(ServiceAdmin):
    """Mattermost servers; a server stays with its customer."""

    form = ServerForm

    list_display = ("name", "customer", "public_id", "created_at")
    list_filter = ("customer__offer",)
    list_select_related = ("customer",)
    search_fields = ("name", "public_id", "customer__name", "customer__slug")
    autocomplete_fields = ("customer",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A server's pushes are its customer's: moving it would rewrite what happened."""
        return ("customer", "public_id", "created_at") if obj else ("public_id", "created_at")


@admin.register(ServerKey)
class ServerKeyAdmin(ReadOnlyAdmin):
    """Keys, without their digests."""

    list_display = ("__str__", "server", "customer", "name", "created_at", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), ("expires_at", admin.EmptyFieldListFilter))
    list_select_related = ("server__customer",)
    search_fields = ("prefix", "name", "server__name", "server__customer__slug")
    fields = ("prefix", "server", "name", "created_at", "expires_at", "revoked_at")
    actions = ("revoke",)

    @admin.display(ordering="server__customer__slug")
    def customer(self, row: ServerKey) -> str:
        """Whose key it is."""
        return row.server.customer.slug

    @admin.action(description="Revoke the selected keys for good", permissions=("revoke",))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ServerKey]) -> None:
        """Revoke each; those that were revoked before stay as they are."""
        changed = sum(services.key_revoke(key=key).changed for key in queryset)
        self.message_user(request, f"{changed} keys were revoked.")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether the user has the permission to change keys; the pages themselves stay read-only."""
        return bool(request.user.has_perm("tenants.change_serverkey"))


class ConfirmationFilter(admin.SimpleListFilter):
    """Filter by confirmation: which server_ids staff have yet to look at."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """The two."""
        return ("waiting", "waiting"), ("confirmed", "confirmed")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list down."""
        if self.value() is None:
            return queryset
        return queryset.filter(confirmed_at__isnull=self.value() == "waiting")


@admin.register(ServerId)
class ServerIdAdmin(ReadOnlyAdmin):
    """Server_ids, each with which keys came with it: evidence and no proof, for who holds a key sends what they like.

    Those that wait come first, the longest waiting at the top.
    """

    list_display = ("mattermost_id", "server", "seen", "seen_elsewhere", "confirmed_at", "created_at")
    list_filter = (ConfirmationFilter, "server__customer__entitlement__may_use_server_id")
    search_fields = ("mattermost_id", "server__name", "server__customer__name", "server__customer__slug")
    search_help_text = (
        "Server_id, server, or customer. With its keys, with other keys: the day when one came with it last"
    )
    fields = list_display
    readonly_fields = list_display
    ordering = ("-confirmed_at", "created_at")  # PostgreSQL puts what is empty first
    actions = ("confirm",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServerId]:
        """With the evidence."""
        return selectors.server_ids()

    @admin.display(description="with its keys")
    def seen(self, row: Any) -> str:
        """When a key of this very server came with it last. It speaks for the customer."""
        return _day(row.seen_at)

    @admin.display(description="with other keys")
    def seen_elsewhere(self, row: Any) -> str:
        """When a key of any other server did. It speaks against the customer, or of a server that moved."""
        return _day(row.seen_elsewhere_at)

    @admin.action(description="Confirm the selected server_ids: each is its server's", permissions=("confirm",))
    def confirm(self, request: HttpRequest, queryset: QuerySet[ServerId]) -> None:
        """Confirm each that waits; what is wrong with one is shown, and the others are confirmed."""
        changed = 0
        for row in queryset:
            try:
                changed += services.server_id_confirm(server_id=row).changed
            except ProblemError as problem:
                self.message_user(request, problem.sentence, messages.ERROR)
        self.message_user(request, f"{changed} server_ids were confirmed.")

    def has_confirm_permission(self, request: HttpRequest) -> bool:
        """Whether the user has the permission to change server_ids; the pages themselves stay read-only."""
        return bool(request.user.has_perm("tenants.change_serverid"))


def _day(at: datetime | None) -> str:
    return "never" if at is None else at.date().isoformat()


@admin.register(Proof)
class ProofAdmin(ReadOnlyAdmin):
    """What the signatures of pushes prove, by key and server_id."""

    list_display = ("mattermost_id", "key", "customer", "how", "last", "proven_at", "verified_at")
    list_filter = ("how", "last", ("proven_at", admin.EmptyFieldListFilter))
    list_select_related = ("key__server__customer",)
    search_fields = ("mattermost_id", "key__prefix", "key__server__name", "key__server__customer__slug")
    fields = ("mattermost_id", "key", "public_key", "how", "proven_at", "verified_at", "last", "last_at")
    ordering = ("-last_at",)

    @admin.display(ordering="key__server__customer__slug")
    def customer(self, row: Proof) -> str:
        """Whose key it is."""
        return row.key.server.customer.slug


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """What signatures and sites tell that somebody has to look at, the latest first; what is not settled is open."""

    list_display = ("kind", "server", "mattermost_id", "other", "key", "first_at", "last_at", "settled_at")
    list_filter = ("kind", ("settled_at", admin.EmptyFieldListFilter))
    list_select_related = ("server__customer", "key")
    search_fields = ("mattermost_id", "other", "server__name", "server__customer__slug", "key__prefix")
    fields = (*list_display, "told_at")


class ActionFilter(admin.SimpleListFilter):
    """Filter by action, by its description."""

    title = "what"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All actions that there are."""
        return sorted(DESCRIPTIONS.items(), key=lambda each: each[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        """Its events."""
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """The audit log of all customers, and of the operator's own acts, which no customer sees."""

    list_display = ("at", "actor", "actor_kind", "what", "target", "customer", "address")
    list_filter = (ActionFilter, "actor_kind", ("customer_id", admin.EmptyFieldListFilter))
    search_fields = ("actor", "target")
    fields = ("at", "customer", "actor", "actor_kind", "address", "what", "action", "target", "details")
    ordering = ("-at", "-id")
    # Counting a log takes as long as it is.
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """With the customers' slugs; an erased one has none."""
        slug = Customer.objects.filter(pk=OuterRef("customer_id")).values("slug")
        found: QuerySet[AuditEvent] = super().get_queryset(request).annotate(slug=Subquery(slug))
        return found

    @admin.display(description="what", ordering="action")
    def what(self, row: AuditEvent) -> str:
        """The action in words."""
        return row.what

    @admin.display(empty_value="none")
    def customer(self, row: Any) -> str | None:
        """Whose event it is: its slug, or the number of one that was erased."""
        return row.slug or (f"erased: {row.customer_id}" if row.customer_id else None)
