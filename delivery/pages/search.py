"""The search of a customer's pages: /c/<slug>/search/

What was typed comes by POST, and leads on to an address that says what was understood. Invariant: a device id comes
into no address, session or log; past its fingerprint nothing of it is left.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from delivery.insight import pushes
from delivery.insight.catalogue import ENTRIES
from delivery.insight.search_terms import LINE, LINK, MOST, Kind, Term, understand
from delivery.log import acknowledged
from delivery.log.rows import fingerprint
from delivery.models import Delivery
from delivery.pages import devices, push_words
from delivery.pages.links import page_url
from delivery.pages.push_words import address
from tenants import keyset
from tenants.models import Server
from tenants.pages.door import CustomerRequest, customer_page

# Characters of an id in an address that are looked for.
VALUE_MOST: Final = 200
SERVERS_SHOWN: Final = 50
# In an address: nothing was understood, or more was typed than is read.
UNCLEAR, TOO_LONG, EMPTY, FORMER = "unclear", "long", "empty", "former"
NAMES: Final = {
    Kind.TRACE: "trace id",
    Kind.ACK: "ack id",
    Kind.POST: "post",
    Kind.ID: "post or ack id",
    Kind.PRINT: "device with the fingerprint",
    Kind.KEY: "server key that begins with hk_",
    Kind.SERVER: "server",
    Kind.CODE: "outcome code",
}


@sensitive_post_parameters()
@customer_page("delivery.see", methods=("GET", "HEAD", "POST"), read_only=True)
def search(request: CustomerRequest) -> HttpResponse:
    """POST understands what was typed and leads on; GET shows what was found, or what can be searched for."""
    if request.method == "POST":
        return HttpResponseRedirect(_lead(request.customer.slug, request.POST.get("q", "")))
    for kind in NAMES:
        value = request.GET.get(kind.value, "")[:VALUE_MOST]
        if value:
            return render(request, "delivery/search/search.html", _found(request, Term(kind, value)))
    nothing = request.GET.get("nothing", "")
    failed = page_url("delivery-pushes", request.customer.slug) if nothing == FORMER else ""
    context = {
        "failed_url": failed,
        "nothing": nothing if nothing in (UNCLEAR, TOO_LONG, EMPTY, FORMER) else "",
        "most": MOST,
    }
    return render(request, "delivery/search/search.html", {**context, **_general()})


def _lead(slug: str, text: str) -> str:
    """The address that what was typed leads to."""
    terms = [_without_token(term) for term in understand(text)]
    for term in terms:
        there = FINDERS[term.kind](slug, term)
        if there:
            return there
    here = reverse("search", args=[slug])
    if not text.strip():
        return f"{here}?nothing={EMPTY}"
    if len(text.strip()) > MOST:
        return f"{here}?nothing={TOO_LONG}"
    # What may have been anything, such as a device id of a form that nobody knows, is not put into an address.
    certain = [
        term for term in terms if term.kind is not Kind.SERVER and not (term.kind is Kind.ID and len(term.value) != 26)
    ]
    return f"{here}?{urlencode({certain[0].kind.value: certain[0].value})}" if certain else f"{here}?nothing={UNCLEAR}"


def _without_token(term: Term) -> Term:
    """A device id as its fingerprint; any other term as it is."""
    if term.kind is Kind.DEVICE:
        return Term(Kind.PRINT, fingerprint(term.value, settings.HASH_KEY), term.source)
    return term


def _to_push(slug: str, term: Term) -> str:
    return _by(address("push", slug, term.value), term) if pushes.by_trace(term.value) else ""


def _to_pushes(rows: "QuerySet[Delivery]", slug: str, term: Term) -> str:
    """The page of the only push, or the list of several."""
    found = pushes.some(rows)
    if not found:
        return ""
    there = address("push", slug, found[0].trace) if len(found) == 1 else ""
    return _by(there, term) if there else f"{reverse('search', args=[slug])}?{urlencode({term.kind.value: term.value})}"


def _to_ack(slug: str, term: Term) -> str:
    return _to_pushes(pushes.by_ack(term.value), slug, term)


def _to_post(slug: str, term: Term) -> str:
    return _by(address("post", slug, term.value), term) if pushes.some(pushes.of_post(term.value)) else ""


def _to_id(slug: str, term: Term) -> str:
    found = _to_ack(slug, term._replace(kind=Kind.ACK)) or _to_post(slug, term._replace(kind=Kind.POST))
    server = None if found else Server.of_people().filter(server_ids__mattermost_id=term.value).first()
    return found or (address("server", slug, server.public_id) if server else "")


def _to_device(slug: str, term: Term) -> str:
    # Devices are known for longer than the log has their pushes.
    if not devices.known(term.value):
        return ""
    return (
        address("device", slug, term.value) or f"{reverse('search', args=[slug])}?{urlencode({'device': term.value})}"
    )


def _to_key(slug: str, term: Term) -> str:
    server = Server.of_people().filter(keys__prefix=term.value).first()
    return address("server", slug, server.public_id) if server else ""


def _to_server(slug: str, term: Term) -> str:
    found = list(_servers(term.value)[:2])
    if len(found) == 1:
        return address("server", slug, found[0].public_id)
    return f"{reverse('search', args=[slug])}?{urlencode({'server': term.value})}" if found else ""


def _to_code(slug: str, term: Term) -> str:
    return f"{reverse('search', args=[slug])}?{urlencode({'code': term.value})}"


def _to_former(slug: str, _term: Term) -> str:
    return f"{reverse('search', args=[slug])}?nothing={FORMER}"


FINDERS: Final[dict[Kind, Callable[[str, Term], str]]] = {
    Kind.TRACE: _to_push,
    Kind.ACK: _to_ack,
    Kind.POST: _to_post,
    Kind.ID: _to_id,
    Kind.PRINT: _to_device,
    Kind.KEY: _to_key,
    Kind.SERVER: _to_server,
    Kind.CODE: _to_code,
    Kind.FORMER: _to_former,
}


def _by(there: str, term: Term) -> str:
    """An address, with how it was found."""
    return f"{there}?by={term.source if term.source in (LINE, LINK) else term.kind.value}" if there else ""


def _servers(text: str) -> "QuerySet[Server]":
    try:
        name = urlsplit(text).netloc or text
    except ValueError:  # no address, such as "http://[x"
        name = text
    return Server.of_people().filter(Q(name__iexact=text) | Q(name__icontains=name)).order_by("name")


def _found(request: CustomerRequest, term: Term) -> dict[str, Any]:
    """What is shown of a term: pushes, servers or a code, or that there is nothing."""
    slug = request.customer.slug
    context: dict[str, Any] = {"name": NAMES[term.kind], "value": term.value, **_general()}
    if term.kind is Kind.CODE:
        pushes_url = address("delivery-pushes", slug)
        listed = f"{pushes_url}?{urlencode({'code': term.value, 'range': '30d'})}" if pushes_url else ""
        return {**context, "entry": ENTRIES.get(term.value), "pushes_url": listed}
    if term.kind is Kind.SERVER:
        servers = list(_servers(term.value)[:SERVERS_SHOWN])
        return {**context, "servers": [(each.name, address("server", slug, each.public_id)) for each in servers]}
    rows = {
        Kind.TRACE: Delivery.by_id.filter(trace=term.value),
        Kind.ACK: pushes.by_ack(term.value),
        Kind.POST: pushes.of_post(term.value),
        Kind.PRINT: pushes.of_device(term.value),
    }.get(term.kind, Delivery.objects.none())
    before = keyset.parse(request.GET.get("before", ""))
    found, following = pushes.page(rows, before)
    receipts = acknowledged.receipts(found)
    return {
        **context,
        "pushes": found,
        "before": before,
        "columns": push_words.COLUMNS,
        "rows": [push_words.row(slug, push, receipts) for push in found],
        "newest": f"?{urlencode({term.kind.value: term.value})}" if before else "",
        "older": f"?{urlencode({term.kind.value: term.value, 'before': str(following)})}" if following else "",
    }


def _general() -> dict[str, Any]:
    """What is said where nothing was found: how long pushes are kept, and when the last one came."""
    last = Delivery.objects.order_by("-accepted_at").values_list("accepted_at", flat=True).first()
    return {"retention_days": settings.RETENTION_DAYS, "last_at": last}
