"""Template context processor: what base.html needs on every page, besides what the view gives it."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenants import people
from tenants.models import Customer


class May:
    """`may.server_change` in a template is request.may("server.change")."""

    def __init__(self, may: Callable[[str], bool]) -> None:
        """`may`: the permission check that tenants.pages.door puts on the request."""
        self._may = may

    def __getitem__(self, name: str) -> bool:
        """Whether the action of this name is allowed. Raises KeyError for one that is in no table."""
        return self._may(name.replace("_", ".", 1))


def page(request: HttpRequest) -> dict[str, Any]:
    """`customer` (None outside of a customer's pages, like `may`), `own_customers` for the switcher, `version`.

    Nothing is asked of the database until a template looks: error pages and the login do not.
    """
    return {
        "customer": getattr(request, "customer", None),
        "may": May(request.may) if hasattr(request, "may") else None,
        "own_customers": SimpleLazyObject(lambda: _customers(request)),
        "version": settings.VERSION,
    }


def _customers(request: Any) -> list[Customer]:
    if not request.user.is_authenticated:
        return []
    # The door of a customer's pages has looked already.
    found = getattr(request, "memberships", None)
    return [each.customer for each in (people.memberships_of(request.user) if found is None else found)]
