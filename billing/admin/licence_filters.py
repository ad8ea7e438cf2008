"""Filters of the staff's list of licences: where in its life each is, and which ones two accounts want."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from billing.licences import answer
from billing.licences.judging import GRACE
from billing.models import LicenceCase, LicenceProof


class StateFilter(admin.SimpleListFilter):
    """Filter by where in its life a licence is."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """See admin.SimpleListFilter."""
        return (
            ("counts", "Counts now"),
            ("expiring", f"Ends within {answer.SOON.days} days"),
            ("later", "Starts later"),
            ("expired", "Expired, not renewed"),
            ("ended", "Withdrawn, replaced or ended"),
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[LicenceProof]) -> QuerySet[LicenceProof]:
        """See admin.SimpleListFilter."""
        now = timezone.now()
        living = Q(ended_at=None)
        conditions = {
            "counts": living & Q(starts_at__lte=now) & _counts_after(now),
            "expiring": living & Q(starts_at__lte=now, expires_at__gt=now, expires_at__lt=now + answer.SOON),
            "later": living & Q(starts_at__gt=now),
            "expired": living & Q(expires_at__lte=now),
            "ended": ~living,
        }
        wanted = conditions.get(self.value() or "")
        found = queryset if wanted is None else queryset.filter(wanted)
        if self.value() == "expired":
            renewed = LicenceProof.objects.filter(living, customer=OuterRef("customer"), expires_at__gt=now)
            found = found.filter(~Exists(renewed))
        return found


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


def _counts_after(now: datetime) -> Q:
    """Whether a licence that has started counts: a proven one to the end of its grace, a vouched one to its end."""
    return Q(expires_at__gt=now) | Q(vouched=False, expires_at__gt=now - GRACE)
