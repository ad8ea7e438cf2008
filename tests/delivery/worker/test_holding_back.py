"""Pushes to a provider that gives no answers: they are not sent, and tried later or ended with the reason."""

import time

import pytest
import redis

from delivery.http2.engine import Engine
from delivery.protocol import schedule
from delivery.queue import due_list, valkey
from delivery.worker import breaker
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.links import until
from tests.delivery.worker.delivering import Pushes


@pytest.fixture
async def pushes(rough: RoughServer, plain: Engine, link: valkey.Link, store: redis.Redis) -> Pushes:
    """Pushes to it."""
    return Pushes(plain, rough.origin, link, store)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A breaker that opens at the second failure."""
    monkeypatch.setattr(breaker, "FEWEST", 2)


async def _open(pushes: Pushes) -> None:
    for number in range(2):
        await pushes.push(f"break_{number}", type="test")
    assert list(pushes._deliverer.breakers.open())


async def test_while_it_is_open_a_message_waits_in_the_due_list_and_a_test_fails_with_the_reason(
    pushes: Pushes, rough: RoughServer, store: redis.Redis, quick: None
) -> None:
    await _open(pushes)
    assert await pushes.push("ok_message") == ()
    assert store.zcard(due_list.DUE) == 1
    assert await pushes.push("ok_test", type="test") == ()
    assert pushes.told()[-1].startswith("provider_away localhost did not answer the last pushes with the app's cred")
    assert not rough.complete["ok_message"]
    assert not rough.complete["ok_test"]


async def test_real_pushes_find_out_that_the_provider_answers_again(
    pushes: Pushes, rough: RoughServer, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "PAUSE", 0.05)
    await _open(pushes)
    held = pushes._deliverer.breakers
    (state,) = held.troubled.values()
    state.open_until = 0.0
    for number in range(breaker.PROBES):
        (attempt,) = await pushes.push(f"ok_{number}", type="test")
        assert attempt.status == 200
    await until(lambda: not held.troubled)


async def test_a_call_does_not_wait_for_longer_than_it_is_of_use_for(
    pushes: Pushes, store: redis.Redis, quick: None
) -> None:
    await _open(pushes)
    (state,) = pushes._deliverer.breakers.troubled.values()
    state.open_until += schedule.CALL.lifetime
    assert await pushes.push("ok_call", transport="voip") == ()
    await until(lambda: store.zcard(due_list.DUE) == 1)
    [(_, due)] = store.zrange(due_list.DUE, 0, -1, withscores=True)
    assert due / 1000 - time.time() <= schedule.CALL.longest
