"""What everybody may have of the SLA's ledger: the signed roots, and the program that verifies a month."""

from functools import cache
from pathlib import Path
from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from billing.sla import reading
from billing.sla.verifier import verify_sla

_YEAR: Final = 4


@require_safe
@cache_control(public=True, max_age=300)
def roots(request: HttpRequest) -> HttpResponse:
    """The public keys, old and new, and the signed roots of the last 800 days; of a year by ?year=2026."""
    text = request.GET.get("year", "")
    year = int(text) if text.isascii() and text.isdigit() and len(text) == _YEAR and int(text) > 0 else None
    answer = JsonResponse(reading.published(year), json_dumps_params={"indent": 1})
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


@require_safe
@cache_control(public=True, max_age=3600)
def verifier(request: HttpRequest) -> HttpResponse:
    """verify_sla.py, as it is."""
    answer = HttpResponse(_program(), content_type="text/x-python; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="verify_sla.py"'
    return answer


@cache
def _program() -> bytes:
    return Path(verify_sla.__file__).read_bytes()
