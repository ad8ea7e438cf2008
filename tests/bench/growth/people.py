"""Who looks at the grown service's pages: members of customers and somebody of the staff, as the pages' own role."""

from typing import Any, Final

from django.contrib.auth.models import User
from django.test import Client

from tenants.models import Customer, Membership, Role
from tests.browsing import Browser

STAFF: Final = "staff-of-growth"


class Visitor(Browser):
    """A browser in a process that is the pages' role already."""

    def request(self, **request: Any) -> Any:
        """Answer one request."""
        return Client.request(self, **request)


def make(slugs: list[str]) -> None:
    """An owner for each of these customers, and the staff; by the owner of the tables."""
    User.objects.create(username=STAFF, email="staff@example.com", password="!", is_staff=True, is_superuser=True)
    for slug in slugs:
        user = User.objects.create(username=f"owner-of-{slug}", email=f"owner@{slug}.example", password="!")
        Membership.objects.create(user=user, customer=Customer.objects.get(slug=slug), role=Role.OWNER)


def owner_of(slug: str) -> Visitor:
    """The browser of a customer's owner."""
    return Visitor().enter(User.objects.get(username=f"owner-of-{slug}"))


def somebody_of_the_staff() -> Visitor:
    """The staff's browser, a second factor shown."""
    return Visitor().enter(User.objects.get(username=STAFF), factor=True)
