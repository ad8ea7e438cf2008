"""What the pages of the gallery have in common: names of every kind, who looks, and templates that are not shipped."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template import engines

WORDS = "A name that is far longer than anybody had thought of when the page was drawn, " * 3
UNBROKEN = "0123456789abcdef" * 40
ARABIC = "شركة الاتصالات العالمية المحدودة – خادم الدردشة"
HOSTILE = "<script>document.title = 'taken'</script>"
NAMES = {"normal": "Acme", "empty": "Acme", "much": WORDS + ARABIC + UNBROKEN, "wrong": "Acme"}


def dress(request: Any, kind: str) -> None:
    """Make the request look as if it had passed customer_page."""
    request.user = User(
        pk=1, username="ada", email=("ada" * 40 if kind == "much" else "ada") + "@acme.example", is_staff=True
    )
    request.customer = SimpleNamespace(pk=0, slug="acme", name=NAMES[kind])
    # No owner, who would be told of a quota: for that a store is needed.
    request.may = lambda action: action not in ("billing.change", "subscription.change")
    request.viewing_as_staff = kind == "much"


def render_own(request: HttpRequest, name: str, values: dict[str, Any]) -> HttpResponse:
    """Render a template that is not shipped."""
    source = (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
    return HttpResponse(engines["django"].from_string(source).render(values, request))
