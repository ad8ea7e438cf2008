"""The staff's view of usage: all customers by their share of what is included, closed months, what came of them."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, F, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.facts import Month
from billing.models import UsageCorrection, UsageLimit, UsageMonth, UsageNotice, UsageRunning
from billing.usage import months
from billing.usage.quotas import NEAR_PERCENT
from tenants.admin import ReadOnlyAdmin
from tenants.admin.filters import whether


class MonthFilter(admin.SimpleListFilter):
    """The months that usage is kept for, the latest first."""

    title = "month"
    parameter_name = "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Those that have ended."""
        present = months.month_of(timezone.now())
        found = (months.moved(present, -by) for by in range(1, months.KEPT + 1))
        return [(months.text(month), months.words(month)) for month in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen month."""
        chosen = {text for text, _ in self.lookup_choices}
        if self.value() not in chosen:
            return queryset
        year, month = map(int, str(self.value()).split("-"))
        return queryset.filter(month=Month(year, month).first)


class QuotaFilter(admin.SimpleListFilter):
    """Whose share is high."""

    title = "share of what is included"
    parameter_name = "share"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """From which percentage on."""
        return [(str(NEAR_PERCENT), "80 % or more"), ("100", "100 % or more"), ("120", "120 % or more")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows with such a share."""
        known = {text for text, _ in self.lookup_choices}
        return queryset.filter(percent__gte=int(str(self.value()))) if self.value() in known else queryset


class UsageAdmin(ReadOnlyAdmin):
    """Rows about a customer's month."""

    list_select_related = ("customer",)
    search_fields = ("customer__name", "customer__slug", "customer__servers__name")
    search_help_text = "Customer's name or slug, or a server"

    @admin.display(description="month", ordering="month")
    def of_month(self, row: Any) -> str:
        """As 2026-11."""
        return f"{row.month:%Y-%m}"

    @admin.display(description="share", ordering=F("percent").desc(nulls_last=True))
    def share(self, row: Any) -> str:
        """The highest share of what is included."""
        return "no bound" if row.percent is None else f"{row.percent:,} %"

    @admin.display(description="pushes", ordering="pushes")
    def of_pushes(self, row: Any) -> str:
        """With what is included."""
        return _with(row.pushes, row.included_pushes)

    @admin.display(description="active devices", ordering="devices")
    def of_devices(self, row: Any) -> str:
        """With what is included."""
        return _with(row.devices, row.included_devices)

    @admin.display(description="servers", ordering="servers")
    def of_servers(self, row: Any) -> str:
        """With what is included."""
        return _with(row.servers, row.included_servers)

    @admin.display(description="its page")
    def page(self, row: Any) -> SafeString:
        """The way to the month as the customer sees it."""
        slug, month = row.customer.slug, f"{row.month:%Y-%m}"
        return format_html('<a href="{}">Look at it</a>', reverse("usage-month", args=(slug, month)))


@admin.register(UsageRunning)
class UsageRunningAdmin(UsageAdmin):
    """The running month of all customers, the highest share first."""

    list_display = ("customer", "page", "share", "of_pushes", "of_devices", "of_servers", "seats", "counted")
    list_filter = (QuotaFilter, "customer__offer")
    ordering = (F("percent").desc(nulls_last=True), "-pushes")

    @admin.display(description="counted", ordering="at")
    def counted(self, row: UsageRunning) -> str:
        """When, in UTC."""
        return f"{row.at:%d %b, %H:%M}"


@admin.register(UsageMonth)
class UsageMonthAdmin(UsageAdmin):
    """Closed months of all customers, as they were closed; what was corrected since is said."""

    list_display = (
        *("customer", "of_month", "page", "share", "of_pushes", "of_devices", "of_servers", "seats"),
        *("corrected", "closed_at"),
    )
    list_filter = (MonthFilter, QuotaFilter, "customer__offer")
    ordering = ("-month", F("percent").desc(nulls_last=True), "-pushes")

    def get_queryset(self, request: HttpRequest) -> QuerySet[UsageMonth]:
        """With whether there is a correction."""
        found = UsageCorrection.objects.filter(customer=OuterRef("customer"), month=OuterRef("month"))
        rows: QuerySet[UsageMonth] = super().get_queryset(request)
        return rows.annotate(is_corrected=Exists(found))

    @admin.display(description="corrected", boolean=True)
    def corrected(self, row: UsageMonth) -> bool:
        """Whether another count came to something else."""
        return bool(row.is_corrected)  # type: ignore[attr-defined]  # annotated above


@admin.register(UsageCorrection)
class UsageCorrectionAdmin(UsageAdmin):
    """What closed months came to when they were counted again, with what was stated before."""

    list_display = (
        *("customer", "of_month", "at", "pushes_before", "pushes", "devices_before", "devices", "reason", "page"),
    )
    list_filter = (MonthFilter,)


@admin.register(UsageNotice)
class UsageNoticeAdmin(UsageAdmin):
    """E-mails about quotas that went out."""

    list_display = ("customer", "of_month", "measure", "step", "at", "page")
    list_filter = ("step", "measure")


@admin.register(UsageLimit)
class UsageLimitAdmin(UsageAdmin):
    """Limits of who has used more than is included: in force, and ended."""

    list_display = ("customer", "of_month", "rate", "burst", "began_at", "ended_at", "page")
    list_filter = (("ended_at", whether("state", "In force", "Ended")),)


def _with(used: int, included: int | None) -> str:
    return f"{used:,}" if included is None else f"{used:,} of {included:,}"
