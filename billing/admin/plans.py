"""The staff's view of plans: their prices change by another version, which those have who subscribe then."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from billing.models import Plan, PlanVersion, Subscription
from billing.money import text
from billing.subscriptions import plans
from tenants.admin import PlainForm, ReadOnlyAdmin, SecretSafeAdmin
from tenants.audit import recording


class VersionForm(PlainForm):
    """Another version of a plan."""

    class Meta:
        model = PlanVersion
        fields = ("plan", *plans.FIELDS)

    def clean(self) -> dict[str, Any]:
        """Days of reminders follow each other."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        days = [given.get(name) for name in ("restricted_after", "suspended_after", "ended_after")]
        if None not in days and days != sorted(days):  # type: ignore[type-var]  # none is None here
            self.add_error("restricted_after", "Restricted comes before suspended, and that before ended.")
        return given


@admin.register(Plan)
class PlanAdmin(SecretSafeAdmin):
    """What can be subscribed to. Its prices are its versions'."""

    list_display = ("code", "name", "basis", "offer", "listed", "price", "subscribers")
    list_filter = ("basis", "offer", "listed")
    search_fields = ("code", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What subscriptions rest on stays."""
        return ("code", "basis", "offer", "price") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: take it off the list instead."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """As Django's, and noted."""
        super().save_model(request, obj, form, change)
        changed = ", ".join(form.changed_data)
        recording.record("plan.change", customer=None, target=obj, target_id=obj.pk, changed=changed, listed=obj.listed)

    @admin.display(description="price of the latest version")
    def price(self, row: Plan) -> str:
        """Of the version that new subscriptions get."""
        latest = row.versions.order_by("-version").first()
        if latest is None:
            return "no version yet"
        return f"{text(latest.price_minor, latest.currency)} {latest.get_period_months_display()}"

    @admin.display
    def subscribers(self, row: Plan) -> int:
        """Subscriptions to any version, those that have ended too."""
        return Subscription.objects.filter(version__plan=row).count()


@admin.register(PlanVersion)
class PlanVersionAdmin(ReadOnlyAdmin):
    """Versions of plans: another one is added, none is changed."""

    form = VersionForm
    list_display = ("plan", "version", "price", "included_devices", "device_price", "sla", "created_at")
    list_filter = ("plan", "currency")
    list_select_related = ("plan",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """By who may add plans' versions."""
        return bool(request.user.has_perm("billing.add_planversion"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """All of them."""
        return ("plan", "version", *plans.FIELDS, "created_at") if obj else ("plan", *plans.FIELDS)

    @admin.display(ordering="price_minor")
    def price(self, row: PlanVersion) -> str:
        """With its currency, as on all pages."""
        return f"{text(row.price_minor, row.currency)} {row.get_period_months_display()}"

    @admin.display(description="each device beyond, a month")
    def device_price(self, row: PlanVersion) -> str:
        """Of a device beyond those included."""
        return text(row.device_price_minor, row.currency) if row.device_price_minor else "-"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Add it by its service; one that says what the latest says is that one."""
        wanted = {name: form.cleaned_data[name] for name in plans.FIELDS}
        obj.__dict__.update(plans.add_version(plan=form.cleaned_data["plan"], wanted=wanted).row.__dict__)
