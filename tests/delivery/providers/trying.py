"""One push through a sender to the sandbox."""

import asyncio
import time
from typing import Any, Protocol

from delivery.outcomes.verdict import Attempt
from delivery.protocol.wire import Push
from delivery.providers.base import Target, Try
from tests.sandbox_fixture import SandboxClient
from tests.waiting import PATIENCE

DEVICE = "ab" * 32
FCM_DEVICE = "cRs8Yq2wT0e:APA91b" + "x" * 60
PUSH_ID = "6f4c1b6a-8c1c-5e3a-9d9d-0a0b0c0d0e0f"
EXPIRES_AT = 1_900_000_000


class Sender(Protocol):
    """ApnsSender or FcmSender."""

    def send(self, t: Try) -> None:
        """Send it."""


def push(device: str = DEVICE, **members: Any) -> Push:
    """A message to a device."""
    usual = {"platform": "apple_rn-v2", "ack_id": "ack1", "server_id": "s1", "type": "message", "message": "hi"}
    return Push(device_id=device, channel_id="c1", post_id="p1", **{**usual, **members})


def apns_target(sandbox: SandboxClient, *, app_id: int = 1, credential_id: int = 1, **changes: Any) -> Target:
    """The demo app with the demo key."""
    made = sandbox.demo
    secret = {"key_pem": made.apns_key.read_text(), "key_id": made.key_id, "team_id": made.team_id}
    usual: dict[str, Any] = {"topic": "com.mattermost.rn", "origin": sandbox.origin, "kind": "apns_key"}
    given = {**usual, "secret": secret, **changes}
    return Target(app_id=app_id, family="apns", project="", credential_id=credential_id, **given)


def fcm_target(sandbox: SandboxClient, *, app_id: int = 2, credential_id: int = 2, **changes: Any) -> Target:
    """The demo app with the demo service account."""
    account = {"account_json": sandbox.demo.service_account.read_text()}
    usual: dict[str, Any] = {"project": sandbox.demo.project, "origin": sandbox.origin, "secret": account}
    given = {**usual, **changes}
    return Target(
        app_id=app_id, family="fcm", topic="com.mattermost.rn", credential_id=credential_id, kind="fcm_account", **given
    )


async def attempt(sender: Sender, target: Target, one: Push, *, seconds: float = 15.0) -> Attempt:
    """Send it and return what came of it; AssertionError if that takes longer than it may, or comes twice."""
    made_attempts: list[Attempt] = []
    ended = asyncio.Event()

    def done(t: Try, made: Attempt) -> None:
        made_attempts.append(made)
        ended.set()

    began = time.monotonic()
    sender.send(Try(one, target, PUSH_ID, EXPIRES_AT, 2, seconds, done))
    assert made_attempts == [], "told before send returned"
    await asyncio.wait_for(ended.wait(), PATIENCE)
    assert time.monotonic() - began < seconds + 5, "later than it may"
    await asyncio.sleep(0)
    [made] = made_attempts
    return made
