"""A web process that one customer floods: what of it is under way, and how others' pushes go past it; a real Valkey."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import redis
from pytest_django import Settings

from delivery.ingest import fair_intake, outbox
from delivery.ingest.congestion import LEAST
from delivery.ingest.limits import Allowance
from delivery.ingest.outbox import Outbox
from delivery.protocol import wire
from tenants.directory.snapshot import Identity
from tests.delivery.links import until
from tests.delivery.web_process import SAVED, queued

FLOOD = Identity(key_id=3, server_id=2, customer_id=1, active=True, rejection_code="", digest=b"")
QUIET = Identity(key_id=6, server_id=5, customer_id=4, active=True, rejection_code="", digest=b"")


@pytest.fixture
async def congested(valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Outbox]:
    """A connected outbox of a process in which turns of the loop have taken too long, for all that FLOOD pushes."""
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url
    monkeypatch.setattr(fair_intake, "LET_THROUGH", 3_600.0)
    made = Outbox()
    made.start()
    while not made.ready:
        await asyncio.sleep(0.01)
    made.responses.synced = SAVED
    made._fair.take_now(QUIET.customer_id, made.loop.time())
    made._fair.take_now(FLOOD.customer_id, made.loop.time())
    made._fair._shared_until = math.inf
    congestion = made._fair.congestion
    congestion._until = math.inf  # how long turns of this very loop take is not looked at
    congestion.limit, congestion._heavy = LEAST, frozenset({FLOOD.customer_id})
    yield made
    await made.close()


def submit(made: Outbox, who: Identity, name: str) -> "asyncio.Future[bytes]":
    push = wire.Push(platform="apple_rn-v2", device_id="d", server_id="s", type="message", ack_id=name)
    plain = msgspec.json.encode(push)
    allowance = made.limits.admit(who, push)
    assert isinstance(allowance, Allowance)
    return made.submit(who, push, plain, len(plain), allowance)


@pytest.fixture
def store(valkey_url: str) -> redis.Redis:
    return redis.Redis.from_url(valkey_url)


def has_taken(made: Outbox, count: int) -> Callable[[], bool]:
    return lambda: made.responses.waiting - len(made._fair.waiting) == count


async def test_what_a_flood_has_beyond_its_bound_is_in_no_batch_until_half_of_that_is_answered(
    congested: Outbox, store: redis.Redis
) -> None:
    for number in range(200):
        submit(congested, FLOOD, f"f{number}")
    await until(has_taken(congested, LEAST))
    assert [item.push.ack_id for item in await queued(congested, store)] == [f"f{number}" for number in range(LEAST)]
    first = next(iter(congested.responses.batches.values()))
    for index in range(LEAST // 2):
        congested.responses.resolve(first, index, wire.OK_BODY)
    await until(has_taken(congested, LEAST))
    items = await queued(congested, store)
    assert [item.push.ack_id for item in items] == [f"f{number}" for number in range(LEAST + LEAST // 2)]


async def test_a_quiet_customers_push_waits_for_no_company_in_a_process_that_another_floods(
    congested: Outbox, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LINGER", 3_600.0)
    monkeypatch.setattr(outbox, "LINGER_MOST", 3_600.0)
    for number in range(200):
        submit(congested, FLOOD, f"f{number}")
    await until(has_taken(congested, LEAST))
    assert not store.llen("push")
    submit(congested, QUIET, "q")
    await until(lambda: bool(store.llen("push")))
    assert [item.push.ack_id for item in await queued(congested, store)][-1] == "q"
