"""The staff's view of servers and keys: readable, and without a secret on any page.

Keys are made by customers and by commands, which show a key's text once; here they can be looked at and revoked.
Invariant: whatever is saved here goes through the services, which check it in plain words, audit it, and tell it to the
running processes after the commit.
"""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from tenants import selectors, services
from tenants.admin.base import ReadOnlyAdmin, ServiceAdmin, ServiceForm
from tenants.admin.filters import whether
from tenants.models import Finding, Proof, Server, ServerId, ServerKey, UnknownCaller
from tenants.problem import ProblemError


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
    list_filter = (
        ("revoked_at", whether("state", "In use", "Revoked")),
        ("expires_at", whether("end", "Never", "On a day")),
    )
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
        self.message_user(request, f"{changed} key{' was' if changed == 1 else 's were'} revoked.")

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
        self.message_user(request, f"{changed} server_id{' was' if changed == 1 else 's were'} confirmed.")

    def has_confirm_permission(self, request: HttpRequest) -> bool:
        """Whether the user has the permission to change server_ids; the pages themselves stay read-only."""
        return bool(request.user.has_perm("tenants.change_serverid"))


def _day(at: datetime | None) -> str:
    return "never" if at is None else at.date().isoformat()


@admin.register(Proof)
class ProofAdmin(ReadOnlyAdmin):
    """What the signatures of pushes prove, by key and server_id."""

    list_display = ("mattermost_id", "key", "customer", "how", "last", "proven_at", "verified_at")
    list_filter = ("how", "last", ("proven_at", whether("proof", "Not proven", "Proven")))
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
    list_filter = ("kind", ("settled_at", whether("state", "Open", "Settled")))
    list_select_related = ("server__customer", "key")
    search_fields = ("mattermost_id", "other", "server__name", "server__customer__slug", "key__prefix")
    fields = (*list_display, "told_at")


@admin.register(UnknownCaller)
class UnknownCallerAdmin(ReadOnlyAdmin):
    """Pushes that were refused at the door and are nobody's: the last 500 places that they came from."""

    list_display = ("last_at", "code", "address", "mattermost_id", "count", "first_at")
    list_filter = ("code",)
    search_fields = ("address", "mattermost_id")
