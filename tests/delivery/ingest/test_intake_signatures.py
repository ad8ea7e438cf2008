"""Before the queue: a push without a key whose server_id is proven counts by its signature, and by nothing else."""

import json

import msgspec
import pytest
import redis

from delivery.ingest import intake, limits
from delivery.ingest.outbox import Outbox
from delivery.queue.signature_samples import WAITING
from hpns.local.mattermost_site import Installation
from tenants.refusals import UnsignedPush, WrongSignature
from tests.delivery.web_process import LISTED, PUSH, REGISTERED, error_of, keyless, queued
from tests.tenants.push_request import Request

HOME = Installation(diagnostic_id=REGISTERED)
PROVEN = msgspec.structs.replace(LISTED, signers=(HOME.public_key,))


def signed(installation: Installation = HOME, **changes: str) -> bytes:
    return json.dumps({**installation.signed(PUSH), "server_id": REGISTERED, **changes}).encode()


async def test_what_the_server_has_signed_is_taken_on(outbox: Outbox, store: redis.Redis) -> None:
    intake.accept_keyless(outbox, keyless(PROVEN), Request(), signed())
    (item,) = await queued(outbox, store)
    assert (item.customer, item.server, item.key) == (1, 2, 0)


async def test_what_it_has_not_signed_is_nobodys_and_leaves_no_row(outbox: Outbox, store: redis.Redis) -> None:
    there = keyless(PROVEN)
    with pytest.raises(UnsignedPush):
        intake.accept_keyless(outbox, there, Request(), signed(signature=""))
    for forged in (signed(Installation()), signed(ack_id="another"), signed(signature="a.b.c")):
        with pytest.raises(WrongSignature):
            intake.accept_keyless(outbox, there, Request(), forged)
    assert await queued(outbox, store) == []


async def test_a_signature_that_does_not_verify_has_the_site_looked_at(outbox: Outbox, store: redis.Redis) -> None:
    with pytest.raises(WrongSignature):
        intake.accept_keyless(outbox, keyless(PROVEN), Request(), signed(Installation()))
    outbox.key_usage.flush()
    await outbox.link.drain()
    (entry,) = map(json.loads, store.lrange(WAITING, 0, -1))
    assert (entry[0], entry[1], entry[3]) == (0, REGISTERED, "wrong")


async def test_tests_are_taken_unsigned_under_the_limits_of_strangers(outbox: Outbox, store: redis.Redis) -> None:
    there, passed, error = keyless(PROVEN), 0, ""
    for number in range(limits.DEVICE.burst + 20):
        answer = intake.accept_keyless(outbox, there, Request(), signed(type="test", signature="", ack_id=str(number)))
        await outbox.link.drain()
        if answer.done():
            error = error or await error_of(answer)
        else:
            passed += 1
    assert limits.DEVICE.burst <= passed < limits.DEVICE.burst + 20
    assert error.startswith("over_limit")
