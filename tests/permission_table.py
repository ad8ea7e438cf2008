"""Every URL, and what each visitor gets of it: the data of test_permissions.py.

What is told for each method, in the order of VISITORS: a status, several that are all right, or LOGIN for the way to
the login page. Machines' endpoints that do not go through urls.py are in tests/tenants/test_authentication.py.
"""

from typing import Any, Final, NamedTuple

VISITORS: Final = ("anonymous", "stranger", "viewer", "admin", "owner", "staff without a second factor", "staff")
# DELETE stands for a method that no page of ours takes. POST comes last, for one of them logs out.
METHODS: Final = ("GET", "DELETE", "POST")

LOGIN: Final = "login"
Told = tuple[Any, ...]


def all_get(status: Any) -> Told:
    """Everybody gets the same."""
    return (status,) * len(VISITORS)


# The admin's pages of models look at no method, so that a DELETE is answered as a GET is, and changes nothing.
# What staff get without a second factor is what the site's has_permission says.
UNPROVEN: Final = "as staff"


def staff_get(status: Any) -> Told:
    """Staff alone get something; all others are led to the login."""
    return (*(LOGIN,) * 5, status if UNPROVEN == "as staff" else LOGIN, status)


def members_get(viewer: int, admin: int, owner: int, *, staff: int) -> Told:
    """By role; who is no member is told that there is no such page."""
    return (LOGIN, 404, viewer, admin, owner, 404, staff)


class Row(NamedTuple):
    """An address of a route, and what is told for GET, DELETE and POST."""

    address: str
    get: Told
    delete: Told
    post: Told

    def told(self, method: str) -> Told:
        """By the method."""
        told: Told = getattr(self, method.lower())
        return told


def for_reading(address: str, get: Told) -> Row:
    """A page without login that takes GET only."""
    return Row(address, get, all_get(405), all_get(405))


def of_staff(address: str, get: Any = 200, post: Any = 200, delete: Any = None) -> Row:
    """A page of the admin."""
    return Row(address, staff_get(get), staff_get(delete or get), staff_get(post))


def of_customer(address: str, get: Told, post: Told | None = None) -> Row:
    """A page below /c/acme/. One that takes no POST says so to those who may come in."""
    not_taken = members_get(405, 405, 405, staff=405)
    return Row(f"/c/acme/{address}", get, not_taken, post or not_taken)


# Route, as urls.py spells it -> what is told.
TABLE: Final[dict[str, Row]] = {
    "": for_reading("/", all_get(200)),
    "version": for_reading("/version", all_get(200)),
    "t/<str:key>": for_reading("/t/hk_x", all_get(200)),
    "t/<str:key>/": for_reading("/t/hk_x/", all_get(200)),
    "t/<str:key>/version": for_reading("/t/hk_x/version", all_get(200)),
    "health/live": for_reading("/health/live", all_get(200)),
    "health/ready": for_reading("/health/ready", all_get((200, 503))),
    "metrics": for_reading("/metrics", all_get(200)),  # from loopback; tests/hpns/test_metrics.py has the rest
    "c/<slug:slug>/audit/": of_customer("audit/", members_get(200, 200, 200, staff=200)),
    "c/<slug:slug>/audit.csv": of_customer("audit.csv", members_get(403, 200, 200, staff=403)),
    "admin/": of_staff("/admin/"),
    # Staff are there already.
    "admin/login/": Row("/admin/login/", (*(200,) * 5, 302, 302), all_get(405), all_get(200)),
    "admin/logout/": Row("/admin/logout/", (*(302,) * 5, 405, 405), (*(302,) * 5, 405, 405), (*(302,) * 5, 200, 200)),
    "admin/password_change/": of_staff("/admin/password_change/", delete=405),
    "admin/password_change/done/": of_staff("/admin/password_change/done/", 200, 405, 405),
    "admin/autocomplete/": of_staff("/admin/autocomplete/", 403, 405, 405),
    "admin/jsi18n/": of_staff("/admin/jsi18n/", 200, 405, 405),
    "admin/r/<path:content_type_id>/<path:object_id>/": of_staff("/admin/r/1/1/", 404, 404),
    "admin/(?P<url>.*)$": of_staff("/admin/nothing/", 404, 404),
    "admin/^(?P<app_label>": of_staff("/admin/tenants/"),
}
# The model pages of the admin are many and alike: their route ends in one of these.
NO_ROW: Final = "999999"
MODEL_PAGES: Final[dict[str, tuple[Any, Any]]] = {
    "": (200, (200, 302)),
    "add/": ((200, 403), (200, 403)),
    "<path:object_id>/": (302, 302),
    "<path:object_id>/history/": (302, 302),
    "<path:object_id>/delete/": ((302, 403), (302, 403)),
    "<path:object_id>/change/": ((302, 403), (302, 403)),
    "<id>/password/": (404, 404),
}


def row(route: str) -> Row | None:
    """What is told of a route; None when it is in no table."""
    found = TABLE.get("admin/^(?P<app_label>" if route.startswith("admin/^(?P<app_label>") else route)
    parts = route.split("/", 3)
    if found is None and len(parts) == 4 and parts[0] == "admin" and parts[3] in MODEL_PAGES:
        page = parts[3].replace("<path:object_id>", NO_ROW).replace("<id>", NO_ROW)
        found = of_staff(f"/admin/{parts[1]}/{parts[2]}/{page}", *MODEL_PAGES[parts[3]])
    return found
