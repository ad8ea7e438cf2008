"""Authorization of every page of a customer (`/c/<slug>/...`), the door: who may enter, and what they may do there.

    @customer_page("server.see", change="server.change")
    def servers(request: CustomerRequest) -> HttpResponse: ...

Invariants: a stranger cannot tell a customer that there is from one that there is not (404 for both); the view, and the
rendering of what it returns, run in the scope of that customer, in one transaction, with the actor for the audit log. A
view that asks others in between, who may take their time, is `in_steps`: it enters the scope itself, for each step, so
that no transaction and no lock waits with it. Outside of its steps it reaches no row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from http import HTTPStatus
from time import time
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows import reauthentication
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from tenants import people, permissions, scope, staff_roles
from tenants.accounts.mfa import mfa_passed
from tenants.audit import actors, recording
from tenants.models import AuditEvent, Customer, Membership

SAFE_METHODS: Final = ("GET", "HEAD")
# In the session: which customers staff have looked at, and in which hour that was noted.
STAFF_VIEWS_KEY: Final = "looked_at"
HOUR: Final = 3600
NUL: Final = "\0"

View = Callable[..., HttpResponseBase]


class CustomerRequest(HttpRequest):
    """An authorized request. `membership` is None for staff, who look on as a viewer would; `memberships` are all of
    the user's, by the customers' names. `step()` is the scope of the customer, in a transaction, for a view that is
    `in_steps`."""

    customer: Customer
    memberships: Sequence[Membership]
    membership: Membership | None
    role: str
    viewing_as_staff: bool
    step: Callable[[], AbstractContextManager[None]]

    def may(self, action: str) -> bool:
        """Whether the user may do this here; an action of permissions.ACTIONS."""
        raise NotImplementedError  # customer_page puts in the real one


class CustomerAccess(NamedTuple):
    """The access that was granted: a member's, or that of staff who look on."""

    customer: Customer
    membership: Membership | None
    role: str


def customer_page(
    see: str = "see",
    *,
    change: str = "",
    methods: tuple[str, ...] = (),
    in_steps: bool = False,
    read_only: bool = False,
    recent_login: bool = False,
) -> Callable[[View], View]:
    """Decorator that authorizes a view. It is called with the request and what stands in the address after the slug.

    `see` is the action that reading needs; with `change` the page takes POST too, which needs that action. `methods`
    instead says which methods it takes, all by the action `see`. `in_steps`: see the module. `read_only`: it
    changes nothing by any of its methods, so that staff who look on may use them all. `recent_login`: what it changes
    needs a login within minutes, else the password is asked for, and then the page goes on with what was sent.
    """
    needed = dict.fromkeys(methods or SAFE_METHODS, see)
    if change:
        needed["POST"] = change
    for action in needed.values():
        permissions.who_may(action)  # a slip of the pen ends the start, not a request

    def wrap(view: View) -> View:
        @never_cache
        @wraps(view)
        def page(request: Any, slug: str, **more: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_login(request)
            # PostgreSQL has no text with it, and Django's forms refuse it.
            if NUL in request.path or any(NUL in value for _, values in request.GET.lists() for value in values):
                raise Http404
            return _authorize(
                view, needed, request, slug, more, in_steps=in_steps, read_only=read_only, recent_login=recent_login
            )

        return page

    return wrap


def _to_login(request: HttpRequest) -> HttpResponseBase:
    """The way to the login; a part of a page that asks by itself is not given it in its place: its page is loaded anew.

    https://htmx.org/reference/#response_headers
    """
    if request.headers.get("HX-Request"):
        return HttpResponse(status=HTTPStatus.FORBIDDEN, headers={"HX-Refresh": "true"})
    return redirect_to_login(request.get_full_path())


def _authorize(
    view: View,
    needed: Mapping[str, str],
    request: Any,
    slug: str,
    more: Mapping[str, Any],
    *,
    in_steps: bool,
    read_only: bool,
    recent_login: bool,
) -> HttpResponseBase:
    request.memberships = people.memberships_of(request.user)
    access = _member(request.memberships, slug) or _staff(request, slug)
    if access is None:
        raise Http404
    if request.method not in needed:
        return HttpResponseNotAllowed(list(needed))
    request.customer, request.membership, request.role = access
    request.viewing_as_staff = access.membership is None
    request.may = lambda action: (
        permissions.may(access.role, action) and (access.membership is not None or _may_look(request.user, action))
    )
    request.step = lambda: scope.customer(access.customer)
    entered = nullcontext() if in_steps else request.step()
    with entered, recording.acting(_actor(request, staff=request.viewing_as_staff)):
        if request.viewing_as_staff and not read_only and request.method not in SAFE_METHODS:
            return _forbidden(request, ())
        if not request.may(needed[request.method]):
            action = needed[request.method]
            of_staff = request.viewing_as_staff and permissions.may(access.role, action)
            return _forbidden(request, permissions.who_may(action), of_staff=of_staff)
        if recent_login and request.method not in SAFE_METHODS:
            _require_recent_login(request)
        return rendered(view(request, **more))


def _require_recent_login(request: Any) -> None:
    """Raise what django-allauth's middleware leads to the password with, and back; what was uploaded is not kept."""
    if not reauthentication.is_reauthentication_required(request, app="allauth.account"):
        return
    if not request.FILES:
        raise ReauthenticationRequired
    methods = get_adapter(request).get_reauthentication_methods(request.user)
    if not methods:
        raise PermissionDenied
    messages.info(request, "Choose the file again: it was not kept while you showed that it is you.")
    back = urlsplit(request.headers.get("Referer", "")).path or f"/c/{request.customer.slug}/"
    raise ImmediateHttpResponse(redirect_to_login(back, methods[0]["url"]))


def _member(memberships: Iterable[Membership], slug: str) -> CustomerAccess | None:
    membership = next((each for each in memberships if each.customer.slug == slug), None)
    return CustomerAccess(membership.customer, membership, membership.role) if membership else None


def _staff(request: HttpRequest, slug: str) -> CustomerAccess | None:
    """Read-only access of staff, as far as a viewer's and their role's go; None for whoever has no role. It is noted in
    the customer's audit log, once an hour in each session."""
    user: Any = request.user
    if not (user.is_active and user.is_staff and mfa_passed(request) and user.has_perm("tenants.view_customer")):
        return None
    with scope.staff():
        customer = Customer.objects.filter(slug=slug).first()
        if customer is None:
            return None
        # Noted before the page is made, in a transaction of its own: a page that fails has been tried all the same.
        noted, hour = request.session.get(STAFF_VIEWS_KEY, {}), int(time() // HOUR)
        if noted.get(str(customer.pk)) != hour:
            with recording.acting(_actor(request, staff=True)):
                recording.record("staff.look", customer=customer, target=customer.name)
            kept = {key: value for key, value in noted.items() if value == hour}
            request.session[STAFF_VIEWS_KEY] = {**kept, str(customer.pk): hour}
    return CustomerAccess(customer, None, permissions.VIEWER)


def _may_look(user: Any, action: str) -> bool:
    return bool(user.has_perms(staff_roles.LOOKING.get(action, (staff_roles.NOBODYS,))))


def _actor(request: HttpRequest, *, staff: bool) -> recording.Actor:
    """The actor, by the capacity in which they act: somebody of the staff may be a customer's member, too."""
    return actors.of(request)._replace(kind=AuditEvent.Kind.STAFF if staff else AuditEvent.Kind.MEMBER)


def rendered(response: HttpResponseBase) -> HttpResponseBase:
    """The response with its body rendered: what Django renders later would be outside of the scope."""
    render_now = getattr(response, "render", None)
    if callable(render_now):
        render_now()
    return response


def _forbidden(request: Any, who: tuple[str, ...], *, of_staff: bool = False) -> HttpResponseBase:
    context = {"customer": request.customer, "role": request.role, "who": who, "of_staff": of_staff}
    return render(request, "tenants/forbidden.html", context, status=HTTPStatus.FORBIDDEN)
