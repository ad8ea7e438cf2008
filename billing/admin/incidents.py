"""The staff's way to announce maintenance and incidents, with a preview of what is mailed and shown.

A row is saved as a draft first; its page then shows the mail and to how many it goes, and a button publishes it. What
is published goes through billing/incidents/announcing.py, which mails and audits it.
"""

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.incidents import announcing, mailing, subscribing
from billing.incidents.components import choices, named
from billing.models import CanaryMinute, Incident, IncidentUpdate, MaintenanceWindow, Subscriber
from tenants.admin import PlainForm, ReadOnlyAdmin, SecretSafeAdmin
from tenants.admin.filters import whether
from tenants.audit import recording
from tenants.problem import ProblemError

_ANNOUNCED: Final = "It is announced: on the status page within a minute."
_PUBLISHED: Final = "It is published: on the status page within a minute."
FIXED: Final = "It is published: its times stand. Cancel it and announce another."


class AnnouncementForm(PlainForm):
    """What both have in common."""

    components = forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple, label="Concerns")


class AnnouncementAdmin(SecretSafeAdmin):
    """An admin of drafts that are published by a button of their page. `publish`: what the button does."""

    form = AnnouncementForm
    change_form_template = "admin/billing/announcement.html"
    publish: Callable[..., Any]

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """As Django's; the buttons of an announcement act on what was saved."""
        for name, (act, done) in self.acts(obj).items():
            if name in request.POST:
                try:
                    act()
                except ProblemError as problem:
                    messages.error(request, problem.sentence)
                else:
                    messages.success(request, done)
                return HttpResponseRedirect(request.path)
        return super().response_change(request, obj)

    def acts(self, obj: Any) -> dict[str, tuple[Callable[[], Any], str]]:
        """The buttons by their names: what each does, and what is said afterwards."""
        raise NotImplementedError

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """A new draft is looked at before anybody else sees it."""
        messages.success(request, "It is saved as a draft: look at the mail below, then publish it.")
        opts = obj._meta
        return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=(obj.pk,)))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Drafts alone: what was published was told."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.published_at is None)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None: deleting many would delete what was published, too."""
        return {}


def _mail(kind: str, context: dict[str, Any], *, customers: bool) -> SafeString:
    """A mail as it goes out, and to how many."""
    to = announcing.recipients(customers=customers)
    subscribed = sum(to.values())
    noun = "address" if len(to) == 1 else "addresses"
    who = f"{len(to):,} {noun}: {len(to) - subscribed:,} of customers, {subscribed:,} subscribed"
    subject = " ".join(render_to_string(f"billing/mail/{kind}_subject.txt", context).split())
    text = render_to_string(f"billing/mail/{kind}_message.txt", {**context, "status": "(the status page)"})
    return format_html("<p>To {}</p><p><strong>{}</strong></p><pre>{}</pre>", who, subject, text.strip())


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(AnnouncementAdmin):
    """Maintenance. Announced 72 hours ahead, its minutes are left out of the SLA."""

    list_display = ("title", "starts_at", "ends_at", "state", "concerns")
    search_fields = ("title",)
    fields = ("title", "components", "starts_at", "ends_at", "text", "state", "counts", "preview")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What was announced stands."""
        shown = ("state", "counts", "preview")
        return (*shown, "title", "components", "starts_at", "ends_at", "text") if obj and obj.published_at else shown

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Without the form's own field where it is shown only."""
        if obj and obj.published_at:
            kwargs["form"] = forms.ModelForm
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: MaintenanceWindow, form: Any, change: bool) -> None:
        """Drafts alone are saved."""
        if obj.published_at is None:
            super().save_model(request, obj, form, change)

    def acts(self, obj: Any) -> dict[str, tuple[Callable[[], Any], str]]:
        """Announce, and cancel."""
        return {
            "_publish": (lambda: announcing.publish_window(window=obj, now=timezone.now()), _ANNOUNCED),
            "_cancel": (lambda: announcing.cancel_window(window=obj, now=timezone.now()), "It is cancelled."),
        }

    @admin.display
    def concerns(self, row: MaintenanceWindow) -> str:
        """The components by their names."""
        return named(row.components)

    @admin.display
    def state(self, row: MaintenanceWindow) -> str:
        """Where it stands."""
        if row.cancelled_at is not None:
            return "Cancelled"
        return "Draft: nobody else sees it" if row.published_at is None else "Announced"

    @admin.display(description="in the SLA")
    def counts(self, row: MaintenanceWindow) -> str:
        """Whether it is announced early enough."""
        if row.pk is None:
            return "Announced 72 hours ahead or more, its minutes are left out, at most 240 a month."
        ahead = row.starts_at - (row.published_at or timezone.now())
        if ahead < announcing.AHEAD:
            return "Its minutes count as all others: it is not announced 72 hours ahead."
        return "Its minutes are left out, at most 240 a month."

    @admin.display
    def preview(self, row: MaintenanceWindow) -> str:
        """The mail that publishing it sends."""
        if row.pk is None:
            return "Save it, and look at the mail here before it goes out."
        return _mail("window", mailing.window_context(row), customers=True)


class UpdateFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """Updates of which those that were published cannot be changed."""

    def clean(self) -> None:
        """Refuse what would rewrite what was told."""
        super().clean()
        for form in self.forms:
            if form.instance.pk and form.instance.published_at is not None and form.has_changed():
                raise forms.ValidationError("What was published stands: say what has changed in another update.")


class UpdateInline(admin.TabularInline):  # type: ignore[type-arg]
    """What is said of an incident; what was published stands."""

    model = IncidentUpdate
    formset = UpdateFormSet
    fields = ("at", "text", "published_at")
    readonly_fields = ("published_at",)
    extra = 1

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a correction is another update."""
        return False


@admin.register(Incident)
class IncidentAdmin(AnnouncementAdmin):
    """Incidents, with their updates."""

    list_display = ("title", "impact", "started_at", "resolved_at", "state")
    list_filter = (
        ("resolved_at", whether("state", "Going on", "Resolved")),
        ("published_at", whether("publication", "Draft", "Published")),
        "impact",
    )
    search_fields = ("title",)
    fields = ("title", "components", "impact", "started_at", "resolved_at", "state", "preview")
    readonly_fields = ("state", "preview")
    inlines = (UpdateInline,)

    def save_model(self, request: HttpRequest, obj: Incident, form: Any, change: bool) -> None:
        """As Django's; what changes of a published one is public at once, and noted."""
        super().save_model(request, obj, form, change)
        if obj.published_at is not None and form.changed_data:
            changed = {name: getattr(obj, name) for name in form.changed_data}
            recording.record("incident.change", customer=None, target=obj.title, target_id=obj.pk, **changed)

    def acts(self, obj: Any) -> dict[str, tuple[Callable[[], Any], str]]:
        """Publish what is new."""
        return {"_publish": (lambda: announcing.publish_incident(incident=obj, now=timezone.now()), _PUBLISHED)}

    @admin.display
    def state(self, row: Incident) -> str:
        """Where it stands."""
        if row.pk is None or row.published_at is None:
            return "Draft: nobody else sees it"
        drafts = row.updates.filter(published_at=None).count()
        return f"Published, but for {drafts} of its updates" if drafts else "Published"

    @admin.display
    def preview(self, row: Incident) -> str:
        """The mail that publishing it sends."""
        if row.pk is None:
            return "Save it, and look at the mail here before it goes out."
        return _mail("incident", mailing.incident_context(row), customers=False)


@admin.register(CanaryMinute)
class CanaryMinuteAdmin(ReadOnlyAdmin):
    """What the canary found, minute by minute."""

    list_display = ("at", "family", "good", "why", "whose", "ms")
    list_filter = ("family", "good", "whose")
    # Counting two years of minutes takes as long as they are.
    show_full_result_count = False


@admin.register(Subscriber)
class SubscriberAdmin(ReadOnlyAdmin):
    """Who gets mails of the status page; staff take somebody out who asks them to."""

    list_display = ("email", "confirmed_at")
    search_fields = ("email",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may delete subscribers."""
        return bool(request.user.has_perm("billing.delete_subscriber"))

    def delete_model(self, request: HttpRequest, obj: Subscriber) -> None:
        """With what waits to be sent. The log says that, and not who it was."""
        subscribing.leave(email=obj.email)
        recording.record("subscriber.remove", customer=None, target="a subscriber of the status page", target_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """The same of several."""
        for row in queryset:
            self.delete_model(request, row)
