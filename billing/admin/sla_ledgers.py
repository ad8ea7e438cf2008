"""The staff's view of the SLA's ledgers: whose chain is whole, whose is broken, and how it is begun anew."""

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import Exists, Max, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.dates import day
from billing.models import SlaDay, SlaLedger
from billing.sla import breaks, judging, ledger, renewing
from tenants.admin import ReadOnlyAdmin
from tenants.problem import ProblemError

_PAGE: Final = "admin/billing/renew.html"
_RENEW: Final = "billing.add_slarenewal"


class ChainFilter(admin.SimpleListFilter):
    """Whether the chain goes on."""

    title = "chain"
    parameter_name = "chain"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Two."""
        return [("broken", "Broken"), ("whole", "Goes on")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SlaLedger]) -> QuerySet[SlaLedger]:
        """The rows with such a chain."""
        broken = breaks.all_broken().values("pk")
        if self.value() == "broken":
            return queryset.filter(pk__in=broken)
        return queryset.exclude(pk__in=broken) if self.value() == "whole" else queryset


class RenewForm(forms.Form):
    """Why a chain is begun anew."""

    reason = forms.RegexField(
        rf"\A{ledger.FREE_TEXT.pattern}\Z",
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        error_messages={"invalid": "The reason is 3 to 200 of letters, digits, spaces and .:;()/'_-"},
        help_text="What broke it, for the customer to read: it stands in its files for good. Letters, digits, spaces "
        "and .:;()/'_-",
    )


@admin.register(SlaLedger)
class SlaLedgerAdmin(ReadOnlyAdmin):
    """Ledgers, with those first whose chain is broken."""

    list_display = ("customer", "public_id", "begins", "sealed_to", "chain")
    list_filter = (ChainFilter,)
    list_select_related = ("customer",)
    search_fields = ("customer__name", "customer__slug", "public_id")
    search_help_text = "Customer or public id"
    fields = ("customer", "public_id", "begins", "sealed_to", "chain", "begun_anew", "page")
    readonly_fields = fields
    actions = ("begin_anew",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SlaLedger]:
        """With its last sealed day, and whether it is left out of the trees."""
        own = SlaDay.objects.filter(customer_id=OuterRef("customer_id")).order_by()
        last = own.values("customer_id").annotate(last=Max("day")).values("last")
        left_out = breaks.all_broken().filter(pk=OuterRef("pk"))
        # Not by Django's own, which would order by what is not there yet.
        return SlaLedger.objects.annotate(last=Subquery(last), broken=Exists(left_out))

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """What is broken first."""
        return "-broken", "customer__name"

    def has_renew_permission(self, request: HttpRequest) -> bool:
        """Who may begin a chain anew."""
        return bool(request.user.has_perm(_RENEW))

    @admin.action(description="Begin the broken chain of the selected ones anew", permissions=("renew",))
    def begin_anew(self, request: HttpRequest, queryset: QuerySet[SlaLedger]) -> HttpResponse | None:
        """Ask why, show what will happen, and do it once that is confirmed."""
        confirmed = "confirm" in request.POST
        form = RenewForm(request.POST if confirmed or "preview" in request.POST else None)
        rows = list(queryset)
        valid = form.is_valid()
        if valid and confirmed:
            self._renew(request, rows, form.cleaned_data["reason"])
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Begin a broken chain of the SLA's ledger anew",
            "opts": self.opts,
            "form": form,
            "shown": [(row, _will(row)) for row in rows],
            "ready": valid,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
            "media": self.media,
        }
        return TemplateResponse(request, _PAGE, context)

    def _renew(self, request: HttpRequest, rows: list[SlaLedger], reason: str) -> None:
        for row in rows:
            try:
                made = renewing.renew(row.customer, reason=reason, now=timezone.now())
            except ProblemError as problem:
                self.message_user(request, f"{row.customer}: {problem.sentence}", messages.ERROR)
            else:
                begins = day(judging.midnight(made.begins))
                self.message_user(request, f"{row.customer}: the chain begins anew with {begins}.", messages.SUCCESS)

    @admin.display(description="sealed up to", ordering="last", empty_value="nothing yet")
    def sealed_to(self, row: Any) -> str | None:
        """The last day of its own chain."""
        return None if row.last is None else date_format(row.last)

    @admin.display(ordering="broken")
    def chain(self, row: Any) -> str:
        """How it stands."""
        return "Broken: no day is sealed until it is begun anew" if row.broken else "Goes on"

    @admin.display(description="begun anew")
    def begun_anew(self, row: SlaLedger) -> SafeString | str:
        """Each break, with who decided what."""
        known = breaks.renewals(row.customer_id)
        lines = [
            (day(judging.midnight(each.broke_on)), day(judging.midnight(each.begins)), each.decided_by, each.reason)
            for each in known
        ]
        return format_html_join("", "<div>Broken on {}, begun anew on {}, by {}: {}</div>", lines) or "never"

    @admin.display(description="its page")
    def page(self, row: SlaLedger) -> SafeString:
        """The page as the customer sees it."""
        return format_html('<a href="{}">Look at it</a>', reverse("sla", args=(row.customer.slug,)))


def _will(row: SlaLedger) -> str:
    try:
        return renewing.preview(row.customer).sentence
    except ProblemError as problem:
        return f"Cannot be done: {problem.sentence}"
