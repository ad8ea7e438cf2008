"""Validation and admission of a push, before the queue.

A push that is turned away here gets its answer and its row at once; all others go to the outbox. Limits come first,
also for what is then turned away for another reason: a flood of nonsense must cost its sender what a flood of pushes
costs. What later work adds before the queue (repeats) belongs in `_admit`, the cheapest check first.
"""

import asyncio

from django.conf import settings

from delivery.ingest import trimming
from delivery.ingest.limits import BYTES_PER_TOKEN, LimitExceeded, body_cost
from delivery.ingest.outbox import Outbox
from delivery.protocol import policy, wire
from tenants.authentication import Keyless
from tenants.directory.snapshot import Identity
from tenants.network import RequestInfo
from tenants.refusals import NoKey, WrongSignature

_EMPTY = wire.Push()


def accept(
    outbox: Outbox, who: Identity, body: bytes, source: str = "", *, is_key_use: bool = True
) -> "asyncio.Future[bytes]":
    """Accept the body of a request to send_push; the future gives the body of the answer. Never raises for a body.

    `is_key_use`: it counts as a use of the key; false for what no server has sent.
    """
    size = len(body)
    # What is large is expensive to read, so its sender's limit is looked at before.
    if size > BYTES_PER_TOKEN and (exceeded := outbox.limits.exhausted(who, size)) is not None:
        return _over_limit(outbox, who, _EMPTY, size, exceeded)
    try:
        push, plain = wire.decode_push(body)
    except wire.Malformed as error:
        return _no_push(outbox, who, size, "malformed", str(error))
    return _admit(outbox, who, push, plain, size, source, is_key_use=is_key_use)


def accept_keyless(outbox: Outbox, keyless: Keyless, request: RequestInfo, body: bytes) -> "asyncio.Future[bytes]":
    """Accept a request without a key: the push's server_id says whose it may be, and its signature whose it is.

    Raises CallerRejected.
    """
    try:
        push, plain = wire.decode_push(body)
    except wire.Malformed:
        raise NoKey from None
    try:
        who, is_stranger = keyless.identify_sender(push, request)
    except WrongSignature:
        outbox.key_usage.samples.note_wrong(push.server_id)
        raise
    source, size = keyless.rate_limit_network(request), len(body)
    if is_stranger and (exceeded := outbox.limits.admit_stranger(push, source, body_cost(size))) is not None:
        return _over_limit(outbox, who, push, size, exceeded)
    return _admit(outbox, who, push, plain, size, source)


def _admit(
    outbox: Outbox, who: Identity, push: wire.Push, plain: bytes, size: int, source: str, *, is_key_use: bool = True
) -> "asyncio.Future[bytes]":
    limits = outbox.limits
    admitted = limits.admit(who, push, source, 1 if size <= BYTES_PER_TOKEN else body_cost(size))
    if isinstance(admitted, LimitExceeded):
        return _over_limit(outbox, who, push, size, admitted)
    # A lost phone must be wiped whatever has been paid.
    if who.refusal and not policy.is_wipe(push):
        return outbox.turn_away(who, push, size, who.refusal, contact=settings.SUPPORT_CONTACT)
    # In the order of the reference proxy.
    if not push.server_id:
        return outbox.turn_away(who, push, size, "missing_server_id")
    if not push.device_id:
        return outbox.turn_away(who, push, size, "missing_device_id")
    if not push.platform:
        return outbox.turn_away(who, push, size, "missing_platform")
    # A person's own test of a phone asks its provider.
    if is_key_use and (known := outbox.dead.find(who.customer_id, who.server_id, push)) is not None:
        return outbox.remove(who, push, size, known)
    if who.content != "as_sent":
        push = policy.without_text(push, who.content)
        plain = wire.encode_push(push)
    if len(plain) > trimming.SMALL:
        try:
            push = trimming.trim(push)
        except trimming.TooLarge as error:
            return outbox.turn_away(who, push, size, "too_large", detail=str(error))
        plain = wire.encode_push(push)
    if is_key_use:
        outbox.key_usage.observe(who.key_id, push)
    if limits.memory.scarce and not limits.memory.admit(who.customer_id, len(plain)):
        return outbox.turn_away(who, push, size, "queue_full")
    return outbox.submit(who, push, plain, size, admitted)


def too_large(outbox: Outbox, who: Identity, size: int) -> "asyncio.Future[bytes]":
    """Turn away a push whose body is over the limit; `size` in bytes, as far as it was read."""
    most = settings.BODY_LIMIT // 1024
    return _no_push(outbox, who, size, "too_large", f"the request is larger than {most} KB")


def unreadable(outbox: Outbox, who: Identity, why: str) -> "asyncio.Future[bytes]":
    """Turn away a push whose body did not come whole, or not in a form that can be unpacked; `why` in plain words."""
    return _no_push(outbox, who, 0, "malformed", why)


def _no_push(outbox: Outbox, who: Identity, size: int, code: str, detail: str) -> "asyncio.Future[bytes]":
    """Turn away a body of which nothing is known but its size, within the limit of such requests."""
    exceeded = outbox.limits.admit_unreadable(who, size)
    if exceeded is not None:
        return _over_limit(outbox, who, _EMPTY, size, exceeded)
    return outbox.turn_away(who, _EMPTY, size, code, detail=detail)


def _over_limit(
    outbox: Outbox, who: Identity, push: wire.Push, size: int, exceeded: LimitExceeded
) -> "asyncio.Future[bytes]":
    return outbox.turn_away(who, push, size, "over_limit", detail=exceeded.reason, contact=settings.SUPPORT_CONTACT)
