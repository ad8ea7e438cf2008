"""The pages that switch a server off and remove it: each says first what that means."""

import uuid
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from tenants import services
from tenants.models import Server, ServerId, ServerKey, Site
from tenants.pages.door import CustomerRequest, customer_page
from tenants.pages.forms import ConfirmForm
from tenants.pages.server_proofs import find
from tenants.problem import ProblemError

_PAGE: Final = "tenants/servers/act.html"


@customer_page("server.see", change="server.change")
def disable(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Switch a server off: every push with its keys is refused, and the keys stay."""
    row = find(server)
    if request.method == "POST":
        if _changed(request, row, enabled=False):
            messages.success(request, f"{row.name} is switched off. Its pushes are refused within two seconds.")
        return redirect("server", request.customer.slug, row.public_id)
    return render(request, _PAGE, {"server": row, "form": "", "act": "disable", **_consequences(row)})


@customer_page("server.change", methods=("POST",))
def enable(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Switch a server on again."""
    row = find(server)
    if _changed(request, row, enabled=True):
        messages.success(request, f"{row.name} is switched on. Its pushes are taken within two seconds.")
    return redirect("server", request.customer.slug, row.public_id)


@customer_page("server.see", change="server.change")
def remove(request: CustomerRequest, server: uuid.UUID) -> HttpResponse:
    """Remove a server and revoke its keys, after its name was typed."""
    row = find(server)
    form = ConfirmForm(request.POST or None, expected=row.name)
    if request.method == "POST" and form.is_valid():
        services.server_remove(server=row)
        messages.success(request, f"{row.name} was removed. Its keys are refused everywhere within two seconds.")
        return redirect("servers", request.customer.slug)
    return render(request, _PAGE, {"server": row, "form": form, "act": "remove", **_consequences(row)})


def _changed(request: CustomerRequest, row: Server, *, enabled: bool) -> bool:
    try:
        return services.server_enable(server=row, enabled=enabled).changed
    except ProblemError as problem:
        messages.error(request, problem.sentence)
        return False


def _consequences(row: Server) -> dict[str, Any]:
    """What the page says before: its keys in use and their last push, its server_ids, and its site."""
    use = ServerKey.use_of(ServerKey.objects.filter(server=row))
    return {
        **use._asdict(),
        "server_ids": list(ServerId.objects.filter(server=row)),
        "site": Site.objects.filter(server=row).exclude(address="").first(),
    }
