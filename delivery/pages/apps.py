"""The pages for apps and credentials: /c/<slug>/apps/..."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from delivery.insight import credential_record, pausing
from delivery.insight import day as days
from delivery.insight.charts import MarkerKind
from delivery.insight.day import Day
from delivery.insight.markers import markers
from delivery.insight.trouble import Trouble
from delivery.insight.troubles import troubles
from delivery.pages import remove_holds
from delivery.pages.app_forms import AppForm, UploadForm
from delivery.worker import credential_check
from tenants import scope, services
from tenants.credentials import uploads
from tenants.models import Credential, PushApp
from tenants.pages.door import CustomerRequest, customer_page
from tenants.pages.forms import ConfirmForm
from tenants.problem import ProblemError
from tenants.providers.base import Parsed

# How long before its expiry a credential is warned of.
SOON: Final = timedelta(days=30)


class AppHealth(NamedTuple):
    """What is wrong with one app, and its last 24 hours."""

    troubles: list[Trouble]
    day: Day


@customer_page("app.see", change="app.change")
def apps(request: CustomerRequest) -> HttpResponse:
    """All apps that the customer can push to; POST adds one of its own."""
    form = AppForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            row, added = services.app_add(
                label=given["label"], topic=given["topic"].strip(), host=form.provider_host(), customer=request.customer
            )
        except ProblemError as problem:
            form.add_error("topic", problem.sentence)
        else:
            messages.success(request, f"{row.label} was added. Now upload its credential." if added else "It is there.")
            return redirect("app", request.customer.slug, row.pk)
    own = PushApp.objects.filter(removed_at=None).prefetch_related("credentials").order_by("-enabled", "label")
    context = {
        "apps": own,
        "columns": [{"label": label} for label in ("App", "Bundle id or package", "State", "Signed with", "Ends")],
        "rows": [_cells(request, row) for row in own],
        "useless": sum(_context(row)["kind"] == "bad" for row in own),
        "shared": scope.shared_apps(),
        "holds": remove_holds.holds(),
        "form": form,
    }
    return render(request, "delivery/apps/list.html", context)


@customer_page("app.see")
def app(request: CustomerRequest, app: int) -> HttpResponse:
    """One app of the customer's own."""
    row = find(app)
    return _app_page(request, row, UploadForm(family=row.family))


@customer_page("credential.change", methods=("POST",), in_steps=True, recent_login=True)
def upload(request: CustomerRequest, app: int) -> HttpResponse:
    """Add a credential: as the current one where there is none, else as the next; and check it with the provider.

    Where the provider refuses the current one and takes the next, nothing is gained by waiting: they change places.
    No transaction waits for the file to be read, which a password can make long, nor for the provider.
    """
    with request.step():
        row = find(app)
    form = UploadForm(request.POST, request.FILES, family=row.family)
    parsed = _read(row, form)
    with request.step():
        current = Credential.objects.filter(app=row, slot=Credential.Slot.CURRENT).first()
        slot = Credential.Slot.NEXT if current else Credential.Slot.CURRENT
        made = _add_credential(row, form, parsed, slot) if parsed is not None else None
        if made is None:
            return _app_page(request, row, form)
    if check_with_provider(request, made) and current is not None and current.refused_at is not None:
        return _promoted(request, row, made.pk)
    return redirect("app", request.customer.slug, app)


@customer_page("credential.change", methods=("POST",), in_steps=True)
def check(request: CustomerRequest, app: int, credential: int) -> HttpResponse:
    """Check a credential with its provider."""
    with request.step():
        row = _credential(app, credential)
    check_with_provider(request, row)
    return redirect("app", request.customer.slug, app)


@customer_page("credential.change", methods=("POST",), in_steps=True, recent_login=True)
def promote(request: CustomerRequest, app: int, credential: int) -> HttpResponse:
    """Sign with the next credential from now on, when the provider takes it."""
    with request.step():
        row = find(app)
    return _promoted(request, row, credential)


@customer_page("app.see", change="credential.change", recent_login=True)
def remove(request: CustomerRequest, app: int, credential: int) -> HttpResponse:
    """Delete a credential, after its id was typed."""
    row = _credential(app, credential)
    form = ConfirmForm(request.POST or None, expected=row.key_id)
    if request.method == "POST" and form.is_valid():

        def act() -> None:
            services.credential_remove(app=row.app, slot=row.slot, expected_id=row.pk)
            messages.success(request, f"{row.key_id} was deleted, secret and all.")

        return _redirect_after(request, row.app, act)
    return render(request, "delivery/apps/remove.html", {"credential": row, "app": row.app, "form": form})


def find(pk: int) -> PushApp:
    """The app of this number, switched off or not, in the customer's scope. Raises Http404."""
    found = PushApp.objects.filter(pk=pk, removed_at=None).select_related("customer").first()
    if found is None:
        raise Http404
    return found


def _credential(app: int, pk: int) -> Credential:
    found = Credential.objects.filter(pk=pk, app_id=app, app__removed_at=None).select_related("app__customer").first()
    if found is None:
        raise Http404
    return found


def _read(row: PushApp, form: UploadForm) -> Parsed | None:
    """Read the file of a form; None when there is no credential in it, and then the form says why."""
    if not form.is_valid():
        return None
    given = form.cleaned_data
    try:
        return uploads.parse(
            form.content(),
            owner=row.customer_id,
            filename=given["file"].name,
            password=given.get("password", ""),
            key_id=given.get("key_id", ""),
            team_id=given.get("team_id", ""),
        )
    except ProblemError as problem:
        form.add_error(problem.field if problem.field in form.fields else "file", problem.sentence)
        return None


def _add_credential(row: PushApp, form: UploadForm, parsed: Parsed, slot: str) -> Credential | None:
    """Add the credential of a form; None when the app does not take it, and then the form says why."""
    try:
        return services.credential_add(app=row, parsed=parsed, slot=slot).row
    except ProblemError as problem:
        form.add_error(problem.field if problem.field in form.fields else "file", problem.sentence)
        return None


def _promoted(request: CustomerRequest, row: PushApp, credential: int) -> HttpResponse:
    def act() -> None:
        made, result = credential_check.promote(app=row, expected_id=credential, step=request.step)
        messages.success(request, f"{result.meaning}. Pushes are signed with {made.key_id} from now on.")

    return _redirect_after(request, row, act)


def check_with_provider(request: CustomerRequest, row: Credential) -> bool:
    """Check a credential with its provider and show the result; whether it is accepted."""
    try:
        result = credential_check.check(row, request.step)
    except ProblemError as problem:
        messages.error(request, problem.sentence)
        return False
    if result.good:
        messages.success(request, f"{result.meaning}.")
    elif result.known:
        messages.error(request, f"{result.meaning}: {result.fix}.")
    else:
        messages.warning(request, f"It is not known whether {row.key_id} is good: {result.meaning}. {result.fix}.")
    return result.good


def _redirect_after(request: CustomerRequest, row: PushApp, act: Callable[[], None]) -> HttpResponse:
    try:
        act()
    except ProblemError as problem:
        messages.error(request, problem.sentence)
    return redirect("app", request.customer.slug, row.pk)


def _app_page(request: CustomerRequest, row: PushApp, form: Form) -> HttpResponse:
    now = timezone.now()
    day = days.read(now, app_id=row.pk)
    found = markers(request.customer, day.start, now)
    changes = [each for each in found if each.kind is MarkerKind.CREDENTIAL and row.label in each.label]
    health = AppHealth(troubles(request.customer, app=row, day=day, now=now), day)
    context = {
        **_context(row),
        "form": form,
        "health": health,
        "chart": day.chart("Pushes of the last 24 hours, by 10 minutes", changes),
        "failures": day.counts.failures,
        "record": credential_record.of(row),
        "holds": remove_holds.holds(row),
    }
    return render(request, "delivery/apps/app.html", context)


def _cells(request: CustomerRequest, row: PushApp) -> list[Any]:
    """An app as a row of parts/table.html."""
    context = _context(row)
    current = context["current"]
    return [
        {"text": row.label, "href": reverse("app", args=(request.customer.slug, row.pk))},
        {"code": row.topic},
        {"kind": context["kind"], "text": context["text"]},
        {"code": current.key_id} if current else "nothing yet",
        {"at": current.expires_at, "text": "never"} if current else "",
    ]


def _context(row: PushApp) -> dict[str, Any]:
    slots = {each.slot: each for each in row.credentials.all()}
    current, now = slots.get(Credential.Slot.CURRENT), timezone.now()
    kind, text = "bad", "No credential"
    if not row.enabled:
        kind, text = "quiet", "Switched off"
    elif current is not None:
        kind, text = "good", "Signed for"
        if current.refused_at is not None:
            kind, text = "bad", "Refused"
        elif current.expires_at is not None and current.expires_at <= now:
            kind, text = "bad", "Expired"
        elif current.expires_at is not None and current.expires_at - now < SOON:
            kind, text = "warn", "Expires soon"
    paused = pausing.of_apps().get(row.pk)
    if paused is not None and kind in ("good", "warn"):
        kind, text = "bad", "Paused"
    following = slots.get(Credential.Slot.NEXT)
    return {"app": row, "current": current, "next": following, "kind": kind, "text": text, "paused": paused}
