"""What a worker has opened of credentials goes when no push has asked for it for long: their customers may be gone."""

import gc

import pytest

from delivery.http2.engine import Engine
from delivery.providers import base
from delivery.providers.apns.sender import ApnsSender
from delivery.providers.fcm.sender import FcmSender
from tests.delivery.providers.trying import FCM_DEVICE, apns_target, attempt, fcm_target, push
from tests.sandbox_fixture import SandboxClient


async def test_credentials_that_are_no_longer_used_are_forgotten_with_their_tokens(
    engine: Engine, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    apns, fcm = ApnsSender(engine), FcmSender(engine, sandbox.origin)
    assert (await attempt(apns, apns_target(sandbox), push())).status == 200
    assert (await attempt(fcm, fcm_target(sandbox), push(FCM_DEVICE, platform="android_rn-v2"))).status == 200
    engine._sweep()
    assert (len(apns._routes), len(apns._tokens._tokens), len(fcm._routes), len(fcm._tokens)) == (1, 1, 1, 1)
    monkeypatch.setattr(base, "FORGET_SECONDS", -1.0)
    engine._sweep()
    gc.collect()
    assert (len(apns._routes), len(apns._tokens._tokens), len(fcm._routes), len(fcm._tokens)) == (0, 0, 0, 0)
    assert (await attempt(apns, apns_target(sandbox), push())).status == 200, "and are opened again"
