"""Writes the audit log. Every service that changes a row notes here who did it, in the same transaction.

Who acts is a property of the context, not of each call: a request of a page sets it (`acting`), a command names itself,
and whatever sets nothing is the service itself. Invariant: no secret goes into an event; text is cut to its column.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from tenants.models import AuditEvent, Customer


class Actor(NamedTuple):
    """Who acts: the kind (AuditEvent.Kind), the name (an e-mail address or a command), user id and address."""

    kind: str
    name: str
    user_id: int | None = None
    address: str | None = None


SERVICE: Final = Actor(AuditEvent.Kind.SERVICE, "the service")
_actor: ContextVar[Actor] = ContextVar("actor", default=SERVICE)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Whatever is recorded inside was done by this actor."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def actor() -> Actor:
    """Who acts at the moment."""
    return _actor.get()


def record(
    action: str,
    *,
    customer: Customer | int | None,
    target: object = "",
    target_id: int | None = None,
    **details: object,
) -> None:
    """Note one act; `details` are told as text. Call it in the transaction of the change, so that both or none stay."""
    who = _actor.get()
    AuditEvent.objects.create(
        customer_id=customer.pk if isinstance(customer, Customer) else customer,
        actor_kind=who.kind,
        actor_id=who.user_id,
        actor=who.name[:254],
        address=who.address,
        action=action,
        target=str(target)[:300],
        target_id=target_id,
        details={
            name: value if isinstance(value, bool | int | None) else str(value) for name, value in details.items()
        },
    )
