"""A stand-in for the door that every page of a customer goes through: who may come in, and what they may do there."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from tenants import actors, audit
from tenants.models import Customer, Membership, Role

_ADMIN: Final = frozenset({"see", "member.see", "member.change", "invitation.change"})
ACTIONS: Final = {
    Role.VIEWER: frozenset({"see", "member.see"}),
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN | {"owner.change"},
}


class CustomerRequest(HttpRequest):
    """A request that has come through the door. `membership` is None for staff, who may only look."""

    customer: Customer
    membership: Membership | None
    may: Callable[[str], bool]


View = Callable[..., HttpResponseBase]


def customer_page(see: str = "see", *, change: str = "", methods: tuple[str, ...] = ()) -> Callable[[View], View]:
    """Let members in whose role includes the action: `see` to read, `change` to POST; or `see` for all of `methods`."""
    needed = dict.fromkeys(methods or ("GET", "HEAD"), see)
    if change:
        needed["POST"] = change

    def wrap(view: View) -> View:
        @never_cache
        @require_http_methods(list(needed))
        @wraps(view)
        def page(request: Any, slug: str, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            found = Membership.objects.filter(user=request.user, customer__slug=slug).select_related("customer", "user")
            membership = found.first()
            if membership is None:
                raise Http404
            allowed = ACTIONS[Role(membership.role)]
            if needed[request.method] not in allowed:
                raise PermissionDenied
            request.customer, request.membership = membership.customer, membership
            request.may = allowed.__contains__
            with audit.acting(actors.of(request)):
                return view(request, **kwargs)

        return page

    return wrap
