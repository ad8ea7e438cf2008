"""Who looks at the pages in the tests, and with what: a browser whose requests are answered as the pages' role.

Ada owns Acme, Dora administers it, Ben views it. Cleo owns Cosmos, and is a stranger to Acme.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client
from django.test.client import ClientHandler

from tenants.models import Customer, Entitlement, Membership, Role, Server, ServerKey
from tests.roles import PAGES, acting_as

# As allauth.account.internal.flows.login keeps them.
RECORDS, RECORDS_OF = "account_authentication_methods", "account_authentication_methods_user"


# One for all browsers: each would load the middleware again, which reads the folders of static files.
_HANDLER = ClientHandler(enforce_csrf_checks=False)


class Browser(Client):
    """Django's, but the database is asked as the pages' role."""

    def __init__(self) -> None:
        super().__init__()
        self.handler = _HANDLER

    def request(self, **request: Any) -> Any:
        """Answer one request."""
        with acting_as(PAGES):
            return super().request(**request)

    def enter(self, user: User, *, factor: bool = False) -> "Browser":
        """Log somebody in, with a second factor or without; the browser itself."""
        self.force_login(user)
        session = self.session
        methods = [{"method": "password", "at": time.time()}]
        session[RECORDS] = [*methods, {"method": "mfa", "at": time.time(), "type": "totp"}] if factor else methods
        session[RECORDS_OF] = str(user.pk)
        session.save()
        return self

    def twin(self) -> "Browser":
        """Another browser with the same cookies."""
        found = Browser()
        found.cookies.load({name: morsel.value for name, morsel in self.cookies.items()})
        return found

    def body(self, address: str, method: str = "GET") -> bytes:
        """What a request brings, also where it comes in pieces: they are made as the pages' role, too."""
        environ = {"PATH_INFO": address.partition("?")[0], "REQUEST_METHOD": method}
        with acting_as(PAGES):
            answer = Client.request(self, **self._base_environ(**environ) | _query(address))
            assert answer.status_code == 200, answer.status_code
            return async_to_sync(_whole)(answer)


async def _whole(answer: Any) -> bytes:
    return b"".join([part async for part in answer]) if answer.streaming else bytes(answer.content)


def _query(address: str) -> dict[str, str]:
    return {"QUERY_STRING": address.partition("?")[2]}


class Tenant(NamedTuple):
    """A customer with one server and its key."""

    customer: Customer
    server: Server
    key: ServerKey


def tenant(name: str) -> Tenant:
    """Make a customer by its name, entitled to push to shared apps."""
    customer = Customer.objects.create(name=name, slug=name.lower(), offer="hpns")
    Entitlement.objects.create(customer=customer, may_use_shared=True)
    server = Server.objects.create(customer=customer, name=f"chat.{name.lower()}.example")
    digest = name.encode().ljust(32, b".")[:32]
    key = ServerKey.objects.create(server=server, prefix=name.ljust(8, "0")[:8], digest=digest)
    return Tenant(customer, server, key)


def member(name: str, customer: Customer, role: Role) -> User:
    """Make a person with a role in a customer."""
    email = f"{name}@{customer.slug}.example"
    user = User.objects.create(username=name, email=email, password="!")
    Membership.objects.create(user=user, customer=customer, role=role)
    return user


def browser(customer: Customer, role: str) -> Browser:
    """The browser of a new member of this role."""
    return Browser().enter(member(role, customer, Role(role)))


def staff() -> User:
    """Make somebody of the staff, with every right."""
    return User.objects.create(
        username="staff", email="staff@example.com", password="!", is_staff=True, is_superuser=True
    )


def visitors(acme: Customer, cosmos: Customer) -> Iterator[tuple[str, Browser]]:
    """A browser for everybody who may come along, by who it is."""
    yield "anonymous", Browser()
    yield "stranger", Browser().enter(member("cleo", cosmos, Role.OWNER), factor=True)
    yield "viewer", Browser().enter(member("ben", acme, Role.VIEWER))
    yield "admin", Browser().enter(member("dora", acme, Role.ADMIN))
    yield "owner", Browser().enter(member("ada", acme, Role.OWNER))
    somebody = staff()
    yield "staff without a second factor", Browser().enter(somebody)
    yield "staff", Browser().enter(somebody, factor=True)
