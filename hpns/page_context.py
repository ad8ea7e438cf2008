"""What base.html needs on every page, besides what the view gives it."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenants import people
from tenants.models import Customer


def page(request: HttpRequest) -> dict[str, Any]:
    """`customer` (None outside of a customer's pages), `own_customers` for the switcher, `version`.

    Nothing is asked of the database until a template looks: error pages and the login do not.
    """
    return {
        "customer": getattr(request, "customer", None),
        "own_customers": SimpleLazyObject(lambda: _customers(request)),
        "version": settings.VERSION,
    }


def _customers(request: Any) -> list[Customer]:
    if not request.user.is_authenticated:
        return []
    return [membership.customer for membership in people.memberships_of(request.user)]
