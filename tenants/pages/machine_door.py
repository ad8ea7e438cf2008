"""Authorization of pages that a customer's own programs ask: by one of its server keys, in place of a login.

    curl -H "Authorization: Bearer hk_..." --data-binary @lines https://push.example.com/api/v1/sla/reconcile

HTTP Basic with the key as the password does as well (`curl -u :hk_...`). Such a page reads and changes nothing: the key
is in the hands of whoever runs the Mattermost server. What holds for pushes holds here, too: the networks that the
server is bound to, and that a key travels encrypted. Limits: wrong keys by network, requests by customer, both counted
in Valkey. Every answer is JSON; errors have a code and a text.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError

from tenants import keys, network, scope
from tenants.addresses import client_address
from tenants.authentication import find_key
from tenants.models import Customer, Entitlement, Server
from tenants.refusals import CallerRejected

# Requests of a customer, and wrong keys of a network, in so many seconds.
BY_CUSTOMER, WRONG, SECONDS = 30, 20, 60
_BEARER: Final = "bearer "
_WHOSE: Final = "SELECT customer_id, server_id FROM hpns_server_of_key(%s, %s)"
View = Callable[..., HttpResponseBase]


class MachineRequest(HttpRequest):
    """An authorized request."""

    customer: Customer


class _Owner(NamedTuple):
    customer_id: int
    server_id: int


def machine_page(view: View) -> View:
    """Decorator that authorizes a view, which takes POST; it runs in the scope of the key's customer."""

    @csrf_exempt  # no cookie says who asks
    @never_cache
    @wraps(view)
    def page(request: Any) -> HttpResponseBase:
        if request.method != "POST":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", "Send a POST.", Allow="POST")
        try:
            return _authorized(view, request)
        except RedisError:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Try again later.", **_later())

    return page


def error(status: HTTPStatus, code: str, text: str) -> JsonResponse:
    """An answer that says what is wrong with a request."""
    return JsonResponse({"error": {"code": code, "text": text}}, status=status)


def _authorized(view: View, request: Any) -> HttpResponseBase:
    client = network.address(client_address(request) or "")
    asking = f"machine:wrong:{network.rate_limit_network(client)}"
    if _count_of(asking) >= WRONG:
        return _refusal(HTTPStatus.TOO_MANY_REQUESTS, "too_many_wrong_keys", "Wait a minute.", **_later())
    owner = _owner(request.headers.get("Authorization", ""))
    if owner is None:
        _count(asking)
        return _refusal(
            HTTPStatus.UNAUTHORIZED,
            "unknown_key",
            "Send a server key that is in use, as Authorization: Bearer hk_...",
            **{"WWW-Authenticate": "Bearer"},
        )
    if _count(f"machine:customer:{owner.customer_id}") > BY_CUSTOMER:
        text = f"At most {BY_CUSTOMER} requests a minute: ask for more ids at once."
        return _refusal(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", text, **_later())
    with scope.customer(owner.customer_id):
        allowed = Server.objects.values_list("networks", flat=True).get(pk=owner.server_id)
        if allowed and not network.is_inside(client, network.parsed(tuple(allowed))):
            text = "This key's server is bound to networks, and this is none of them."
            return _refusal(HTTPStatus.FORBIDDEN, "wrong_network", text)
        if not _may_travel(request, client) and Entitlement.objects.filter(tls_required=True).exists():
            return _refusal(HTTPStatus.FORBIDDEN, "plain_http", "Send the key by https alone, and revoke this one.")
        request.customer = Customer.objects.get(pk=owner.customer_id)
        return view(request)


def _may_travel(request: HttpRequest, client: network.Address | None) -> bool:
    """Whether a key may come on this request: encrypted, from this machine, or from a network that is allowed."""
    if request.is_secure():
        return True
    return client is not None and (client.is_loopback or network.is_inside(client, settings.PLAIN_HTTP_FROM))


def _owner(header: str) -> _Owner | None:
    try:
        text = header[len(_BEARER) :].strip() if header[: len(_BEARER)].lower() == _BEARER else find_key("", header)
    except CallerRejected:
        return None
    parts = keys.parse(text)
    if parts is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_WHOSE, [parts[0], keys.digest(text, settings.HASH_KEY)])
        row = cursor.fetchone()
    return None if row is None else _Owner(*row)


def _count_of(name: str) -> int:
    return int(cache.get(name, 0))


def _count(name: str) -> int:
    cache.add(name, 0, SECONDS)
    try:
        return int(cache.incr(name))
    except ValueError:  # it has lapsed in between
        return 1


def _later() -> dict[str, str]:
    return {"Retry-After": str(SECONDS)}


def _refusal(status: HTTPStatus, code: str, text: str, **headers: str) -> HttpResponse:
    answer = error(status, code, text)
    for name, value in headers.items():
        answer[name] = value
    return answer
