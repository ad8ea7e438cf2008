"""Every URL and who may see it: the table, driven in full.

Visitors: anonymous; Cleo, who has an account and belongs to nobody; staff, with a second factor. A URL that is not in
the table fails.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests import people

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

LOGIN, OK, NONE, METHOD, ELSEWHERE, REFUSED = "login", 200, 404, 405, 302, 403
VISITORS = ("anonymous", "cleo", "staff")
# Route (as urls.py spells it) -> an address of it, and what GET gives to each visitor.
OPEN = (OK, OK, OK)
STAFF_ONLY = (LOGIN, LOGIN, OK)
MINE = (LOGIN, OK, OK)
MINE_BY_POST = (METHOD, METHOD, METHOD)
MEMBERS_ONLY = (LOGIN, NONE, NONE)
GUESTS = (OK, ELSEWHERE, ELSEWHERE)  # whoever is logged in has no use for it
# Django's own way for a page of the admin is to the admin's login, which leads on.
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
    "account/": ("/account/", MINE),
    "account/start/": ("/account/start/", (LOGIN, ELSEWHERE, ELSEWHERE)),
    "account/customers/": ("/account/customers/", MINE),
    "account/second-factor/": ("/account/second-factor/", MINE),
    "account/login/": ("/account/login/", GUESTS),
    "account/logout/": ("/account/logout/", (LOGIN, OK, OK)),
    "account/inactive/": ("/account/inactive/", OPEN),
    "account/signup/": ("/account/signup/", GUESTS),
    "account/reauthenticate/": ("/account/reauthenticate/", MINE),
    "account/email/": ("/account/email/", MINE),
    "account/confirm-email/": ("/account/confirm-email/", (LOGIN, ELSEWHERE, ELSEWHERE)),
    "account/password/change/": ("/account/password/change/", MINE),
    "account/password/set/": ("/account/password/set/", (LOGIN, ELSEWHERE, ELSEWHERE)),
    "account/password/reset/": ("/account/password/reset/", OPEN),
    "account/password/reset/done/": ("/account/password/reset/done/", OPEN),
    "account/password/reset/key/done/": ("/account/password/reset/key/done/", OPEN),
    "^account/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (
        "/account/password/reset/key/1-x/",
        (OK, OK, OK),
    ),
    "account/2fa/": ("/account/2fa/", MINE),
    "account/2fa/authenticate/": ("/account/2fa/authenticate/", (LOGIN, ELSEWHERE, ELSEWHERE)),
    "account/2fa/reauthenticate/": ("/account/2fa/reauthenticate/", (LOGIN, ELSEWHERE, ELSEWHERE)),
    "account/2fa/totp/activate/": ("/account/2fa/totp/activate/", (LOGIN, OK, OK)),
    "account/2fa/totp/deactivate/": ("/account/2fa/totp/deactivate/", (LOGIN, NONE, NONE)),
    "account/2fa/recovery-codes/": ("/account/2fa/recovery-codes/", (LOGIN, NONE, NONE)),
    "account/2fa/recovery-codes/generate/": ("/account/2fa/recovery-codes/generate/", MINE),
    "account/2fa/recovery-codes/download/": ("/account/2fa/recovery-codes/download/", (LOGIN, NONE, NONE)),
    "account/2fa/webauthn/": ("/account/2fa/webauthn/", MINE),
    "account/2fa/webauthn/add/": ("/account/2fa/webauthn/add/", MINE),
    "account/2fa/webauthn/reauthenticate/": (
        "/account/2fa/webauthn/reauthenticate/",
        (LOGIN, ELSEWHERE, ELSEWHERE),
    ),
    "account/2fa/webauthn/keys/<int:pk>/remove/": ("/account/2fa/webauthn/keys/1/remove/", (LOGIN, NONE, NONE)),
    "account/2fa/webauthn/keys/<int:pk>/edit/": ("/account/2fa/webauthn/keys/1/edit/", (LOGIN, NONE, NONE)),
    "account/2fa/webauthn/login/": ("/account/2fa/webauthn/login/", (LOGIN, ELSEWHERE, ELSEWHERE)),
    "account/sessions/": ("/account/sessions/", MINE),
    "account/sessions/<int:pk>/end/": ("/account/sessions/1/end/", MINE_BY_POST),
    "invitation/": ("/invitation/", (NONE, NONE, NONE)),
    "invitation/<str:token>/": ("/invitation/x/", (NONE, NONE, NONE)),
    "c/<slug:slug>/": ("/c/acme/", (ELSEWHERE, ELSEWHERE, ELSEWHERE)),
    "c/<slug:slug>/people/": ("/c/acme/people/", MEMBERS_ONLY),
    "c/<slug:slug>/people/invite/": ("/c/acme/people/invite/", MINE_BY_POST),
    "c/<slug:slug>/people/invitations/<int:pk>/again/": ("/c/acme/people/invitations/1/again/", MINE_BY_POST),
    "c/<slug:slug>/people/invitations/<int:pk>/withdraw/": ("/c/acme/people/invitations/1/withdraw/", MINE_BY_POST),
    "c/<slug:slug>/people/<int:pk>/role/": ("/c/acme/people/1/role/", MINE_BY_POST),
    "c/<slug:slug>/people/<int:pk>/remove/": ("/c/acme/people/1/remove/", MEMBERS_ONLY),
    "c/<slug:slug>/people/leave/": ("/c/acme/people/leave/", MEMBERS_ONLY),
    "admin/login/": ("/admin/login/", (LOGIN, REFUSED, ELSEWHERE)),
    "admin/logout/": ("/admin/logout/", (ELSEWHERE, ELSEWHERE, 307)),
    "admin/password_change/": ("/admin/password_change/", (LOGIN, LOGIN, ELSEWHERE)),
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
    return {"anonymous": Client(), "cleo": people.browser(people.person("cleo")), "staff": people.staff_browser()}


def seen(client: Client, address: str) -> Any:
    """What a GET gives: a status, or LOGIN for a way to the login page."""
    answer = client.get(address)
    if answer.status_code == 302 and answer["Location"].startswith(("/admin/login/", "/account/login/")):
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
