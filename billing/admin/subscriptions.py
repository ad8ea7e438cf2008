"""The staff's view of subscriptions: who has what, what comes when, and what staff may change of it.

Each change is shown before it is made, with what will follow, and is made by billing's own functions, which audit it.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db import transaction
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.admin.subscription_filters import StandingFilter
from billing.dates import day
from billing.models import Override, Plan, Subscription
from billing.money import text
from billing.subscriptions import changing, plan_changes, reading, words
from billing.subscriptions.standing import ahead
from tenants.admin import ReadOnlyAdmin, ServiceAdmin, ServiceForm
from tenants.problem import ProblemError

DAY: Final = timedelta(days=1)
FIRST: Final = ("suspended", "restricted", "past_due", "trial", "scheduled", "active")


class StartForm(ServiceForm):
    """A new subscription."""

    plan = forms.ModelChoiceField(Plan.objects.all(), help_text="Its latest version, which the customer then keeps.")
    starts_on = forms.DateField(required=False, help_text="The first day (UTC); empty: now.")
    trial_days = forms.IntegerField(required=False, min_value=0, max_value=365, help_text="Empty: as the plan says.")

    class Meta:
        model = Subscription
        fields = ("customer",)

    def apply(self, given: dict[str, Any]) -> Subscription:
        """Start it."""
        return changing.start(
            customer=given["customer"],
            version=reading.version(given["plan"].code),
            now=timezone.now(),
            starts_at=_midnight(given["starts_on"]) if given["starts_on"] else None,
            trial_days=given["trial_days"],
        ).row


class OverrideForm(forms.Form):
    """Until when a subscription is served, and why."""

    until = forms.DateField(label="Last day", widget=forms.DateInput(attrs={"type": "date"}))
    reason = forms.CharField(max_length=300, help_text="The customer can read it.")

    def apply(self, row: Subscription, now: datetime) -> None:
        """Have it served."""
        until = _midnight(self.cleaned_data["until"]) + DAY
        changing.override(subscription=row, until=until, reason=self.cleaned_data["reason"], now=now)


class CancelForm(forms.Form):
    """With which day a subscription ends."""

    on = forms.DateField(label="Last day", widget=forms.DateInput(attrs={"type": "date"}))

    def apply(self, row: Subscription, now: datetime) -> None:
        """Let it end."""
        changing.cancel(subscription=row, at=_midnight(self.cleaned_data["on"]) + DAY, now=now)


class PlanForm(forms.Form):
    """To which plan the subscription that counts changes."""

    plan = forms.ModelChoiceField(Plan.objects.filter(basis="paid"), help_text="Its latest version.")

    def apply(self, row: Subscription, now: datetime) -> str:
        """Change it; what that comes to, in words."""
        found = reading.current(row.customer, now)
        if found is None or found.row.pk != row.pk:
            raise ProblemError("another subscription of this customer counts: choose that one")
        code = self.cleaned_data["plan"].code
        quote = plan_changes.quote(found, reading.version(code), now)
        plan_changes.change(customer=row.customer, code=code, now=now, confirmed_minor=quote.amount_minor)
        return f"{text(quote.amount_minor, quote.version.currency)} without tax for what is left of the period."


class NoForm(forms.Form):
    """Nothing to say."""


class EndOverrideForm(NoForm):
    """Override no more."""

    def apply(self, row: Subscription, now: datetime) -> None:
        """End it."""
        changing.withdraw_overrides(subscription=row, now=now)


class KeepForm(NoForm):
    """Take a cancellation back."""

    def apply(self, row: Subscription, now: datetime) -> None:
        """Keep it."""
        changing.keep(subscription=row, now=now)


def _action(name: str, label: str, form: type[Any]) -> Callable[..., Any]:
    """An action that asks, shows what would follow for each, and does it when it is confirmed."""

    @admin.action(description=label, permissions=("change",))
    def act(self: "SubscriptionAdmin", request: HttpRequest, queryset: QuerySet[Subscription]) -> HttpResponse | None:
        return self.preview(request, queryset, name, label, form)

    act.__name__ = name
    return act


@admin.register(Subscription)
class SubscriptionAdmin(ServiceAdmin):
    """Subscriptions with their standing, what needs somebody first."""

    form = StartForm
    list_display = ("customer", "plan", "basis", "state", "sentence", "next_change", "cancel_at", "served_until")
    list_filter = (StandingFilter, "basis", "version__plan", "last_standing__state")
    list_select_related = ("customer", "version__plan", "last_standing")
    search_fields = ("customer__name", "customer__slug", "version__plan__code")
    search_help_text = "Customer or plan"
    autocomplete_fields = ("customer",)
    actions = ("serve_until", "serve_no_longer", "change_plan", "cancel", "keep")

    serve_until = _action("serve_until", "Serve the selected ones until a day, whatever their standing", OverrideForm)
    serve_no_longer = _action("serve_no_longer", "End that the selected ones are served by agreement", EndOverrideForm)
    change_plan = _action("change_plan", "Change the plan of the selected ones", PlanForm)
    cancel = _action("cancel", "Cancel the selected ones", CancelForm)
    keep = _action("keep", "Take the cancellation of the selected ones back", KeepForm)

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """What is owed first, then trials, then by the next change."""
        rank = Case(*(When(last_standing__state=state, then=place) for place, state in enumerate(FIRST)), default=99)
        return rank, "last_standing__next_change_at", "pk"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        """With the overrides."""
        return super().get_queryset(request).prefetch_related("overrides")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What starts one, or all of it."""
        if obj is None:
            return ("customer", "plan", "starts_on", "trial_days")
        dates = ("starts_at", "trial_ends_at", "anchor_at", "cancel_at", "served_until", "created_at")
        money = ("changes_made",) if request.user.has_perm("billing.view_planchange") else ()
        return ("customer", "version", "basis", *dates, "sentence", "ahead", "overrides_made", *money, "pages")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """It is changed by the list's actions, which show what follows."""
        return self.get_fields(request, obj) if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By the list's actions alone: its page is to be read."""
        return super().has_change_permission(request, obj) if obj is None else False

    def preview(
        self, request: HttpRequest, queryset: QuerySet[Subscription], name: str, label: str, form_class: type[Any]
    ) -> HttpResponse | None:
        """The page between: the form, and once it is filled in what would follow; then do it."""
        now = timezone.now()
        asked, confirmed = "preview" in request.POST, "confirm" in request.POST
        form = form_class(request.POST if asked or confirmed else None)
        blank = not form.fields
        rows = list(queryset.order_by("customer__name", "pk"))
        shown: list[tuple[Subscription, str, str]] = []
        if blank or form.is_valid():
            if blank:
                form = form_class({})
                form.is_valid()
            if confirmed:
                self._do(request, rows, form, now)
                return None
            shown = [(row, _now_words(row, now), _tried(row, form, now)) for row in rows]
        context = {
            **self.admin_site.each_context(request),
            "title": label,
            "opts": self.model._meta,
            "form": form,
            "rows": rows,
            "shown": shown,
            "action": name,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
            "media": self.media,
        }
        return TemplateResponse(request, "billing/subscriptions/admin_preview.html", context)

    def _do(self, request: HttpRequest, rows: list[Subscription], form: Any, now: datetime) -> None:
        done = 0
        for row in rows:
            try:
                form.apply(row, now)
                done += 1
            except ProblemError as problem:
                self.message_user(request, f"{row}: {problem.sentence}", messages.ERROR)
        self.message_user(request, f"{done} of {len(rows)} subscriptions were changed.")

    @admin.display(ordering="version__plan__code")
    def plan(self, row: Subscription) -> str:
        """Which plan, and which version of it."""
        return str(row.version)

    @admin.display(ordering="last_standing__state")
    def state(self, row: Subscription) -> str:
        """As it was applied last."""
        last = getattr(row, "last_standing", None)
        return last.get_state_display() if last else "not looked at yet"

    @admin.display(description="how it stands")
    def sentence(self, row: Subscription) -> str:
        """In words."""
        last = getattr(row, "last_standing", None)
        return last.sentence if last else ""

    @admin.display(description="next change", ordering="last_standing__next_change_at")
    def next_change(self, row: Subscription) -> datetime | None:
        """When it changes by itself."""
        last = getattr(row, "last_standing", None)
        return last.next_change_at if last else None

    @admin.display(description="served by agreement until")
    def served_until(self, row: Subscription) -> datetime | None:
        """The override, if there is one."""
        return reading.as_value(row).override_until

    @admin.display(description="what comes if nothing happens")
    def ahead(self, row: Subscription) -> SafeString | str:
        """Each change with its day."""
        now = timezone.now()
        found = next(each for each in reading.judged(row.customer, now) if each.row.pk == row.pk)
        coming = ahead(now, found.subscribed, found.invoices, found.proofs)
        lines = [(day(at), words.NAMES[then.state], words.means(then.state)) for at, then in coming]
        return format_html_join("", "<div>{}: {} ({})</div>", lines) or "Nothing changes by itself."

    @admin.display(description="served by agreement")
    def overrides_made(self, row: Subscription) -> SafeString | str:
        """Who let it be served, until when and why."""
        made = [(each.actor, str(each), ", taken back" if each.withdrawn_at else "") for each in row.overrides.all()]
        return format_html_join("", "<div>{}: {}{}</div>", made) or "never"

    @admin.display(description="changes of plan")
    def changes_made(self, row: Subscription) -> SafeString | str:
        """Each with its amount."""
        made = row.changes.select_related("before__plan", "after__plan")
        lines = [(day(each.at), each, text(each.amount_minor, each.currency), each.actor) for each in made]
        return format_html_join("", "<div>{}: {}, {}, by {}</div>", lines) or "none"

    @admin.display(description="its page")
    def pages(self, row: Subscription) -> SafeString:
        """The page as the customer sees it."""
        return format_html('<a href="{}">Look at it</a>', reverse("subscription", args=(row.customer.slug,)))


@admin.register(Override)
class OverrideAdmin(ReadOnlyAdmin):
    """Who let which subscription be served until when, and why; made on the list of subscriptions."""

    list_display = ("subscription", "until", "reason", "actor", "created_at", "withdrawn_at")
    list_select_related = ("subscription__customer", "subscription__version__plan")
    search_fields = ("subscription__customer__name", "subscription__customer__slug", "reason", "actor")


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _now_words(row: Subscription, now: datetime) -> str:
    """How it stands, and what comes if nothing happens."""
    found = next(each for each in reading.judged(row.customer, now) if each.row.pk == row.pk)
    coming = ahead(now, found.subscribed, found.invoices, found.proofs, most=3)
    dates = "; ".join(f"{day(at)}: {words.NAMES[then.state].lower()}" for at, then in coming)
    state = words.NAMES[found.standing.state]
    return f"{found.row.version}, {state.lower()}. {found.standing.sentence}{f' Then {dates}.' if dates else ''}"


def _tried(row: Subscription, form: Any, now: datetime) -> str:
    """What would follow: it is done, looked at, and taken back."""
    with transaction.atomic():
        try:
            remark = form.apply(row, now) or ""
            found = f"{remark} {_now_words(row, now)}".strip()
        except ProblemError as problem:
            found = f"Cannot be done: {problem.sentence}"
        transaction.set_rollback(True)
    return found
