"""The staff's view of invoices: drafts with what they would become, documents, the ledger, who is billed.

Rows are made and changed by billing.invoices alone. Every act is asked for twice: first what will happen is shown.
"""

from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.admin.invoice_filters import OverdueFilter, ReadyFilter, UnusedFilter
from billing.admin.invoices_acts import ACTS
from billing.admin.invoices_forms import DraftForm, ProfileForm
from billing.invoices import document as documents
from billing.invoices import drafting, issuing, reading, wording
from billing.models import BillingProfile, Invoice, InvoiceDraft, LedgerEntry
from billing.money import text
from tenants.admin import ReadOnlyAdmin, ServiceAdmin
from tenants.models import Customer
from tenants.problem import ProblemError

_PREVIEW: Final = "admin/billing/issue.html"


@admin.register(InvoiceDraft)
class InvoiceDraftAdmin(ServiceAdmin):
    """What is yet to be issued. One that was made by hand can be withdrawn; the others follow from subscriptions."""

    form = DraftForm
    list_display = ("__str__", "customer", "kind", "ready_on", "net", "computed_at")
    list_filter = (ReadyFilter, "kind", "currency")
    list_select_related = ("customer",)
    search_fields = ("customer__name", "customer__slug")
    autocomplete_fields = ("customer",)
    actions = ("issue", "withdraw")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A new one is entered; there is nothing to be changed of one that is there."""
        if obj is None:
            return ("customer", "currency", "lines_text", "payment_days")
        return ("customer", "kind", "ready_on", "computed_at", "preview")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """See above."""
        return ("customer", "kind", "ready_on", "computed_at", "preview") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of the list, for its actions; a draft itself is computed."""
        return obj is None and super().has_change_permission(request)

    def has_issue_permission(self, request: HttpRequest) -> bool:
        """Whether the user may make documents."""
        return bool(request.user.has_perm("billing.add_invoice"))

    @admin.display(description="before tax")
    def net(self, row: InvoiceDraft) -> str:
        """What its lines come to."""
        return text(sum(line.amount_minor for line in drafting.lines_of(row)), row.currency)

    @admin.display(description="what would be issued today")
    def preview(self, row: InvoiceDraft) -> SafeString:
        """Lines and totals, or what stands in the way."""
        try:
            made = issuing.preview(row, timezone.now())
        except ProblemError as problem:
            return format_html("<strong>{}</strong>", problem.sentence)
        return _shown(made)

    @admin.action(description="Issue the selected drafts: shows what will be issued first", permissions=("issue",))
    def issue(self, request: HttpRequest, queryset: QuerySet[InvoiceDraft]) -> HttpResponseBase | None:
        """The first time what would be issued; the second time, each that can be."""
        rows, now = list(queryset.select_related("customer").order_by("ready_on", "pk")), timezone.now()
        if "confirmed" not in request.POST:
            context = {**self.admin_site.each_context(request), "title": "Issue documents", "opts": self.opts}
            context |= {"previews": [_preview(row) for row in rows], "action": "issue"}
            return TemplateResponse(request, _PREVIEW, context)
        for row in rows:
            try:
                made = issuing.issue(row, now=now)
            except ProblemError as problem:
                messages.error(request, f"{row.customer.slug}: {problem.sentence}")
            else:
                messages.success(
                    request, f"{made.number} was issued: {made.total}. Billing contacts get it within five minutes."
                )
        return None

    @admin.action(description="Withdraw the selected drafts that were made by hand", permissions=("issue",))
    def withdraw(self, request: HttpRequest, queryset: QuerySet[InvoiceDraft]) -> None:
        """Delete each that does not follow from a subscription."""
        for row in queryset:
            try:
                drafting.withdraw(row)
            except ProblemError as problem:
                messages.error(request, f"{row}: {problem.sentence}")
            else:
                messages.success(request, f"{row} was withdrawn.")


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    """Issued documents, for ever as they are. Payments, refunds and credit notes are entered from here."""

    list_display = ("number", "customer_name", "kind", "issued_at", "due_on", "total", "open", "state")
    list_filter = (OverdueFilter, "kind", "currency", "year", ("due_on", admin.DateFieldListFilter))
    search_fields = ("number", "customer_name", "entries__reference")
    search_help_text = "Number, company, or the bank's reference of a payment"
    date_hierarchy = "issued_at"
    fields = ("number", "kind", "customer_page", "issued_at", "due_on", "state", "open", "shown", "payments", "acts")
    readonly_fields = fields

    def get_urls(self) -> list[Any]:
        """With the forms of what staff do."""
        view = self.admin_site.admin_view
        name = "billing_invoice_{}"
        return [
            path("<path:object_id>/payment/", view(self.payment), name=name.format("payment")),
            path("<path:object_id>/credit/", view(self.credit), name=name.format("credit")),
            path("<path:object_id>/refund/", view(self.refund), name=name.format("refund")),
            path("<path:object_id>/exchange/", view(self.exchange), name=name.format("exchange")),
            *super().get_urls(),
        ]

    def payment(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Enter a payment."""
        return self._act(request, object_id, "payment")

    def credit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Issue a credit note."""
        return self._act(request, object_id, "credit")

    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Enter a refund."""
        return self._act(request, object_id, "refund")

    def exchange(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Use SLA credit of another currency."""
        return self._act(request, object_id, "exchange")

    def _act(self, request: HttpRequest, object_id: str, what: str) -> HttpResponse:
        act = ACTS[what]
        if not request.user.has_perm(act.permission):
            raise PermissionDenied
        row = Invoice.objects.filter(pk=int(object_id)).first() if object_id.isdecimal() else None
        if row is None:
            messages.warning(request, "There is no such document.")
            return redirect("admin:billing_invoice_changelist")
        form = act(request.POST or None, row=row)
        will = ""
        if request.method == "POST" and form.is_valid():
            done = form.do() if request.POST.get("confirmed") == form.shown_as else ""
            if done:
                messages.success(request, done)
                return HttpResponseRedirect(reverse("admin:billing_invoice_change", args=(row.pk,)))
            will = form.will_happen if not form.errors else ""
        context = {**self.admin_site.each_context(request), "title": f"{act.title}: {row.number}", "opts": self.opts}
        context |= {"form": form, "will": will, "row": row, "button": act.button, "original": row}
        return TemplateResponse(request, "admin/billing/act.html", context)

    @admin.display(description="open")
    def open(self, row: Invoice) -> str:
        """What is to be paid."""
        return reading.standing(row, timezone.now().date()).open

    @admin.display(description="state")
    def state(self, row: Invoice) -> str:
        """How it stands today."""
        return reading.standing(row, timezone.now().date()).state.value

    @admin.display(description="customer")
    def customer_page(self, row: Invoice) -> SafeString | str:
        """The customer, where it is still there."""
        there = Customer.objects.filter(pk=row.customer_id).first()
        if there is None:
            return f"{row.customer_name} (erased)"
        url = reverse("admin:tenants_customer_change", args=(there.pk,))
        return format_html('<a href="{}">{}</a>', url, there.name)

    @admin.display(description="document")
    def shown(self, row: Invoice) -> SafeString:
        """All that stands on it."""
        return _shown(documents.from_json(row.document))

    @admin.display(description="what counts towards it")
    def payments(self, row: Invoice) -> SafeString | str:
        """The entries of the ledger that name it."""
        entries = row.entries.order_by("at", "id")
        rows = (
            (f"{each.at:%Y-%m-%d}", each.get_kind_display(), each.get_account_display(), str(each), each.reference)
            for each in entries
        )
        return format_html_join("", "{} · {} → {} · {} · {}<br>", rows) or "nothing yet"

    @admin.display(description="what you can do")
    def acts(self, row: Invoice) -> SafeString:
        """The forms, each of which shows what will happen before it does."""
        if row.kind != "invoice":
            return format_html("{}", "Nothing: only invoices are paid and credited.")
        links = ((reverse(f"admin:billing_invoice_{name}", args=(row.pk,)), act.title) for name, act in ACTS.items())
        return format_html_join(" · ", '<a href="{}">{}</a>', links)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """Every amount that moved, by customer; nothing here is ever changed."""

    list_display = ("at", "customer", "account", "kind", "amount", "invoice", "month", "reference", "actor")
    list_filter = (UnusedFilter, "account", "kind", "currency")
    list_select_related = ("invoice",)
    search_fields = ("reference", "invoice__number", "invoice__customer_name")
    search_help_text = "The bank's reference, a document's number, or the company on it"

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        """With the names of customers, which an entry outlives."""
        names = Customer.objects.filter(pk=OuterRef("customer_id")).values("name")
        found: QuerySet[LedgerEntry] = super().get_queryset(request).annotate(known_as=Subquery(names))
        return found

    @admin.display(ordering="customer_id")
    def customer(self, row: Any) -> str:
        """Its name, or the number of one that was erased."""
        return row.known_as or f"{row.customer_id} (erased)"

    @admin.display(description="amount")
    def amount(self, row: LedgerEntry) -> str:
        """In units."""
        return text(row.amount_minor, row.currency)


@admin.register(BillingProfile)
class BillingProfileAdmin(ServiceAdmin):
    """Who is billed; owners change it on their pages, too."""

    form = ProfileForm
    list_display = ("name", "customer", "country", "vat_id", "updated_at")
    list_filter = ("country",)
    list_select_related = ("customer",)
    search_fields = ("name", "customer__name", "customer__slug", "vat_id")
    autocomplete_fields = ("customer",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """It stays with its customer."""
        return ("customer",) if obj else ()


def _preview(row: InvoiceDraft) -> dict[str, Any]:
    try:
        made = issuing.preview(row, timezone.now())
    except ProblemError as problem:
        return {"row": row, "problem": problem.sentence}
    if row.ready_on > timezone.now().date():
        return {"row": row, "problem": f"It can be issued from {row.ready_on} on."}
    return {"row": row, "shown": _shown(made)}


def _shown(made: documents.Document) -> SafeString:
    """A document as the admin shows it."""
    lines = format_html_join("", "<li>{} × {}: <strong>{}</strong> ({})</li>", (
        (quantity, price, amount, words.replace("\n", "; "))
        for words, quantity, price, amount in (wording.cells(line, made.currency) for line in made.lines)
    ))  # fmt: skip
    sums = format_html_join("", "<li>{}: <strong>{}</strong></li>", (
        (label, text(amount, made.currency)) for label, amount, _ in wording.sums(made)
    ))  # fmt: skip
    notes = format_html_join("", "<p>{}</p>", ((note,) for note in wording.notes(made)))
    buyer = ", ".join(wording.address(made.buyer))
    return format_html("<p>{} for {}</p><ul>{}</ul><ul>{}</ul>{}", made.title, buyer, lines, sums, notes)
