"""How much of what strangers can cause passes: tests, pushes by a server_id, and those of the free test service."""

from typing import Any

import pytest
import redis

from delivery.ingest import limits
from delivery.ingest.limits import Allowance, LimitExceeded, Limits
from delivery.log import rows
from tenants.directory.snapshot import Limit
from tests.delivery.ingest.limiting import (
    HASH_KEY,
    SLOW,
    WIPE,
    admit,
    admitted,
    exceeded,
    flood,
    identity,
    listed,
    settled,
    stranger,
)


async def test_tests_that_anybody_can_cause_use_up_nothing_but_their_own_limit(process: Limits) -> None:
    who = identity(server=SLOW)
    passed, refusal = await flood(process, who, 300, type="test")
    assert limits.TESTS.burst <= passed < 300
    assert refusal.startswith("test pushes of this server may send 5 pushes a second and 200 at once")
    assert (await flood(process, who, 20))[0] == 20


async def test_messages_do_not_use_up_the_tests(process: Limits) -> None:
    who = identity(server=SLOW)
    await flood(process, who, 120)
    assert isinstance(admit(process, who, type="test"), Allowance)


@pytest.mark.parametrize("members", [{}, {"type": "test"}, WIPE], ids=["message", "test", "wipe"])
async def test_whoever_knows_a_server_id_cannot_use_up_what_comes_with_a_key(
    process: Limits, members: dict[str, Any]
) -> None:
    ceiling = Limit(1, 50, 10)
    known, keyed = listed(server=ceiling, customer=ceiling), identity(server=ceiling, customer=ceiling)
    refused = 0
    for _ in range(3_000):
        result = admit(process, known, **members)
        refused += isinstance(result, LimitExceeded)
        if isinstance(result, Allowance) and not members:  # tests are to end at their rate, not at the ceiling
            result.acquire()
        await settled(process)
    assert refused
    for each in ({}, {"type": "test"}, WIPE):
        assert isinstance(admit(process, keyed, **each), Allowance)
        await settled(process)


async def test_strangers_are_limited_by_their_network(process: Limits) -> None:
    passed = refused = 0
    for number in range(100):
        over = exceeded(process, stranger(), source="203.0.113.0/24", device_id=str(number))
        passed += not over
        refused += bool(over)
        await settled(process)
    assert 60 <= passed < 100
    reason = exceeded(process, stranger(), source="203.0.113.0/24", device_id="x")
    assert reason.startswith("the free test service from your network may send 2 pushes a second and 60 at once")
    assert isinstance(admit(process, stranger(), source="198.51.100.0/24", device_id="x"), Allowance)


@pytest.mark.parametrize("kind", ["message", "session", "test"])
async def test_strangers_cannot_flood_one_phone_from_many_networks_whatever_the_type(
    process: Limits, kind: str
) -> None:
    reasons: list[str] = []
    for number in range(60):
        reasons.append(exceeded(process, stranger(), source=f"n{number}", type=kind))
        await settled(process)
    # Not the last of them alone: on a slow machine a second may have passed, which lets in one more.
    expected = "the free test service to one phone may send 1 pushes a second and 20 at once"
    assert any(reason.startswith(expected) for reason in reasons)


async def test_all_strangers_together_have_the_test_services_limit(process: Limits) -> None:
    who, reasons = stranger(server=SLOW, customer=SLOW), []
    for number in range(80):
        reasons.append(exceeded(process, who, source=f"n{number}", device_id=str(number)))
        await settled(process)
    expected = "the free test service may send 1 pushes a second and 50 at once"
    assert any(reason.startswith(expected) for reason in reasons)


async def test_no_device_token_stands_in_valkey(process: Limits, valkey_url: str) -> None:
    admitted(process, stranger(), source="n", device_id="a-very-long-device-token")
    await settled(process)
    store = redis.Redis.from_url(valkey_url, decode_responses=True)
    assert f"limit:device:{rows.fingerprint('a-very-long-device-token', HASH_KEY)}" in store.keys()  # noqa: SIM118
    assert not [key for key in store.keys() if "long" in key]  # noqa: SIM118


async def test_many_strangers_do_not_fill_the_memory_and_keep_no_customer_out(
    process: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST", 50)
    reason = ""
    for number in range(100):
        reason = exceeded(process, stranger(), source=f"n{number}", device_id=str(number))
    assert reason == "more callers at once than the free test service is made for"
    assert len(process._buckets) <= 50 + 2
    assert isinstance(admit(process, identity(server=SLOW)), Allowance)
