"""Pages of the service itself: home, version, health, metrics, errors."""

import logging
import secrets
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseServerError, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from hpns.watching import metrics_page, readiness

logger = logging.getLogger(__name__)


@csrf_exempt  # it changes nothing, and another method is told so: 405, not 403
@require_GET
def home(_request: HttpRequest, **_key: Any) -> HttpResponse:
    """The home page of the address, for whoever opens it in a browser."""
    return HttpResponse(render_to_string("hpns/front.html", {"version": settings.VERSION}))


@csrf_exempt
@require_GET
def version(_request: HttpRequest, **_key: Any) -> HttpResponse:
    """The version as JSON, under the root and under a key's prefix: a Mattermost support packet asks for it."""
    return JsonResponse({"version": settings.VERSION, "hash": settings.VERSION})


@csrf_exempt
@require_GET
@never_cache
def live(_request: HttpRequest) -> HttpResponse:
    """Liveness probe: 200 while the process answers at all."""
    return JsonResponse({"status": "live"})


@csrf_exempt
@require_GET
@never_cache
def ready(_request: HttpRequest) -> HttpResponse:
    """Readiness probe: 200 when a push would be taken, sent and answered; else 503 with what is missing."""
    health = readiness.check()
    report = {
        "status": "ready" if health.ready else "not ready",
        "missing": health.missing,
        "amiss": health.amiss,
        "workers": health.workers,
    }
    answer = JsonResponse(report, status=200 if health.ready else 503)
    # Django logs each 5xx as an error of ours; here it is the answer, and asked for every second.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


@csrf_exempt
@require_GET
@never_cache
def prometheus(request: HttpRequest) -> HttpResponse:
    """The metrics of all processes of this host; who may read them is settings.METRICS_TOKEN."""
    headers = request.headers
    if not metrics_page.may_read(request.META.get("REMOTE_ADDR", ""), headers, headers.get("Authorization", "")):
        return HttpResponseNotFound("404 page not found\n", content_type="text/plain")
    body, content_type = metrics_page.render()
    return HttpResponse(body, content_type=content_type)


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
