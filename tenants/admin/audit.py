"""The staff's view of the audit log: everybody reads what their role includes, and nobody changes it."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from tenants.admin import history
from tenants.admin.base import ReadOnlyAdmin
from tenants.admin.filters import whether
from tenants.models import AuditEvent, Customer
from tenants.models.audit_words import DESCRIPTIONS


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
    list_filter = (ActionFilter, "actor_kind", ("customer_id", whether("customer", "None", "One or another")))
    search_fields = ("actor", "target")
    fields = ("at", "customer", "actor", "actor_kind", "address", "what", "action", "target", "details")
    ordering = ("-at", "-id")
    # Counting a log takes as long as it is.
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """What the reader's role includes, with the customers' slugs; an erased one has none."""
        slug = Customer.objects.filter(pk=OuterRef("customer_id")).values("slug")
        found: QuerySet[AuditEvent] = super().get_queryset(request).annotate(slug=Subquery(slug))
        return history.visible(request, found)

    @admin.display(description="what", ordering="action")
    def what(self, row: AuditEvent) -> str:
        """The action in words."""
        return row.what

    @admin.display(empty_value="none")
    def customer(self, row: Any) -> str | None:
        """Whose event it is: its slug, or the number of one that was erased."""
        return row.slug or (f"erased: {row.customer_id}" if row.customer_id else None)
