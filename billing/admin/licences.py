"""The staff's view of licences: who has proven which, vouching by hand, ending one, and the cases to be decided.

Everything that is changed here goes through billing/licences, which checks it in plain words and audits it.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.widgets import AdminDateWidget
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from billing.admin.licence_filters import DecidedFilter, DoubleUseFilter, StateFilter
from billing.dates import day, last_day
from billing.licences import answer, cases, issuers, skus, vouching
from billing.models import LicenceCase, LicenceProof
from tenants.admin import ServiceAdmin, ServiceForm

TERMS: Final = (
    *("customer", "server", "plan", "users", "push_limit", "company", "is_trial", "issuer", "licence_id"),
    *("issued_at", "starts_at", "expires_at", "digest"),
)

VOUCHED: Final = ("customer", "server", "plan", "users", "company", "until", "reason", "issuer", "licence_id")


class VouchForm(ServiceForm):
    """A licence that staff answer for, from now to the end of a day."""

    plan = forms.ChoiceField(choices=[(each, f"{skus.title(each)} ({each})") for each in skus.VOUCHABLE])
    until = forms.DateField(
        widget=AdminDateWidget, label="Until", help_text="It counts to the end of this day (UTC), three years at most."
    )

    class Meta:
        model = LicenceProof
        fields = ("customer", "server", "users", "company", "reason", "issuer", "licence_id")
        help_texts = {  # noqa: RUF012
            "server": "One of the customer's; empty: it says so later.",
            "company": "Whom the licence was issued to; empty: the customer's name.",
            "issuer": "With a licence id: whose licence it is, so that no other account can prove it by its file.",
            "licence_id": "26 letters and digits, where it is known.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = True
        self.fields["users"].initial = None
        names = [issuer.name for issuer in issuers.load(settings.LICENCE_KEYS).issuers]
        self.fields["issuer"] = forms.ChoiceField(
            choices=[("", "none"), *((name, name) for name in names)],
            required=False,
            help_text=self.fields["issuer"].help_text,
        )

    def apply(self, given: dict[str, Any]) -> LicenceProof:
        """Vouch."""
        return vouching.vouch(
            customer=given["customer"],
            server=given["server"],
            sku=given["plan"],
            users=given["users"],
            company=given["company"],
            issuer=given["issuer"],
            licence_id=given["licence_id"].strip(),
            reason=given["reason"],
            expires_at=datetime.combine(given["until"] + timedelta(days=1), time(), UTC),
            now=timezone.now(),
        )


class EndForm(ServiceForm):
    """Ends a proof, with the reason."""

    class Meta:
        model = LicenceProof
        fields = ("end_reason",)
        labels = {"end_reason": "End it, because"}  # noqa: RUF012
        help_texts = {  # noqa: RUF012
            "end_reason": "It stops counting at once and for good; the customer sees the reason. Another account can "
            "prove the licence then.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.required = True

    def apply(self, given: dict[str, Any]) -> LicenceProof:
        """End it."""
        there = LicenceProof.objects.get(pk=self.instance.pk)
        return vouching.end(proof=there, reason=given["end_reason"], now=timezone.now()).row


@admin.register(LicenceProof)
class LicenceProofAdmin(ServiceAdmin):
    """Licences that were proven or vouched for; adding one is vouching for it."""

    list_display = ("__str__", "customer", "short_state", "expires_on", "short_plan", "users")
    list_filter = (StateFilter, "vouched", DoubleUseFilter, "sku", "issuer", "is_trial")
    list_select_related = ("customer", "server__customer")
    search_fields = ("licence_id", "company", "customer__name", "customer__slug", "server__name")
    search_help_text = "Licence id, company, customer or server"
    autocomplete_fields = ("customer", "server")
    date_hierarchy = "expires_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[LicenceProof]:
        """With whether another account wants each."""
        same = LicenceCase.objects.filter(
            issuer=OuterRef("issuer"), licence_id=OuterRef("licence_id"), resolved_at=None, kind="double_use"
        )
        rows: QuerySet[LicenceProof] = super().get_queryset(request)
        return rows.annotate(wanted=Exists(same))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """One form to vouch, another to end."""
        kwargs["form"] = EndForm if obj else VouchForm
        # Django takes all of them out of the form of who may only look.
        kwargs["fields"] = None if self.has_change_permission(request, obj) else []
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """See get_form."""
        if obj is None:
            return VOUCHED
        rest = ("vouched", "reason", "site_agreed_at", "created_at", "state", "double_use")
        return (*TERMS, *rest, *(("ended_at",) if obj.ended_at else ()), "end_reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What a licence says is never rewritten."""
        return tuple(name for name in self.get_fields(request, obj) if name != "end_reason") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What has ended stays as it is."""
        return super().has_change_permission(request, obj) and (obj is None or obj.ended_at is None)

    @admin.display(description="plan")
    def plan(self, row: LicenceProof) -> str:
        """The plan's name, and how the licence has it."""
        return f"{skus.title(row.sku)} ({row.sku})"

    @admin.display(description="state")
    def short_state(self, row: LicenceProof) -> str:
        """As the list has it."""
        return "Over" if row.ended_at else self.state(row)

    @admin.display(description="ends", ordering="expires_at")
    def expires_on(self, row: LicenceProof) -> str:
        """The day on which it ends."""
        return (row.expires_at - timedelta(microseconds=1)).date().isoformat()

    @admin.display(description="plan", ordering="sku")
    def short_plan(self, row: LicenceProof) -> str:
        """The plan's name."""
        return skus.title(row.sku)

    @admin.display(description="state")
    def state(self, row: LicenceProof) -> str:
        """In words."""
        if row.ended_at is not None:
            return f"Over since {day(row.ended_at)}: {row.end_reason}"
        wanted = "; another account wants it" if getattr(row, "wanted", False) else ""
        return f"{answer.standing(row, timezone.now()).text}{wanted}"

    @admin.display(description="double use")
    def double_use(self, row: LicenceProof) -> str:
        """The open cases about the same licence."""
        found = LicenceCase.objects.filter(
            issuer=row.issuer, licence_id=row.licence_id, resolved_at=None, kind="double_use"
        )
        names = [f"{case.customer.slug} ({case.attempts} times)" for case in found.select_related("customer")]
        return ", ".join(names) or "none"


class ResolveForm(ServiceForm):
    """What staff decide about a case."""

    class Meta:
        model = LicenceCase
        fields = ("resolution", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.required = True

    def apply(self, given: dict[str, Any]) -> LicenceCase:
        """Resolve it."""
        there = LicenceCase.objects.get(pk=self.instance.pk)
        return cases.resolve(case=there, resolution=given["resolution"], note=given["note"], now=timezone.now())


@admin.register(LicenceCase)
class LicenceCaseAdmin(ServiceAdmin):
    """Licences that staff have to decide about."""

    form = ResolveForm
    list_display = ("kind", "customer", "licence_id", "last_on", "resolution")
    list_filter = (DecidedFilter, "kind")
    list_select_related = ("customer",)
    search_fields = ("licence_id", "company", "customer__name", "customer__slug")
    search_help_text = "Licence id, company or customer"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The facts, what would happen, and the decision."""
        rest = ("attempts", "first_at", "last_at", "holder", "what_happens")
        return ("kind", *TERMS, *rest, *(("resolved_at",) if obj and obj.resolved_at else ()), "resolution", "note")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """All but the decision."""
        return tuple(name for name in self.get_fields(request, obj) if name not in ("resolution", "note"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: a customer's upload opens one."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Each is resolved once."""
        return super().has_change_permission(request, obj) and (obj is None or obj.resolved_at is None)

    @admin.display(description="plan")
    def plan(self, row: LicenceCase) -> str:
        """The plan's name, and how the licence has it."""
        return f"{skus.title(row.sku)} ({row.sku})"

    @admin.display(description="last sent", ordering="last_at")
    def last_on(self, row: LicenceCase) -> str:
        """The day on which it was sent last."""
        return row.last_at.date().isoformat()

    @admin.display(description="in use by")
    def holder(self, row: LicenceCase) -> str:
        """Who has proven the same licence."""
        there = cases.holder(row)
        if there is None:
            return "nobody at the moment"
        address = reverse("admin:billing_licenceproof_change", args=(there.pk,))
        return format_html('<a href="{}">{}</a>, since {}', address, there.customer.slug, day(there.created_at))

    @admin.display(description="what would happen")
    def what_happens(self, row: LicenceCase) -> str:
        """What each decision does."""
        if row.kind == LicenceCase.Kind.UNKNOWN_PLAN:
            return "Nothing by itself: to let it count, vouch for a licence of this customer, then close the case."
        there, server = cases.holder(row), f" at {row.server.name}" if row.server else ""
        ends = f"ends the licence of {there.customer.slug} at once, and " if there else ""
        return (
            f"“It is this account's” {ends}gives it to {row.customer.slug}{server} until {last_day(row.expires_at)}, "
            "without another upload. The two others change nothing but tell the customer your note."
        )
