"""Tenant scopes (context managers) that pages enter: the only way for a page to tenants' rows.

Each is a transaction in which both fences are set to the same: the models' manager (fence.py) and, by settings of the
transaction, the policies of the database. One scope within another takes its place until it ends.

    with scope.customer(customer):
        servers = list(Server.objects.all())    # this customer's

Invariant: when a scope ends, however it ends, both fences are as they were before.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.db import connection, models, transaction
from django.http import HttpRequest, HttpResponseBase

from tenants import fence
from tenants.fence import ActiveScope, ScopeKind
from tenants.models import Customer, Entitlement, PushApp

_POLICY_SETTINGS: Final = (
    "SELECT set_config('hpns.customer', %s, true), set_config('hpns.user', %s, true), "
    "set_config('hpns.invitation', %s, true), set_config('hpns.staff', %s, true)"
)


@contextmanager
def customer(row: Customer | int) -> Iterator[None]:
    """Scope of one customer: inside there is this customer's alone; what is saved must be its own."""
    with _enter(ActiveScope(ScopeKind.CUSTOMER, customer=row.pk if isinstance(row, Customer) else row)):
        yield


@contextmanager
def looking(row: Customer) -> Iterator[None]:
    """Scope of one customer for what only reads: where it is in force already, without a savepoint in it."""
    if fence.active_scope() == ActiveScope(ScopeKind.CUSTOMER, customer=row.pk):
        yield
        return
    with customer(row):
        yield


@contextmanager
def person(user_id: int) -> Iterator[None]:
    """Scope of one person: inside there are this user's memberships and the customers that they are of, to be read."""
    with _enter(ActiveScope(ScopeKind.PERSON, user=user_id)):
        yield


@contextmanager
def invitation(digest: bytes, user_id: int | None = None) -> Iterator[None]:
    """Scope of one invitation: inside there is the invitation of this digest with its customer, and the user's
    memberships: one can be made."""
    with _enter(ActiveScope(ScopeKind.INVITATION, user=user_id, digest=digest)):
        yield


@contextmanager
def staff() -> Iterator[None]:
    """Unrestricted scope. For staff who have shown a second factor in this session, and for nobody else."""
    with _enter(ActiveScope(ScopeKind.EVERYTHING)):
        yield


def shared_apps() -> "models.QuerySet[PushApp]":
    """The operator's enabled apps, to be read, for a customer that may use them; call it in a scope of the customer.

    Their credentials are reached in no such scope.
    """
    entitled = models.Exists(Entitlement.objects.filter(may_use_shared=True))
    return models.QuerySet(PushApp).filter(entitled, customer=None, enabled=True).order_by("label")


@contextmanager
def _enter(wanted: ActiveScope) -> Iterator[None]:
    before, nested = fence.active_scope(), connection.in_atomic_block
    if nested and before == wanted:
        with transaction.atomic():
            yield
        return
    # After an error the transaction goes back to this point, and the settings with it.
    with transaction.atomic():
        _set_policy_settings(wanted)
        with fence.activate(wanted):
            yield
        if nested and not connection.needs_rollback:
            _set_policy_settings(before)


def _set_policy_settings(active: ActiveScope | None) -> None:
    everything = active is not None and active.kind is ScopeKind.EVERYTHING
    values = (
        str(active.customer) if active and active.customer is not None else "",
        str(active.user) if active and active.user is not None else "",
        active.digest.hex() if active and active.digest is not None else "",
        "on" if everything else "",
    )
    with connection.cursor() as cursor:
        cursor.execute(_POLICY_SETTINGS, values)


class PageMiddleware:
    """Middleware: a request of Django's normal handler reaches nothing of a tenant's until it enters a scope.

    What a response streams is made after the view has returned, and still belongs to the page.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Django makes one, with the next layer."""
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """The response, or its coroutine."""
        if iscoroutinefunction(self):
            return self._awaited(request)
        with fence.activate(fence.NOTHING):
            return _isolated(self.get_response(request))

    async def _awaited(self, request: HttpRequest) -> HttpResponseBase:
        with fence.activate(fence.NOTHING):
            return _isolated(await self.get_response(request))


def _isolated(response: Any) -> HttpResponseBase:
    if response.streaming:
        content = response.streaming_content
        response.streaming_content = (
            _isolated_chunks_async(content) if hasattr(content, "__aiter__") else _isolated_chunks(content)
        )
    return response  # type: ignore[no-any-return]


def _isolated_chunks(content: Any) -> Iterator[bytes]:
    chunks, end = iter(content), object()
    while True:
        with fence.activate(fence.NOTHING):
            chunk = next(chunks, end)
        if chunk is end:
            return
        yield chunk  # type: ignore[misc]


async def _isolated_chunks_async(content: Any) -> AsyncIterator[bytes]:
    chunks = aiter(content)
    while True:
        with fence.activate(fence.NOTHING):
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                return
        yield chunk
