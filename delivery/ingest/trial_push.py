"""A test push of our own making, sent like every other: through intake, queue and worker to its provider.

It is for the page of test pushes, which runs in the pages process: what that process registers here is an outbox of its
own. Invariant: a test push is a push of its server, within its limits and in its log; but no use of
its key, which would say that the server has been set up.
"""

import asyncio
import secrets
import time
from typing import Final, NamedTuple

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.protocol.wire import Push, encode_push
from tenants import waiting_outside
from tenants.directory.snapshot import Identity

# Seconds to wait for the answer beyond the deadline that it has anyway.
GRACE: Final = 3.0
TEXT: Final = "This is a test push. If you can read this, notifications reach this phone."


class TrialResult(NamedTuple):
    """The answer that the server would have got, as JSON, and after how many seconds; `ack_id` finds it in the log."""

    ack_id: str
    answer: bytes
    seconds: float


class TrialPushError(Exception):
    """A test push could not be sent: this process has no outbox, or it did not answer."""


_registered: list[tuple[Outbox, asyncio.AbstractEventLoop]] = []


def register(outbox: Outbox) -> None:
    """Register this process's outbox for test pushes; to be called on its loop."""
    _registered[:] = [(outbox, asyncio.get_running_loop())]


def make_push(device_id: str, platform: str, server_id: str, sender: str) -> Push:
    """A message to one phone, with the fields that a Mattermost server sends; nobody's server has signed it."""
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


def send(who: Identity, push: Push, deadline: float) -> TrialResult:
    """Send a push for this identity and wait for its answer, from any thread but the loop's. Raises TrialPushError."""
    if not _registered:
        raise TrialPushError("test pushes are sent by the pages process, and this is none")
    outbox, loop = _registered[0]

    async def accepted() -> bytes:
        return await intake.accept(outbox, who, encode_push(push), is_key_use=False)

    started = time.monotonic()
    future = asyncio.run_coroutine_threadsafe(accepted(), loop)
    try:
        with waiting_outside.outside():
            answer = future.result(deadline + GRACE)
    except TimeoutError:
        future.cancel()
        raise TrialPushError("the test push was not answered in time") from None
    return TrialResult(push.ack_id, answer, time.monotonic() - started)
