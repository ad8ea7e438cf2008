"""Filters of the lists of drafts, invoices and the ledger of amounts."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from billing.invoices import converting, reading
from billing.models import Invoice, InvoiceDraft, LedgerEntry


class ReadyFilter(admin.SimpleListFilter):
    """Filter drafts by whether their day has come."""

    title = "ready"
    parameter_name = "ready"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """The two."""
        return ("yes", "can be issued"), ("no", "later")

    def queryset(self, request: HttpRequest, queryset: QuerySet[InvoiceDraft]) -> QuerySet[InvoiceDraft]:
        """Narrow the list down."""
        if self.value() is None:
            return queryset
        today = timezone.now().date()
        return queryset.filter(ready_on__lte=today) if self.value() == "yes" else queryset.filter(ready_on__gt=today)


class OverdueFilter(admin.SimpleListFilter):
    """Filter documents by whether their due date has passed and something is open."""

    title = "overdue"
    parameter_name = "overdue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """The one."""
        return (("yes", "overdue"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> QuerySet[Invoice]:
        """Narrow the list down."""
        if self.value() != "yes":
            return queryset
        return queryset.filter(pk__in=[each.invoice.pk for each in reading.overdue(timezone.now().date())])


class UnusedFilter(admin.SimpleListFilter):
    """SLA credit that no invoice uses, for all are in another currency."""

    title, parameter_name = "SLA credit", "unused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """The one choice."""
        return (("yes", "in another currency than the invoices"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
        """The credits."""
        return queryset.filter(pk__in=converting.unused().values("pk")) if self.value() == "yes" else queryset
