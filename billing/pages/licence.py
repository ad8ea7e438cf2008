"""The page of the licence: /c/<slug>/licence/. Whoever is a member sees what is proven; owners upload and withdraw."""

from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from billing.dates import day, last_day
from billing.licences import answer, coverage, issuers, proving, reading
from billing.licences.servers import site_of
from billing.models import LicenceCase, LicenceProof
from billing.pages.licence_forms import BindForm, UploadForm
from billing.subscriptions import by_licence
from tenants.models import Server
from tenants.pages.door import CustomerRequest, customer_page
from tenants.problem import ProblemError

CASES: Final = 5
OVER: Final = 50
"""So many cases, and licences that have ended, are shown: the latest ones."""


@customer_page("subscription.see", change="billing.change")
def licence(request: CustomerRequest) -> HttpResponse:
    """What is proven; POST proves a licence by its file or text."""
    given = (request.POST, request.FILES) if request.method == "POST" else ()
    form = UploadForm(*given, servers=_servers())
    if request.method == "POST" and form.is_valid() and _uploaded(request, form):
        return redirect("licence", request.customer.slug)
    return _page(request, form)


@customer_page("billing.change", methods=("POST",))
def bind(request: CustomerRequest, proof: int) -> HttpResponse:
    """Say which server a licence is for."""
    row = _proof(proof)
    form = BindForm(request.POST, servers=_servers())
    if form.is_valid():
        server = form.cleaned_data["server"]
        try:
            changed = proving.bind(proof=row, server=server, now=timezone.now(), site=site_of(server)).changed
        except ProblemError as problem:
            form.add_error("server", problem.sentence)
        else:
            messages.success(
                request, f"It is for {server.name}." if changed else "Nothing to change: it was so already."
            )
            return redirect("licence", request.customer.slug)
    return _page(request, UploadForm(servers=_servers()), binding=(row.pk, form))


@customer_page("subscription.see", change="billing.change")
def withdraw(request: CustomerRequest, proof: int) -> HttpResponse:
    """End a proof, after it was asked once more."""
    row = _proof(proof)
    if request.method == "POST":
        proving.withdraw(proof=row, now=timezone.now())
        messages.success(request, f"{answer.title(row)} was withdrawn.")
        return redirect("licence", request.customer.slug)
    return render(request, "billing/licences/withdraw.html", {"proof": row, "title": answer.title(row)})


def _uploaded(request: CustomerRequest, form: UploadForm) -> bool:
    """Prove what a form holds; False where it proves nothing, and then the form says why."""
    server = form.cleaned_data.get("server")
    try:
        proven = proving.upload(
            customer=request.customer,
            data=form.content(),
            now=timezone.now(),
            server=server,
            site=site_of(server) if server else None,
        )
    except ProblemError as problem:
        form.add_error(problem.field if problem.field in form.fields else form.given_field, problem.sentence)
        return False
    row, judgement = proven.proof, proven.judgement
    if not proven.changed:
        messages.success(request, f"{answer.title(row)} is proven already; nothing was changed.")
    else:
        sentence = judgement.sentence[:1].upper() + judgement.sentence[1:]
        messages.success(request, " ".join(filter(None, (f"{sentence}.", judgement.what_to_do))))
    return True


def _servers() -> list[Server]:
    return list(Server.of_people())


def _proof(pk: int) -> LicenceProof:
    found = LicenceProof.objects.filter(pk=pk, ended_at=None).select_related("server").first()
    if found is None:
        raise Http404
    return found


def _page(request: CustomerRequest, form: UploadForm, binding: tuple[int, BindForm] | None = None) -> HttpResponse:
    now, servers = timezone.now(), _servers()
    living = reading.living(request.customer)
    checkable = bool(issuers.load(settings.LICENCE_KEYS).issuers)
    expired = [row for row in living if answer.renewed(row, living, now)]
    ended = LicenceProof.objects.exclude(ended_at=None).order_by("-ended_at")[:OVER]
    cases = list(LicenceCase.objects.order_by("-last_at")[:CASES])
    context = {
        "tab": "licence",
        "summary": answer.summary(living, now, checkable=checkable),
        "missing": answer.missing(living, now),
        "proofs": [
            _shown(row, servers, binding, now) for row in coverage.best_first(living, now) if row not in expired
        ],
        "cases": cases,
        "decided": any(case.resolved_at for case in cases),
        "columns": [{"label": label} for label in ("Licence", "Plan", "From", "Until", "Ended", "Why")],
        "over": [_cells(row) for row in (*expired, *ended)],
        "begins": by_licence.is_coming(request.customer, now),
        "checkable": checkable,
        "form": form,
    }
    return render(request, "billing/licences/licence.html", context)


def _shown(row: LicenceProof, servers: list[Server], binding: tuple[int, BindForm] | None, now: Any) -> dict[str, Any]:
    """A proof as a card has it, with the form for its server where there is a choice."""
    form: BindForm | None = None
    if binding is not None and binding[0] == row.pk:
        form = binding[1]
    elif [each.pk for each in servers] != [row.server_id] and servers:
        initial = {"server": str(row.server.public_id)} if row.server else {}
        form = BindForm(servers=servers, initial=initial, auto_id=f"id_{row.pk}_%s")
    return {"row": row, "title": answer.title(row), "standing": answer.standing(row, now), "form": form}


def _cells(row: LicenceProof) -> list[Any]:
    return [
        {"code": row.licence_id} if row.licence_id else "vouched for",
        answer.title(row),
        day(row.starts_at),
        last_day(row.expires_at),
        {"at": row.ended_at or row.expires_at},
        row.end_reason or "expired, and renewed",
    ]
