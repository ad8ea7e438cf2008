"""The staff's view of holds on REMOVE, of all customers."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from tenants import services
from tenants.admin import ReadOnlyAdmin
from tenants.admin.filters import whether
from tenants.models import RemoveHold
from tenants.problem import ProblemError


@admin.register(RemoveHold)
class RemoveHoldAdmin(ReadOnlyAdmin):
    """Holds, the latest first; those that have ended stay."""

    list_display = ("customer", "app", "credential", "held_at", "devices", "tokens", "code", "released_at")
    list_filter = (("held_at", whether("held", "Not any more", "Held")), "app__family")
    list_select_related = ("customer", "app__customer", "credential__app__customer")
    search_fields = ("customer__slug", "customer__name", "app__label", "credential__key_id")
    fields = ("customer", "app", "credential", "held_at", "devices", "tokens", "code", "released_at", "mailed_at")
    ordering = ("-held_at",)
    actions = ("release",)

    @admin.action(description="Let devices of the selected be removed for an hour", permissions=("change_app",))
    def release(self, request: HttpRequest, queryset: QuerySet[RemoveHold]) -> None:
        """End each hold by the staff's word."""
        for row in queryset.select_related("app"):
            try:
                done = services.remove_hold_release(hold=row, by_hand=True)
            except ProblemError as problem:
                messages.error(request, problem.sentence)
            else:
                said = "devices are removed again" if done.changed else "it had ended already"
                messages.success(request, f"{row}: {said}.")

    def has_change_app_permission(self, request: HttpRequest) -> bool:
        """Whoever may change apps."""
        return bool(request.user.has_perm("tenants.change_pushapp"))
