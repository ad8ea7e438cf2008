"""Writes the audit log. Every service that changes a row notes here who did it, in the same transaction.

Who acts is a property of the context, not of each call: a request of a page sets it (`acting`), a command names itself,
and whatever sets nothing is the service itself. Invariant: no secret goes into an event; text is cut to its column.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from django.db import connection

from tenants.models import AuditEvent, Customer


class Actor(NamedTuple):
    """The actor of an event: kind (AuditEvent.Kind), name (an e-mail address or a command), user id and address."""

    kind: str
    name: str
    user_id: int | None = None
    address: str | None = None


SERVICE: Final = Actor(AuditEvent.Kind.SERVICE, "the service")
# Not by the model: Django would ask for the new row's id, and somebody who has just failed to log in may see no row.
# When it was is the database's to say: the pages' role has no right to that column.
_INSERT: Final = (
    "INSERT INTO tenants_auditevent (customer_id, actor_kind, actor_id, actor, address, action, target, target_id, "
    "details) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_actor: ContextVar[Actor] = ContextVar("actor", default=SERVICE)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Set the actor of whatever is recorded in the block."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def actor() -> Actor:
    """The current actor."""
    return _actor.get()


def record(
    action: str,
    *,
    customer: Customer | int | None,
    target: object = "",
    target_id: int | None = None,
    **details: object,
) -> None:
    """Record one event; `details` are kept as text. Call it in the transaction of the change: both or none stay."""
    who = _actor.get()
    recorded = {name: value if isinstance(value, bool | int | None) else str(value) for name, value in details.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            (
                customer.pk if isinstance(customer, Customer) else customer,
                who.kind,
                who.user_id,
                who.name[:254],
                who.address,
                action,
                str(target)[:300],
                target_id,
                json.dumps(recorded),
            ),
        )
