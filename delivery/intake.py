"""Before the queue: is this a push, may it be sent, is there anything that forbids it?

A push that is refused here gets its answer and its row at once; all others go to the outbox. What later work adds
before the queue (limits, dead devices, repeats) belongs in `accept`, in this order: cheapest refusal first.
"""

import asyncio

from delivery import wire
from delivery.outbox import Outbox
from tenants.snapshot import Identity

_EMPTY = wire.Push()


def accept(outbox: Outbox, who: Identity, body: bytes) -> "asyncio.Future[bytes]":
    """Judge the body of a request to send_push; the future gives the body of the answer. Never raises for a body."""
    try:
        push, plain = wire.decode_push(body)
    except wire.Malformed as error:
        return outbox.turn_away(who, _EMPTY, len(body), "malformed", detail=str(error))
    # In the order of the reference proxy.
    if not push.server_id:
        return outbox.turn_away(who, push, len(body), "missing_server_id")
    if not push.device_id:
        return outbox.turn_away(who, push, len(body), "missing_device_id")
    if not push.platform:
        return outbox.turn_away(who, push, len(body), "missing_platform")
    return outbox.submit(who, push, plain, len(body))


def too_large(outbox: Outbox, who: Identity, size: int) -> "asyncio.Future[bytes]":
    """Refuse a push whose body is over the limit; `size` in bytes, as far as it was read."""
    return outbox.turn_away(who, _EMPTY, size, "too_large")


def unreadable(outbox: Outbox, who: Identity, why: str) -> "asyncio.Future[bytes]":
    """Refuse a push whose body did not come whole, or not in a form that can be unpacked; `why` in plain words."""
    return outbox.turn_away(who, _EMPTY, 0, "malformed", detail=why)
