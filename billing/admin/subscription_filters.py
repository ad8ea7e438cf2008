"""Filters of the staff's list of subscriptions: what needs somebody."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from billing.subscriptions.needing import NEEDS, needing


class StandingFilter(admin.SimpleListFilter):
    """By what comes soon, or is owed."""

    title = "what needs somebody"
    parameter_name = "needs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """In the order in which they come."""
        return list(NEEDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list down."""
        wanted = self.value() or ""
        return needing(queryset, wanted, timezone.now()) if wanted in NEEDS else queryset
