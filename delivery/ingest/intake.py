"""Validation and admission of a push, before the queue.

A push that is turned away here gets its answer and its row at once; all others go to the outbox. What later work adds
before the queue (limits, dead devices, repeats) belongs in `accept`, in this order: the cheapest check first.
"""

import asyncio

from django.conf import settings

from delivery.ingest.limits import LimitExceeded
from delivery.ingest.outbox import Outbox
from delivery.protocol import policy, wire
from tenants.authentication import Keyless
from tenants.directory.snapshot import Identity
from tenants.network import RequestInfo
from tenants.refusals import NoKey

_EMPTY = wire.Push()


def accept(
    outbox: Outbox, who: Identity, body: bytes, source: str = "", *, is_key_use: bool = True
) -> "asyncio.Future[bytes]":
    """Accept the body of a request to send_push; the future gives the body of the answer. Never raises for a body.

    `is_key_use`: it counts as a use of the key; false for what no server has sent.
    """
    try:
        push, plain = wire.decode_push(body)
    except wire.Malformed as error:
        return outbox.turn_away(who, _EMPTY, len(body), "malformed", detail=str(error))
    return _admit(outbox, who, push, plain, len(body), source, is_key_use=is_key_use)


def accept_keyless(outbox: Outbox, keyless: Keyless, request: RequestInfo, body: bytes) -> "asyncio.Future[bytes]":
    """Accept a request without a key: the push's server_id says whose it may be. Raises CallerRejected."""
    try:
        push, plain = wire.decode_push(body)
    except wire.Malformed:
        raise NoKey from None
    who = keyless.identify(push.server_id, request)
    return _admit(outbox, who, push, plain, len(body), keyless.rate_limit_network(request))


def _admit(
    outbox: Outbox, who: Identity, push: wire.Push, plain: bytes, size: int, source: str, *, is_key_use: bool = True
) -> "asyncio.Future[bytes]":
    # In the order of the reference proxy.
    if not push.server_id:
        return outbox.turn_away(who, push, size, "missing_server_id")
    if not push.device_id:
        return outbox.turn_away(who, push, size, "missing_device_id")
    if not push.platform:
        return outbox.turn_away(who, push, size, "missing_platform")
    admitted = outbox.limits.admit(who, push, source)
    if isinstance(admitted, LimitExceeded):
        contact = settings.SUPPORT_CONTACT
        return outbox.turn_away(who, push, size, "over_limit", detail=admitted.reason, contact=contact)
    if who.content != "as_sent":
        push = policy.without_text(push, who.content)
        plain = wire.encode_push(push)
    if is_key_use:
        outbox.key_usage.observe(who.key_id, push.server_id)
    return outbox.submit(who, push, plain, size, admitted)


def too_large(outbox: Outbox, who: Identity, size: int) -> "asyncio.Future[bytes]":
    """Turn away a push whose body is over the limit; `size` in bytes, as far as it was read."""
    return outbox.turn_away(who, _EMPTY, size, "too_large")


def unreadable(outbox: Outbox, who: Identity, why: str) -> "asyncio.Future[bytes]":
    """Turn away a push whose body did not come whole, or not in a form that can be unpacked; `why` in plain words."""
    return outbox.turn_away(who, _EMPTY, 0, "malformed", detail=why)
