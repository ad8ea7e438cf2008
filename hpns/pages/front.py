"""Pages of the service itself: home, documentation and errors."""

import logging
import secrets
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseServerError
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import resolve
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from delivery.protocol.schedule import MESSAGE
from tenants.pages.door import CustomerRequest, customer_page
from tenants.providers.table import PROVIDERS

logger = logging.getLogger(__name__)


@csrf_exempt  # it changes nothing, and another method is told so: 405, not 403
@require_GET
def home(_request: HttpRequest, **_key: Any) -> HttpResponse:
    """The home page of the address, for whoever opens it in a browser."""
    return HttpResponse(render_to_string("hpns/front.html", _known()))


@csrf_exempt
@require_GET
def docs(_request: HttpRequest) -> HttpResponse:
    """The documentation for customers' admins: public, the same for everybody, and without a database."""
    base = settings.PUBLIC_URL.rstrip("/") or "https://push.example.com"
    scheme, _, host = base.partition("://")
    known = {
        "url": f"{base}/t/KEY",
        "userinfo": f"{scheme}://mattermost:KEY@{host}",
        "labels": [label for provider in PROVIDERS.values() for label in provider.labels],
        "scheme": scheme,
        "port": urlsplit(base).port or (443 if scheme == "https" else 80),
        "deadline": f"{settings.PUSH_DEADLINE:g}",
        "retention": settings.RETENTION_DAYS,
    }
    return HttpResponse(render_to_string("hpns/docs.html", {**_known(), **known}))


@customer_page("see")
def nothing_here(request: CustomerRequest, rest: str) -> HttpResponse:
    """An address below a customer that is no page: 404 with the customer's navigation, for whoever may come in. One
    that lacks nothing but the slash at its end leads to its page."""
    whole = f"{request.path_info}/"
    if not rest.endswith("/") and resolve(whole).url_name != "nothing-here":
        return redirect(whole)
    raise Http404(rest)


def _known() -> dict[str, Any]:
    """What both pages say: the version, for how long a text may wait, and whom to ask, as an e-mail address where it
    is one."""
    contact = settings.SUPPORT_CONTACT
    is_email = "@" in contact and " " not in contact
    known = {"version": settings.VERSION, "hours": MESSAGE.lifetime // 3600}
    return {**known, "contact": contact, "contact_is_email": is_email}


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: a page for browsers, one line for everybody else: whoever asks for an unknown path is a machine mostly."""
    if "text/html" in request.headers.get("Accept", ""):
        # Whoever was let in at a customer's door keeps its navigation.
        frame = "base.html" if hasattr(request, "may") else ""
        answer = render(request, "404.html", {"frame": frame}, status=HTTPStatus.NOT_FOUND)
    else:
        answer = HttpResponseNotFound("404 page not found\n", content_type="text/plain")
    answer["Vary"] = "Accept"
    return answer


def server_error(_request: HttpRequest) -> HttpResponse:
    """500, with a trace id that is in the log as well; it asks no store, which may be what has failed."""
    trace = secrets.token_hex(8)
    # The traceback is in a line of Django's own, just before or after this one.
    logger.error("a page failed; its response carries this trace id", extra={"trace": trace})
    return HttpResponseServerError(render_to_string("500.html", {"trace": trace}))
