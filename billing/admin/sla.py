"""The staff's view of sealed SLA months and of what was credited for them; the running month is on their board."""

from typing import Any

from django.contrib import admin

from billing.admin.usage import MonthFilter
from billing.models import SlaCredit, SlaMonth
from billing.money import text
from tenants.admin import ReadOnlyAdmin


class OfMonth(ReadOnlyAdmin):
    """Rows about a customer's month."""

    list_select_related = ("customer",)
    search_fields = ("customer__name", "customer__slug")

    @admin.display(description="month", ordering="month")
    def of_month(self, row: Any) -> str:
        """As 2026-11."""
        return f"{row.month:%Y-%m}"


@admin.register(SlaMonth)
class SlaMonthAdmin(OfMonth):
    """Months that are sealed, the worst of the latest first."""

    list_display = ("customer", "of_month", "uptime", "by_time", "by_requests", "bad_minutes", "valid", "failed_ours")
    list_filter = (MonthFilter,)
    ordering = ("-month", "uptime", "customer__name")


@admin.register(SlaCredit)
class SlaCreditAdmin(OfMonth):
    """Credits, which are given by themselves and never taken back."""

    list_display = ("customer", "of_month", "percent", "amount", "made_at")
    list_filter = (MonthFilter, "currency")
    ordering = ("-month", "-amount_minor")

    @admin.display(description="credited", ordering="amount_minor")
    def amount(self, row: SlaCredit) -> str:
        """In units."""
        return text(row.amount_minor, row.currency)
