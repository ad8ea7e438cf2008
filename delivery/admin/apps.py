"""The staff's view of apps and credentials: the shared apps with their keys, and what will end or is refused.

A credential is uploaded on its app's page, the same way as a customer uploads its own, and is never shown again.
"""

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from delivery.worker import credential_check
from tenants import services
from tenants.admin import ReadOnlyAdmin, ServiceAdmin, ServiceForm
from tenants.admin.filters import whether
from tenants.credentials import uploads
from tenants.models import Credential, PushApp
from tenants.problem import ProblemError
from tenants.providers import pem
from tenants.providers.base import Parsed
from tenants.providers.table import PROVIDERS

EXPIRY_WARNING_DAYS: Final = 30


class PushAppForm(ServiceForm):
    """An app, and a file to sign it with: as the current credential where there is none, else as the next."""

    file = forms.FileField(
        required=False, help_text=f"{', or '.join(provider.wanted for provider in PROVIDERS.values())}. It is sealed."
    )
    key_id = forms.CharField(required=False, max_length=20, help_text="For a .p8 whose name is not AuthKey_....p8.")
    team_id = forms.CharField(required=False, max_length=20, help_text="For a .p8.")
    password = forms.CharField(
        required=False,
        max_length=200,
        strip=False,
        help_text="For a .p12 or .pem that has one. It is not kept.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    parsed: Parsed | None = None
    credential: Credential | None = None

    class Meta:
        model = PushApp
        fields = ("customer", "label", "family", "topic", "host", "is_default", "enabled")

    def clean(self) -> dict[str, Any]:
        """Read the file, then see whether all of it can be done."""
        given = self.cleaned_data
        if given.get("file") is not None and not self.errors:
            try:
                self.parsed = uploads.parse(
                    given["file"].read(pem.SIZE_MAX + 1),
                    owner=None,
                    filename=given["file"].name,
                    password=given["password"],
                    key_id=given["key_id"],
                    team_id=given["team_id"],
                )
            except ProblemError as problem:
                self.add_error("file", problem.sentence)
        return super().clean()

    def error_field(self, given: dict[str, Any]) -> str | None:
        """The file, where there is one."""
        return "file" if given.get("file") is not None else None

    def apply(self, given: dict[str, Any]) -> PushApp:
        """Make or change the app, and take the credential. Raises ProblemError."""
        if self.instance.pk is None:
            names = ("label", "topic", "family", "host", "customer", "is_default")
            app = services.app_add(**{name: given[name] for name in names}).row
        else:
            app = PushApp.objects.select_related("customer").get(pk=self.instance.pk)
            app = services.app_enable(app=app, enabled=given["enabled"]).row
            if app.is_default != given["is_default"]:
                app = services.app_default(app=app, is_default=given["is_default"]).row
        if self.parsed is not None:
            taken = Credential.objects.filter(app=app, slot=Credential.Slot.CURRENT).exists()
            slot = Credential.Slot.NEXT if taken else Credential.Slot.CURRENT
            self.credential = services.credential_add(app=app, parsed=self.parsed, slot=slot).row
        return app


@admin.register(PushApp)
class PushAppAdmin(ServiceAdmin):
    """Apps. Label, family and owner are fixed, because a credential was sealed and checked for just this app."""

    form = PushAppForm
    list_display = ("label", "customer", "family", "topic", "host", "is_default", "enabled", "signed_with")
    list_filter = ("family", "host", "enabled", ("customer", whether("owner", "The operator", "A customer")))
    list_select_related = ("customer",)
    search_fields = ("label", "topic", "customer__slug", "customer__name")
    autocomplete_fields = ("customer",)
    fieldsets = (
        (None, {"fields": ("customer", "label", "family", "topic", "host", "is_default", "enabled", "created_at")}),
        (
            "Upload a credential",
            {
                "description": "The provider is asked at once whether it takes it; no phone is reached by that.",
                "fields": ("file", "key_id", "team_id", "password"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PushApp]:
        """With the credentials, for the list."""
        return super().get_queryset(request).prefetch_related("credentials")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """See the class; a new app takes pushes from the start."""
        fixed = ("customer", "label", "family", "topic", "host", "created_at")
        return fixed if obj else ("created_at", "enabled")

    def save_model(self, request: HttpRequest, obj: PushApp, form: Any, change: bool) -> None:
        """Through the services, and ask the provider about what was uploaded."""
        super().save_model(request, obj, form, change)
        if form.credential is not None:
            self._check_with_provider(request, form.credential)

    @staticmethod
    def _check_with_provider(request: HttpRequest, credential: Credential) -> None:
        result = credential_check.check(credential)
        level = messages.SUCCESS if result.good else messages.ERROR
        messages.add_message(request, level, f"{credential.key_id}: {result.meaning}; {result.fix}.")

    @admin.display(description="signed with", empty_value="no credential")
    def signed_with(self, row: PushApp) -> str | None:
        """The current credential's label."""
        return next((one.key_id for one in row.credentials.all() if one.slot == Credential.Slot.CURRENT), None)


class ProblemFilter(admin.SimpleListFilter):
    """The credentials that somebody has to look after."""

    title = "trouble"
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be wrong."""
        return [("refused", "Refused"), ("expired", "Expired"), ("soon", f"Ends within {EXPIRY_WARNING_DAYS} days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Credential]) -> QuerySet[Credential]:
        """Those for which it is."""
        now = timezone.now()
        chosen = {
            "refused": Q(refused_at__isnull=False),
            "expired": Q(expires_at__lte=now),
            "soon": Q(expires_at__gt=now, expires_at__lte=now + timedelta(days=EXPIRY_WARNING_DAYS)),
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    """Credentials, without what is sealed: what ends when, and what the providers say."""

    list_display = ("key_id", "app", "slot", "kind", "expires_at", "answer", "checked_at", "refusal")
    list_filter = (ProblemFilter, "kind", "slot", ("app__customer", whether("owner", "The operator", "A customer")))
    list_select_related = ("app__customer",)
    search_fields = ("key_id", "app__label", "app__topic", "app__customer__slug")
    fields = (
        *("app", "slot", "kind", "key_id", "expires_at", "created_at"),
        *("checked_at", "answer", "refused_at", "refusal"),
    )
    ordering = ("expires_at", "app")
    actions = ("recheck", "promote")
    # Each is a question to a provider, which may take its time.
    MOST: Final = 5

    @admin.display(description="what the provider said", ordering="check_code", empty_value="nothing yet")
    def answer(self, row: Credential) -> str | None:
        """In words, with the code in small print."""
        return _meaning(row, row.check_code)

    @admin.display(description="why it is refused", ordering="refused_code", empty_value="it is not")
    def refusal(self, row: Credential) -> str | None:
        """The same."""
        return _meaning(row, row.refused_code)

    @admin.action(
        description="Ask the provider about the selected credentials (5 at most)", permissions=("change_app",)
    )
    def recheck(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        """Check each with its provider."""
        for row in queryset.select_related("app__customer")[: self.MOST]:
            PushAppAdmin._check_with_provider(request, row)

    @admin.action(description="Promote the selected next credentials (5 at most)", permissions=("change_app",))
    def promote(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        """Sign with each from now on, when its provider takes it."""
        for row in queryset.select_related("app__customer")[: self.MOST]:
            try:
                made, result = credential_check.promote(app=row.app, expected_id=row.pk)
            except ProblemError as problem:
                messages.error(request, f"{row.key_id}: {problem.sentence}")
            else:
                messages.success(request, f"{result.meaning}: pushes are signed with {made.key_id} from now on.")

    def has_change_app_permission(self, request: HttpRequest) -> bool:
        """Whoever may change apps; credentials themselves are changed by no form."""
        return bool(request.user.has_perm("tenants.change_pushapp"))


def _meaning(row: Credential, code: str) -> str | None:
    if not code:
        return None
    description = credential_check.status_of(row, code).description
    return description if code == credential_check.OK else format_html("{} <small>({})</small>", description, code)
