"""The banner about quotas on an owner's pages: there while it matters, gone with the month or the cause."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from billing.pages import usage_words
from billing.usage import sources, watching
from tenants import scope


def quota_banner(request: HttpRequest) -> str:
    """What an owner of this customer is told; "" for everybody else, and where nothing is near its end."""
    page: Any = request
    if getattr(page, "customer", None) is None or not hasattr(page, "may") or not page.may("billing.change"):
        return ""
    now = timezone.now()
    # A page that is made in steps renders outside of them.
    with scope.looking(page.customer):
        return usage_words.banner(watching.kept_state(page.customer, now, sources.current()), now)
