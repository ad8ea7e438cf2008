"""Pages of the service itself: home and errors."""

import logging
import secrets
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseServerError
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

logger = logging.getLogger(__name__)


@csrf_exempt  # it changes nothing, and another method is told so: 405, not 403
@require_GET
def home(_request: HttpRequest, **_key: Any) -> HttpResponse:
    """The home page of the address, for whoever opens it in a browser."""
    return HttpResponse(render_to_string("hpns/front.html", {"version": settings.VERSION}))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: a page for browsers, one line for everybody else: whoever asks for an unknown path is a machine mostly."""
    if "text/html" in request.headers.get("Accept", ""):
        answer = render(request, "404.html", status=HTTPStatus.NOT_FOUND)
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
