"""Template context processor: what base.html needs on every page, besides what the view gives it."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from billing.facts import State
from billing.pages.banner import quota_banner
from billing.subscriptions import reading, words
from billing.subscriptions.standing import OWED
from hpns.pages import service_status
from tenants import people, scope
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
    """`customer` (None outside of a customer's pages, like `may`), `own_customers` for the switcher, `version`, and
    `service_status` for the foot. For owners `quota_banner`, and `owed`: what they have to do about the subscription
    (kind, state, sentence, what_to_do), None if nothing.

    Nothing is asked of the database until a template looks: error pages and the login do not.
    """
    return {
        "customer": getattr(request, "customer", None),
        "may": May(request.may) if hasattr(request, "may") else None,
        "own_customers": SimpleLazyObject(lambda: _customers(request)),
        "quota_banner": SimpleLazyObject(lambda: quota_banner(request)),
        "version": settings.VERSION,
        "service_status": SimpleLazyObject(service_status.current),
        "owed": SimpleLazyObject(lambda: _owed(request)),
    }


def _customers(request: Any) -> list[Customer]:
    if not request.user.is_authenticated:
        return []
    # The door of a customer's pages has looked already.
    found = getattr(request, "memberships", None)
    return [each.customer for each in (people.memberships_of(request.user) if found is None else found)]


def _owed(request: Any) -> dict[str, str] | None:
    """For owners alone: nobody else can do anything about it, and the service still serves."""
    if not hasattr(request, "may") or not request.may("subscription.change"):
        return None
    with scope.looking(request.customer):
        found = reading.last(request.customer)
    if found is None or found.state not in OWED:
        return None
    state = State(found.state)
    return {
        "kind": words.KINDS[state],
        "state": words.NAMES[state],
        "sentence": found.sentence,
        "what_to_do": found.what_to_do,
    }
