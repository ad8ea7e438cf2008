"""Filters of the staff's list of subscriptions: what needs somebody."""

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

SOON: Final = timedelta(days=14)
LICENCE_SOON: Final = timedelta(days=60)


class StandingFilter(admin.SimpleListFilter):
    """By what comes soon, or is owed."""

    title = "what needs somebody"
    parameter_name = "needs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """In the order in which they come."""
        return (
            ("trial", "trial ends within 14 days"),
            ("licence", "licence ends within 60 days"),
            ("past_due", "past due or restricted"),
            ("stopped", "suspended"),
            ("cancelled", "cancelled, not ended"),
            ("served", "served by agreement"),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list down."""
        now, wanted = timezone.now(), self.value()
        if wanted is None:
            return queryset
        standing = "last_standing__"
        lookups: dict[str, dict[str, Any]] = {
            "trial": {f"{standing}state": "trial", "trial_ends_at__lte": now + SOON},
            "licence": {
                "basis": "licence",
                f"{standing}state": "active",
                f"{standing}next_change_at__lte": now + LICENCE_SOON,
            },
            "past_due": {f"{standing}state__in": ("past_due", "restricted")},
            "stopped": {f"{standing}state": "suspended"},
            "cancelled": {"cancel_at__gt": now},
            "served": {"overrides__withdrawn_at": None, "overrides__until__gt": now},
        }
        return queryset.filter(**lookups.get(wanted, {})).distinct()
