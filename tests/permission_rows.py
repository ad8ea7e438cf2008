"""The rows of the table of permissions: an address, and what each visitor gets there by each method."""

from typing import Any, Final, NamedTuple

VISITORS: Final = ("anonymous", "stranger", "viewer", "admin", "owner", "staff without a second factor", "staff")
# DELETE stands for a method that no page of ours takes. POST comes last, for one of them logs out.
METHODS: Final = ("GET", "DELETE", "POST")

LOGIN: Final = "login"
Expected = tuple[Any, ...]


def all_get(status: Any) -> Expected:
    """The same status for every visitor."""
    return (status,) * len(VISITORS)


# The admin's pages of models look at no method, so that a DELETE is answered as a GET is, and changes nothing.
def staff_get(status: Any) -> Expected:
    """Staff with a second factor alone get something; all others are led to what they lack."""
    return (*(LOGIN,) * 6, status)


def members_get(viewer: int, admin: int, owner: int, *, staff: int) -> Expected:
    """By role; who is no member is told that there is no such page."""
    return (LOGIN, 404, viewer, admin, owner, 404, staff)


class Row(NamedTuple):
    """An address of a route, and the expected statuses of GET, DELETE and POST."""

    address: str
    get: Expected
    delete: Expected
    post: Expected

    def expected(self, method: str) -> Expected:
        """The expected statuses of a method."""
        expected: Expected = getattr(self, method.lower())
        return expected


def for_reading(address: str, get: Expected) -> Row:
    """A page without login that takes GET only."""
    return Row(address, get, all_get(405), all_get(405))


def of_staff(address: str, get: Any = 200, post: Any = 200, delete: Any = None) -> Row:
    """A page of the admin."""
    return Row(address, staff_get(get), staff_get(delete or get), staff_get(post))


def of_customer(address: str, get: Expected, post: Expected | None = None) -> Row:
    """A page below /c/acme/. One that takes no POST says so to those who may come in."""
    not_taken = members_get(405, 405, 405, staff=405)
    return Row(f"/c/acme/{address}", get, not_taken, post or not_taken)


def mine(status: Any) -> Expected:
    """Whoever is logged in gets something; nobody else does."""
    return (LOGIN, *(status,) * 6)


def of_person(address: str, get: Any, post: Any, delete: Any = 405) -> Row:
    """One of django-allauth's pages about oneself, which asks for the login before it looks at the method."""
    return Row(f"/account/{address}", mine(get), mine(delete), mine(post))


def of_visitor(address: str, get: Any = 200, post: Any = 200, delete: Any = 405) -> Row:
    """A page for whoever cannot log in yet, or no more."""
    return Row(f"/account/{address}", all_get(get), all_get(delete), all_get(post))


def by_post(address: str, viewer: int, admin: int, owner: int) -> Row:
    """A form below /c/acme/ without a page of its own. Staff who look on may send none."""
    not_taken = members_get(405, 405, 405, staff=405)
    return Row(f"/c/acme/{address}", not_taken, not_taken, members_get(viewer, admin, owner, staff=403))


# Whoever is logged in is led on.
GUEST: Final[Expected] = (200, *(302,) * 6)
ADMIN_LOGIN: Final[Expected] = (LOGIN, *(403,) * 4, 302, 302)
# The cast has no password and no second factor: there is nothing to show once more.
NOTHING_TO_SHOW: Final = 403
