"""A push of our own making, sent the way of every other: through intake, queue and worker to its provider.

It is for the page of test pushes, which runs in the web process: what that process offers here is the outbox that its
own front door uses. Invariant: a test push is a push of its server, within its limits and in its log; but no use of its
key, which would say that the server has been set up.
"""

import asyncio
import secrets
import time
from typing import Final, NamedTuple

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.protocol.wire import Push, encode_push
from tenants.directory.snapshot import Identity

# Seconds to wait for the answer beyond the deadline that it has anyway.
PATIENCE: Final = 3.0
TEXT: Final = "This is a test push. If you can read this, notifications reach this phone."


class Sent(NamedTuple):
    """What the server would have been told, as JSON, and after how many seconds; `ack_id` finds the push in the log."""

    ack_id: str
    answer: bytes
    seconds: float


class NoWayError(Exception):
    """This process has no outbox, or it did not answer."""


_offered: list[tuple[Outbox, asyncio.AbstractEventLoop]] = []


def offer(outbox: Outbox) -> None:
    """The web process's word at its start, on its loop: test pushes may go through this outbox."""
    _offered[:] = [(outbox, asyncio.get_running_loop())]


def push_to(device_id: str, platform: str, server_id: str, sender: str) -> Push:
    """A message to one phone, in the fields that a Mattermost server sends; nobody's server has signed it."""
    return Push(
        ack_id=secrets.token_hex(13),
        platform=platform,
        server_id=server_id,
        device_id=device_id,
        post_id=secrets.token_hex(13),
        channel_id=secrets.token_hex(13),
        channel_name="Test push",
        type="message",
        version="v2",
        sender_name=sender,
        message=f"{sender}: {TEXT}",
        category="CAN_REPLY",
        badge=1,
    )


def send(who: Identity, push: Push, deadline: float) -> Sent:
    """Send a push for this identity and wait for its answer, from any thread but the loop's. Raises NoWayError."""
    if not _offered:
        raise NoWayError("test pushes are sent by the web process, and this is none")
    outbox, loop = _offered[0]

    async def sent() -> bytes:
        return await intake.accept(outbox, who, encode_push(push), noted=False)

    begun = time.monotonic()
    waiting = asyncio.run_coroutine_threadsafe(sent(), loop)
    try:
        answer = waiting.result(deadline + PATIENCE)
    except TimeoutError:
        waiting.cancel()
        raise NoWayError("the test push was not answered in time") from None
    return Sent(push.ack_id, answer, time.monotonic() - begun)
