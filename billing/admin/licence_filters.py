"""Filters of the staff's list of licences: where in its life each is, and which ones two accounts want."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from billing.licences.states import STATES, in_state
from billing.models import LicenceCase, LicenceProof


class StateFilter(admin.SimpleListFilter):
    """Filter by where in its life a licence is."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """See admin.SimpleListFilter."""
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[LicenceProof]) -> QuerySet[LicenceProof]:
        """See admin.SimpleListFilter."""
        wanted = self.value() or ""
        return in_state(queryset, wanted, timezone.now()) if wanted in STATES else queryset


class DoubleUseFilter(admin.SimpleListFilter):
    """Filter by whether another account has sent the same licence, and nobody has decided yet."""

    title = "double use"
    parameter_name = "double"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """See admin.SimpleListFilter."""
        return (("open", "Another account wants it"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[LicenceProof]) -> QuerySet[LicenceProof]:
        """See admin.SimpleListFilter."""
        return queryset.filter(Q(("wanted", True)), ended_at=None) if self.value() == "open" else queryset


class DecidedFilter(admin.SimpleListFilter):
    """Filter of cases by whether staff have decided."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """See admin.SimpleListFilter."""
        return (("open", "To be decided"), ("decided", "Decided"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[LicenceCase]) -> QuerySet[LicenceCase]:
        """See admin.SimpleListFilter."""
        wanted = {"open": True, "decided": False}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(resolved_at__isnull=wanted)
