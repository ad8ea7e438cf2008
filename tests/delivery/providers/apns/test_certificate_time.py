"""A certificate that has ended by our clock alone: another machine's is asked before its owner is told to make one."""

import time

import pytest

from delivery.http2.engine import Engine
from delivery.http2.peer_clock import PeerClock
from delivery.providers.apns.sender import ApnsSender
from tests.delivery.providers.trying import apns_target, attempt, push
from tests.sandbox_fixture import SandboxClient

CENTURY = 100 * 365 * 86_400


@pytest.mark.parametrize("another_says", [0.0, 1.0])
async def test_a_certificate_that_has_ended_by_our_clock_alone_is_shown_all_the_same(
    sandbox: SandboxClient, engine: Engine, another_says: float
) -> None:
    engine.clock = PeerClock(lambda: time.time() + CENTURY)
    engine.clock.second_opinion = lambda: another_says * time.time()
    pem = sandbox.add_certificate("com.example.cert").decode()
    certificate, _, key = pem.partition("-----BEGIN PRIVATE")
    secret = {"cert_pem": certificate, "key_pem": "-----BEGIN PRIVATE" + key}
    target = apns_target(sandbox, kind="apns_cert", topic="com.example.cert", secret=secret, credential_id=36)
    made = await attempt(ApnsSender(engine), target, push())
    if another_says:
        assert made.status == 200
    else:
        assert (made.reason, "expired on" in made.detail) == ("credential", True)
