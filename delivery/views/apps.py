"""The pages for apps and credentials: /c/<slug>/apps/..."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from delivery import preflight
from delivery.app_forms import AppForm, UploadForm
from tenants import scope, services, uploads
from tenants.models import Credential, PushApp
from tenants.pages import CustomerRequest, customer_page
from tenants.problem import ProblemError
from tenants.server_forms import ConfirmForm

# Days before its end from which on a credential is spoken of.
SOON: Final = timedelta(days=30)


@customer_page("app.see", change="app.change")
def apps(request: CustomerRequest) -> HttpResponse:
    """All apps that the customer can push to; POST adds one of its own."""
    form = AppForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            row, added = services.app_add(
                label=given["label"], topic=given["topic"].strip(), host=form.apple_host(), customer=request.customer
            )
        except ProblemError as problem:
            form.add_error("topic", str(problem))
        else:
            messages.success(request, f"{row.label} was added. Now upload its credential." if added else "It is there.")
            return redirect("app", request.customer.slug, row.pk)
    own = PushApp.objects.filter(enabled=True).prefetch_related("credentials")
    context = {"apps": [_shown(row) for row in own], "shared": scope.shared_apps(), "form": form}
    return render(request, "delivery/apps/list.html", context)


@customer_page("app.see")
def app(request: CustomerRequest, app: int) -> HttpResponse:
    """One app of the customer's own."""
    return _one(request, _app(app), UploadForm())


@customer_page("credential.change", methods=("POST",))
def upload(request: CustomerRequest, app: int) -> HttpResponse:
    """Take a credential: as the current one where there is none, else as the next; and ask the provider about it."""
    row = _app(app)
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return _one(request, row, form)
    given = form.cleaned_data
    current = Credential.objects.filter(app=row, slot=Credential.Slot.CURRENT).exists()
    try:
        parsed = uploads.parse(
            form.content(),
            filename=given["file"].name,
            password=given["password"],
            key_id=given["key_id"],
            team_id=given["team_id"],
        )
        slot = Credential.Slot.NEXT if current else Credential.Slot.CURRENT
        made = services.credential_add(app=row, parsed=parsed, slot=slot).row
    except ProblemError as problem:
        form.add_error("file", f"{problem}.")
        return _one(request, row, form)
    _ask(request, made)
    return redirect("app", request.customer.slug, row.pk)


@customer_page("credential.change", methods=("POST",))
def check(request: CustomerRequest, app: int, credential: int) -> HttpResponse:
    """Ask the provider about a credential."""
    _ask(request, _credential(app, credential))
    return redirect("app", request.customer.slug, app)


@customer_page("credential.change", methods=("POST",))
def promote(request: CustomerRequest, app: int, credential: int) -> HttpResponse:
    """Sign with the next credential from now on, when the provider takes it."""
    row = _app(app)

    def act() -> None:
        made, result = preflight.promote(app=row, expected_id=credential)
        messages.success(request, f"{result.meaning}. Pushes are signed with {made.key_id} from now on.")

    return _acted(request, row, act)


@customer_page("app.see", change="credential.change")
def remove(request: CustomerRequest, app: int, credential: int) -> HttpResponse:
    """Delete a credential, after its id was typed."""
    row = _credential(app, credential)
    form = ConfirmForm(request.POST or None, word=row.key_id)
    if request.method == "POST" and form.is_valid():

        def act() -> None:
            services.credential_remove(app=row.app, slot=row.slot, expected_id=row.pk)
            messages.success(request, f"{row.key_id} was deleted, secret and all.")

        return _acted(request, row.app, act)
    return render(request, "delivery/apps/remove.html", {"credential": row, "app": row.app, "form": form})


def _app(pk: int) -> PushApp:
    found = PushApp.objects.filter(pk=pk, enabled=True).select_related("customer").first()
    if found is None:
        raise Http404
    return found


def _credential(app: int, pk: int) -> Credential:
    found = Credential.objects.filter(pk=pk, app_id=app, app__enabled=True).select_related("app__customer").first()
    if found is None:
        raise Http404
    return found


def _ask(request: CustomerRequest, row: Credential) -> None:
    result = preflight.check(row)
    if result.good:
        messages.success(request, f"{result.meaning}.")
    elif result.known:
        messages.error(request, f"{result.meaning}: {result.fix}.")
    else:
        messages.warning(request, f"It is not known whether {row.key_id} is good: {result.meaning}. {result.fix}.")


def _acted(request: CustomerRequest, row: PushApp, act: Callable[[], None]) -> HttpResponse:
    try:
        act()
    except ProblemError as problem:
        messages.error(request, f"{str(problem)[:1].upper()}{str(problem)[1:]}.")
    return redirect("app", request.customer.slug, row.pk)


def _one(request: CustomerRequest, row: PushApp, form: Form) -> HttpResponse:
    return render(request, "delivery/apps/app.html", {**_shown(row), "form": form})


def _shown(row: PushApp) -> dict[str, Any]:
    slots = {each.slot: each for each in row.credentials.all()}
    current, now = slots.get(Credential.Slot.CURRENT), timezone.now()
    kind, text = "bad", "No credential"
    if current is not None:
        kind, text = "good", "Signed for"
        if current.refused_at is not None:
            kind, text = "bad", "Refused"
        elif current.expires_at is not None and current.expires_at <= now:
            kind, text = "bad", "Expired"
        elif current.expires_at is not None and current.expires_at - now < SOON:
            kind, text = "warn", "Expires soon"
    return {"app": row, "current": current, "next": slots.get(Credential.Slot.NEXT), "kind": kind, "text": text}
