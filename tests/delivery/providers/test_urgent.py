"""Calls where a provider takes no more at once: they go ahead of the messages that wait."""

import pytest

from delivery.http2.engine import Engine
from delivery.providers.apns.sender import ApnsSender
from delivery.providers.base import Target, Try
from delivery.providers.fcm.sender import FcmSender
from tests.delivery.providers.trying import (
    DEVICE,
    EXPIRES_AT,
    FCM_DEVICE,
    PUSH_ID,
    Sender,
    apns_target,
    attempt,
    fcm_target,
    push,
)
from tests.sandbox_fixture import SandboxClient


@pytest.mark.parametrize("provider", ["apns", "fcm"])
async def test_a_call_goes_ahead_of_messages_that_wait_for_a_stream(
    sandbox: SandboxClient, engine: Engine, provider: str
) -> None:
    sender: Sender = ApnsSender(engine) if provider == "apns" else FcmSender(engine, sandbox.origin)
    target: Target = apns_target(sandbox) if provider == "apns" else fcm_target(sandbox)
    device = DEVICE if provider == "apns" else FCM_DEVICE
    assert (await attempt(sender, target, push(device))).status == 200
    [connection] = engine.channel(target.origin, target.credential_id).connections()
    connection.hold(3_600.0)  # as after a provider has asked for calm
    for one in (push(device, message="m0"), push(device, message="m1"), push(device, message="call", sub_type="calls")):
        sender.send(Try(one, target, PUSH_ID, EXPIRES_AT, 2, 60.0, lambda _try, _attempt: None))
    waiting = [stream.tag[0].push.message for stream in connection._pending.take_all()]
    assert waiting == ["call", "m0", "m1"]
