"""The staff's view of servers and keys: readable, and without a secret on any page.

Keys are made by customers and by commands, which show a key's text once; here they can be looked at and revoked.
Whatever is saved here is told to the running processes after the commit.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from tenants import services
from tenants.models import Server, ServerKey


# Django's admin classes take type arguments in the stubs only, not at run time.
class Told(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tells the running processes after each change; deletes nothing, because the delivery log points here."""

    def save_model(self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool) -> None:
        """Save, then tell."""
        super().save_model(request, obj, form, change)
        services.tell()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: suspend, disable or revoke instead."""
        return False


class ReadOnly(Told):
    """Rows that no form may make or change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


@admin.register(Server)
class ServerAdmin(Told):
    """Mattermost servers; a server stays with its customer."""

    list_display = ("name", "customer", "public_id", "created_at")
    list_filter = ("customer__offer",)
    list_select_related = ("customer",)
    search_fields = ("name", "public_id", "customer__name", "customer__slug")
    autocomplete_fields = ("customer",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A server's pushes are its customer's: moving it would rewrite what happened."""
        return ("customer", "public_id", "created_at") if obj else ("public_id", "created_at")


@admin.register(ServerKey)
class ServerKeyAdmin(ReadOnly):
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
        """Whoever may change keys elsewhere; the pages themselves stay read-only."""
        return bool(request.user.has_perm("tenants.change_serverkey"))
