"""Every URL and who may see it: the table, driven in full.

Visitors: anonymous; Cleo, who has an account and belongs to nobody; staff. A URL that is not in the table fails.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

pytestmark = pytest.mark.django_db

LOGIN, OK, NONE, METHOD = "login", 200, 404, 405
VISITORS = ("anonymous", "cleo", "staff")
# Route (as urls.py spells it) -> an address of it, and what GET gives to each visitor.
OPEN = (OK, OK, OK)
STAFF_ONLY = (LOGIN, LOGIN, OK)
TABLE: dict[str, tuple[str, tuple[Any, Any, Any]]] = {
    "": ("/", OPEN),
    "version": ("/version", OPEN),
    "t/<str:key>": ("/t/hk_x", OPEN),
    "t/<str:key>/": ("/t/hk_x/", OPEN),
    "t/<str:key>/version": ("/t/hk_x/version", OPEN),
    "health/live": ("/health/live", OPEN),
    "health/ready": ("/health/ready", ("ready",) * 3),
    "metrics": ("/metrics", OPEN),  # from loopback; tests/hpns/test_metrics.py has the rest
    "admin/": ("/admin/", STAFF_ONLY),
    "admin/login/": ("/admin/login/", (OK, OK, 302)),
    "admin/logout/": ("/admin/logout/", (302, 302, METHOD)),
    "admin/password_change/": ("/admin/password_change/", STAFF_ONLY),
    "admin/password_change/done/": ("/admin/password_change/done/", STAFF_ONLY),
    "admin/autocomplete/": ("/admin/autocomplete/", (LOGIN, LOGIN, 403)),
    "admin/jsi18n/": ("/admin/jsi18n/", STAFF_ONLY),
    "admin/r/<path:content_type_id>/<path:object_id>/": ("/admin/r/1/1/", (LOGIN, LOGIN, NONE)),
    "admin/(?P<url>.*)$": ("/admin/nothing/", (LOGIN, LOGIN, NONE)),
}
# The model pages of the admin are many and alike: their route ends in one of these.
MODEL_PAGES = {
    "": STAFF_ONLY,
    "add/": (LOGIN, LOGIN, (200, 403)),
    "<path:object_id>/": (LOGIN, LOGIN, 302),
    "<path:object_id>/history/": (LOGIN, LOGIN, 302),
    "<path:object_id>/delete/": (LOGIN, LOGIN, (302, 403)),
    "<path:object_id>/change/": (LOGIN, LOGIN, (302, 403)),
    "<id>/password/": (LOGIN, LOGIN, NONE),
}


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    """Every route of the project, as it is spelled."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from routes(entry, prefix + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield prefix + str(entry.pattern)


def rule(route: str) -> tuple[str, tuple[Any, Any, Any]] | None:
    """An address of a route and what each visitor gets; None when the route is in no table."""
    if route in TABLE:
        return TABLE[route]
    if route.startswith("admin/^(?P<app_label>"):
        return "/admin/tenants/", STAFF_ONLY
    parts = route.split("/", 3)
    if len(parts) == 4 and parts[0] == "admin" and parts[3] in MODEL_PAGES:
        page = parts[3].replace("<path:object_id>", "999999").replace("<id>", "999999")
        return f"/admin/{parts[1]}/{parts[2]}/{page}", MODEL_PAGES[parts[3]]
    return None


@pytest.fixture
def visitors() -> dict[str, Client]:
    """A browser for each."""
    users = get_user_model().objects
    cleo = users.create_user("cleo", "cleo@cosmos.example", "x")
    staff = users.create_superuser("staff", "staff@example.com", "x")
    found = {"anonymous": Client(), "cleo": Client(), "staff": Client()}
    found["cleo"].force_login(cleo)
    found["staff"].force_login(staff)
    return found


def seen(client: Client, address: str) -> Any:
    """What a GET gives: a status, or LOGIN for a way to the login page."""
    answer = client.get(address)
    if answer.status_code == 302 and "/admin/login/" in answer["Location"]:
        return LOGIN
    return answer.status_code


@pytest.mark.parametrize("route", sorted(set(routes())))
def test_each_visitor_gets_what_the_table_says(route: str, visitors: dict[str, Client]) -> None:
    found = rule(route)
    assert found is not None, f"{route} is not in the permission table"
    address, expected = found
    for visitor, wanted in zip(VISITORS, expected, strict=True):
        got = seen(visitors[visitor], address)
        allowed = (200, 503) if wanted == "ready" else wanted if isinstance(wanted, tuple) else (wanted,)
        assert got in allowed, f"{visitor} gets {got} from {address}, not {wanted}"


def test_a_url_that_is_in_no_table_is_noticed() -> None:
    assert rule("secret/door") is None
    assert rule("admin/tenants/customer/secret/") is None
    assert rule("admin/tenants/customer/add/") is not None


def test_the_table_speaks_of_no_url_that_is_gone() -> None:
    assert not set(TABLE) - set(routes())
