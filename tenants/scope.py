"""The scopes that pages enter: the only way for a page to tenants' rows.

Each is a transaction in which both fences are told the same: the models' manager (fence.py) and, by settings of the
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
from tenants.fence import Kind, Reach
from tenants.models import Customer, Entitlement, PushApp

_TELL: Final = (
    "SELECT set_config('hpns.customer', %s, true), set_config('hpns.user', %s, true), "
    "set_config('hpns.invitation', %s, true), set_config('hpns.staff', %s, true)"
)


@contextmanager
def customer(row: Customer | int) -> Iterator[None]:
    """Inside there is this customer's alone; what is saved must be its own."""
    with _entered(Reach(Kind.CUSTOMER, customer=row.pk if isinstance(row, Customer) else row)):
        yield


@contextmanager
def person(user_id: int) -> Iterator[None]:
    """Inside there are this user's memberships and the customers that they are of, to be read."""
    with _entered(Reach(Kind.PERSON, user=user_id)):
        yield


@contextmanager
def invitation(digest: bytes, user_id: int | None = None) -> Iterator[None]:
    """Inside there is the invitation of this digest with its customer, and the user's memberships: one can be made."""
    with _entered(Reach(Kind.INVITATION, user=user_id, digest=digest)):
        yield


@contextmanager
def staff() -> Iterator[None]:
    """Inside there is everything. For staff who have shown a second factor in this session, and for nobody else."""
    with _entered(Reach(Kind.EVERYTHING)):
        yield


def shared_apps() -> "models.QuerySet[PushApp]":
    """The operator's enabled apps, to be read, for a customer that may use them; call it in a scope of the customer.

    Their credentials are reached in no such scope.
    """
    if not Entitlement.objects.filter(may_use_shared=True).exists():
        return PushApp.objects.none()
    return models.QuerySet(PushApp).filter(customer=None, enabled=True).order_by("label")


@contextmanager
def _entered(wanted: Reach) -> Iterator[None]:
    before, nested = fence.reach(), connection.in_atomic_block
    # After an error the transaction goes back to this point, and the settings with it.
    with transaction.atomic():
        _tell(wanted)
        with fence.reaching(wanted):
            yield
        if nested and not connection.needs_rollback:
            _tell(before)


def _tell(reach: Reach | None) -> None:
    everything = reach is not None and reach.kind is Kind.EVERYTHING
    words = (
        str(reach.customer) if reach and reach.customer is not None else "",
        str(reach.user) if reach and reach.user is not None else "",
        reach.digest.hex() if reach and reach.digest is not None else "",
        "on" if everything else "",
    )
    with connection.cursor() as cursor:
        cursor.execute(_TELL, words)


class PageMiddleware:
    """Every request of Django's normal handler reaches nothing of a tenant's until it enters a scope.

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
        with fence.reaching(fence.NOTHING):
            return _walled(self.get_response(request))

    async def _awaited(self, request: HttpRequest) -> HttpResponseBase:
        with fence.reaching(fence.NOTHING):
            return _walled(await self.get_response(request))


def _walled(response: Any) -> HttpResponseBase:
    if response.streaming:
        parts = response.streaming_content
        response.streaming_content = _later(parts) if hasattr(parts, "__aiter__") else _piece_by_piece(parts)
    return response  # type: ignore[no-any-return]


def _piece_by_piece(parts: Any) -> Iterator[bytes]:
    pieces, end = iter(parts), object()
    while True:
        with fence.reaching(fence.NOTHING):
            piece = next(pieces, end)
        if piece is end:
            return
        yield piece  # type: ignore[misc]


async def _later(parts: Any) -> AsyncIterator[bytes]:
    pieces = aiter(parts)
    while True:
        with fence.reaching(fence.NOTHING):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        yield piece
