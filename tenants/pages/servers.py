"""The pages for servers and their keys: /c/<slug>/servers/..."""

import uuid
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Max, Prefetch
from django.forms import Form
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from tenants import services
from tenants.models import Customer, Entitlement, Server, ServerId, ServerKey, Sighting
from tenants.pages.door import CustomerRequest, customer_page, rendered
from tenants.pages.forms import ConfirmForm, saved
from tenants.pages.server_forms import KeyForm, NameForm, NetworksForm, ServerIdForm
from tenants.pages.server_proofs import SiteForm, find, identity, told_of_keys
from tenants.problem import ProblemError
from tenants.proofs import sites

LIST: Final = "tenants/servers/list.html"
ONE: Final = "tenants/servers/server.html"


@customer_page("server.see", change="server.change")
def servers(request: CustomerRequest) -> HttpResponse:
    """All servers of the customer; POST adds one."""
    form = NameForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row, added = services.server_add(customer=request.customer, name=form.cleaned_data["name"])
        except ProblemError as problem:
            form.add_error("name", problem.sentence)
        else:
            if added:
                messages.success(request, f"{row.name} was added. Now make its first key.")
                return redirect("server", request.customer.slug, row.public_id)
            form.add_error("name", "There is a server of this name already.")
    living = Count("keys", filter=ServerKey.in_use("keys__"), distinct=True)
    rows = Server.of_people().annotate(living=living, used_at=Max("keys__last_used_at"))
    context = {
        "servers": rows,
        "columns": [{"label": "Server"}, {"label": "Keys in use", "number": True}, {"label": "Last push"}],
        "rows": [_cells(request, row) for row in rows],
        "silent": sum(row.used_at is None for row in rows),
        "form": form,
    }
    return render(request, LIST, context)


@customer_page("server.see")
def server(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """One server."""
    return _one(request, find(server))


@customer_page("server.see")
def arrived(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """The part of the page that says whether a push has come; asked for every few seconds while one can."""
    return render(request, "tenants/servers/arrived.html", _arrival(request, find(server)))


@customer_page("server.change", methods=("POST",))
def rename(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Give a server another name."""
    row = find(server)
    form = NameForm(request.POST)
    return _done(
        request, row, form, "rename", lambda: services.server_rename(server=row, name=form.cleaned_data["name"])
    )


@customer_page("server.change", methods=("POST",))
def networks(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Say where a server's keys are taken from."""
    row = find(server)
    form = NetworksForm(request.POST)
    return _done(
        request,
        row,
        form,
        "networks",
        lambda: services.server_networks(server=row, networks=form.cleaned_data["networks"]),
    )


@customer_page("server.change", methods=("POST",))
def server_ids(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Register a server_id as this server's."""
    row = find(server)
    form = ServerIdForm(request.POST)
    return _done(
        request,
        row,
        form,
        "server_ids",
        lambda: services.server_id_add(server=row, mattermost_id=form.cleaned_data["mattermost_id"].strip()),
    )


@customer_page("server.change", methods=("POST",))
def server_id_remove(request: CustomerRequest, server: uuid.UUID, server_id: int) -> HttpResponse:
    """Forget a server_id."""
    row = find(server)
    found = ServerId.objects.filter(server=row, pk=server_id).select_related("server").first()
    if found is None:
        raise Http404
    services.server_id_remove(server_id=found)
    messages.success(request, f"{found.mattermost_id} is no longer known as {row.name}.")
    return redirect("server", request.customer.slug, row.public_id)


@customer_page("key.change", methods=("POST",), recent_login=True)
def keys(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Make a key, and show it this once."""
    row = find(server)
    form = KeyForm(request.POST)
    if form.is_valid():
        try:
            new = services.key_add(server=row, name=form.cleaned_data["key_name"], expires_at=form.expires_at())
        except ProblemError as problem:
            form.add_error("key_name", problem.sentence)
        else:
            return _no_store(
                render(request, "tenants/servers/key.html", {"server": row, "new": new, **_values(request, new.text)})
            )
    return _one(request, row, keys=form)


@customer_page("server.see", change="key.change", recent_login=True)
def revoke(request: CustomerRequest, server: uuid.UUID, prefix: str) -> HttpResponse:
    """Revoke a key, after its prefix was typed."""
    row = find(server)
    key = ServerKey.objects.filter(server=row, prefix=prefix).select_related("server").first()
    if key is None:
        raise Http404
    form = ConfirmForm(request.POST or None, expected=key.prefix)
    if request.method == "POST" and form.is_valid():
        services.key_revoke(key=key)
        messages.success(request, f"The key {key} is revoked. It is refused everywhere within two seconds.")
        return redirect("server", request.customer.slug, row.public_id)
    return render(request, "tenants/servers/revoke.html", {"server": row, "key": key, "form": form})


@customer_page("server.change", methods=("POST",), in_steps=True)
def site(request: CustomerRequest, server: uuid.UUID) -> HttpResponseBase:
    """Fetch the documents of a server's site."""
    with request.step():
        row = find(server)
    form = SiteForm(request.POST)
    if form.is_valid():
        try:
            found, _ = sites.fetch(server=row, address=form.cleaned_data["address"], step=request.step)
        except ProblemError as problem:
            form.add_error("address", problem.sentence)
        else:
            messages.success(request, f"{found.address} was read: its server ID is {found.mattermost_id}.")
            return redirect("server", request.customer.slug, row.public_id)
    with request.step():
        return rendered(_one(request, row, site=form))


def _cells(request: CustomerRequest, row: Any) -> list[Any]:
    """A server as a row of parts/table.html; `row` has what the list counts besides."""
    link = reverse("server", args=(request.customer.slug, row.public_id))
    return [
        {"text": row.name, "href": link, "note": "(switched off)" if row.disabled_at else ""},
        row.living,
        {"at": row.used_at, "text": "none yet"},
    ]


def _one(request: CustomerRequest, row: Server, **forms: Form) -> HttpResponse:
    """The page of a server; `forms` are those that somebody has filled in wrongly."""
    sightings = Prefetch("sightings", Sighting.objects.order_by("-last_at"))
    made = ServerKey.objects.filter(server=row).prefetch_related(sightings).order_by("-created_at")
    told = told_of_keys(row)
    rows = [
        {"row": key, "state": key.state, "seen": list(key.sightings.all()), "told": told.get(key.pk)} for key in made
    ]
    entitlement = Entitlement.objects.filter(customer=request.customer).first()
    context: dict[str, Any] = {
        "server": row,
        "keys": rows,
        "server_ids": ServerId.objects.filter(server=row),
        "by_server_id": entitlement is not None and entitlement.may_use_server_id,
        "rename_form": forms.get("rename") or NameForm(initial={"name": row.name}),
        "networks_form": forms.get("networks") or NetworksForm(initial={"networks": "\n".join(row.networks)}),
        "server_id_form": forms.get("server_ids") or ServerIdForm(),
        "key_form": forms.get("keys") or KeyForm(),
        **identity(row, forms.get("site")),
        **_arrival(request, row),
    }
    return render(request, ONE, context)


def _done(
    request: CustomerRequest, row: Server, form: Form, which: str, change: Callable[[], services.Changed[Any]]
) -> HttpResponse:
    """Make a change whose form is on the server's page, and go back there; what is wrong is shown at the form."""
    if saved(request, form, change):
        return redirect("server", request.customer.slug, row.public_id)
    return _one(request, row, **{which: form})


def _arrival(request: CustomerRequest, row: Server) -> dict[str, Any]:
    use = ServerKey.use_of(ServerKey.objects.filter(server=row))
    refused = request.customer.status == Customer.Status.SUSPENDED
    # The page asks again for as long as the first push can come.
    waits = bool(use.living and not use.used_at and not refused)
    return {"server": row, **use._asdict(), "refused": refused, "waits": waits, "now": timezone.now()}


def _values(request: CustomerRequest, key: str) -> dict[str, str]:
    """What to enter in Mattermost, in each of the places where it can be entered."""
    base = (settings.PUBLIC_URL or request.build_absolute_uri("/")).rstrip("/")
    url = f"{base}/t/{key}"
    scheme, _, host = base.partition("://")
    return {
        "url": url,
        "userinfo": f"{scheme}://mattermost:{key}@{host}",
        "mmctl": f"mmctl config set EmailSettings.PushNotificationServer '{url}'",
        "variable": f"MM_EMAILSETTINGS_PUSHNOTIFICATIONSERVER={url}",
    }


def _no_store(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
