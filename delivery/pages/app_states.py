"""The pages that change, switch off and remove an app of the customer's own: each says first what that means."""

from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone

from delivery.insight import day as days
from delivery.pages.app_forms import AppChangeForm
from delivery.pages.apps import check_with_provider, find
from tenants import scope, services
from tenants.models import Credential, Entitlement, PushApp
from tenants.pages.door import CustomerRequest, customer_page, rendered
from tenants.pages.forms import ConfirmForm
from tenants.problem import ProblemError

_PAGE: Final = "delivery/apps/act.html"


class Consequences(NamedTuple):
    """What a page says before an app is switched off or removed: the pushes of 24 hours, the operator's app that they
    go to from then on (None: they are refused), and the credentials that it has."""

    pushes: int
    shared: PushApp | None
    credentials: list[Credential]


@customer_page("app.see", change="app.change", in_steps=True)
def change(request: CustomerRequest, app: int) -> HttpResponseBase:
    """Give an app another bundle id or host, and ask its provider about its credentials again."""
    with request.step():
        row = find(app)
        initial = {"topic": row.topic, "host": row.host}
        form = AppChangeForm(request.POST or None, family=row.family, initial=initial)
        done = request.method == "POST" and form.is_valid() and _changed(request, row, form)
        if not done:
            context = {"app": row, "form": form, "credentials": list(row.credentials.order_by("slot"))}
            return rendered(render(request, "delivery/apps/change.html", context))
        asked = list(Credential.objects.filter(app=row, checked_at=None).select_related("app__customer"))
    for credential in asked:
        check_with_provider(request, credential)
    return redirect("app", request.customer.slug, row.pk)


@customer_page("app.see", change="app.change")
def disable(request: CustomerRequest, app: int) -> HttpResponse:
    """Switch an app off: it takes no pushes, and its credentials stay."""
    row = find(app)
    if request.method == "POST":
        if services.app_enable(app=row, enabled=False).changed:
            messages.success(request, f"{row.label} is switched off. It takes no push from now on.")
        return redirect("app", request.customer.slug, row.pk)
    context = {"app": row, "form": "", "act": "disable", "means": _consequences(request, row)}
    return render(request, _PAGE, context)


@customer_page("app.change", methods=("POST",))
def enable(request: CustomerRequest, app: int) -> HttpResponse:
    """Switch an app on again."""
    row = find(app)
    try:
        services.app_enable(app=row, enabled=True)
    except ProblemError as problem:
        messages.error(request, problem.sentence)
    else:
        messages.success(request, f"{row.label} is switched on. It takes pushes from now on.")
    return redirect("app", request.customer.slug, row.pk)


@customer_page("app.see", change="app.change")
def remove(request: CustomerRequest, app: int) -> HttpResponse:
    """Remove an app with its credentials, after its bundle id was typed."""
    row = find(app)
    form = ConfirmForm(request.POST or None, expected=row.topic)
    if request.method == "POST" and form.is_valid():
        services.app_remove(app=row)
        messages.success(request, f"{row.label} ({row.topic}) was removed, with its credentials.")
        return redirect("apps", request.customer.slug)
    context = {"app": row, "form": form, "act": "remove", "means": _consequences(request, row)}
    return render(request, _PAGE, context)


def _changed(request: CustomerRequest, row: PushApp, form: AppChangeForm) -> bool:
    """Make the change of a valid form; False: what is wrong stands at the form."""
    given: dict[str, Any] = form.cleaned_data
    try:
        done = services.app_change(app=row, topic=given["topic"].strip(), host=given.get("host", ""))
    except ProblemError as problem:
        form.add_error(problem.field if problem.field in form.fields else None, problem.sentence)
        return False
    row.topic, row.host = done.row.topic, done.row.host
    messages.success(request, f"{row.label} is {row.topic} now." if done.changed else "Nothing to change: it was so.")
    return True


def _consequences(request: CustomerRequest, row: PushApp) -> Consequences:
    sharing = Entitlement.objects.filter(customer=request.customer, may_use_shared=True).exists()
    shared = scope.shared_apps().filter(label=row.label).first() if sharing else None
    pushes = days.read(timezone.now(), app_id=row.pk).counts.pushes
    return Consequences(pushes, shared, list(row.credentials.order_by("slot")))
