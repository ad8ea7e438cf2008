"""Pushes of a credential that nobody answers for: parked once, and woken when its pushes are answered again."""

import time

import pytest
import redis

from delivery.http2.engine import Engine
from delivery.protocol import schedule
from delivery.queue import due_list, valkey
from delivery.worker import breaker, parked_pushes
from delivery.worker.batch_progress import BatchProgress
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.links import until
from tests.delivery.worker.delivering import Pushes

LINE = "are tried again later, for localhost does not answer"


class Named(Pushes):
    """Each with a trace of its own, by which the due list tells them apart."""

    def _work(self, token: str, **members: str) -> BatchProgress:
        work = super()._work(token, **members)
        work.items[0].trace = f"trace-{token}"
        return work


@pytest.fixture
async def pushes(rough: RoughServer, plain: Engine, link: valkey.Link, store: redis.Redis) -> Pushes:
    """Pushes to it."""
    return Named(plain, rough.origin, link, store)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A breaker that opens at the second failure and stays so, and no push that comes back soon."""
    monkeypatch.setattr(breaker, "FEWEST", 2)
    monkeypatch.setattr(breaker, "PAUSE", 600.0)
    monkeypatch.setattr(parked_pushes, "NEAR", 0)


async def held(pushes: Pushes, count: int, *, lasting: bool = True, **members: str) -> None:
    """Open the breaker, as after a probe that nobody answered (lasting), and push some more, which are held back."""
    for number in range(2):
        await pushes.push(f"break_{number}", type="test")
    (state,) = pushes._deliverer.breakers.troubled.values()
    assert state.since
    state.pause *= 1 + lasting
    for number in range(count):
        assert await pushes.push(f"ok_{number}", **members) == ()


async def answered(pushes: Pushes) -> None:
    """Push until the breaker has closed."""
    (state,) = pushes._deliverer.breakers.troubled.values()
    state.open_until = 0.0
    for number in range(breaker.PROBES):
        (attempt,) = await pushes.push(f"ok_again_{number}", type="test")
        assert attempt.status == 200
    assert not pushes._deliverer.breakers.troubled


def times(store: redis.Redis) -> list[float]:
    """When each push of the due list is due, in seconds from now."""
    return [due / 1000 - time.time() for _, due in store.zrange(due_list.DUE, 0, -1, withscores=True)]


async def test_it_waits_for_long_and_some_of_each_pause_come_back_soon_after_its_end(
    pushes: Pushes, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked_pushes, "NEAR", 2)
    await held(pushes, 5)
    assert len([each for each in times(store) if each > parked_pushes.PARKED[1]]) == 2, "after the breaker's pause"
    assert len([each for each in times(store) if each <= parked_pushes.PARKED[1]]) == 3


async def test_in_the_first_pause_of_a_breaker_all_come_back_soon(pushes: Pushes, store: redis.Redis) -> None:
    await held(pushes, 5, lasting=False)
    assert len(times(store)) == 5
    assert min(times(store)) > parked_pushes.PARKED[1], "after the breaker's pause, which is longer here"


async def test_many_have_one_line_of_the_log_with_their_number(
    pushes: Pushes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parked_pushes, "SPOKEN_INTERVAL", 600.0)
    caplog.set_level("INFO")
    await held(pushes, 30)
    lines = [each.getMessage() for each in caplog.records if "tried again later" in each.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith("1 pushes with the credential 1 ")
    assert LINE in lines[0]
    (parked,) = pushes._deliverer._parked._parked.values()
    parked.spoken_at = 0.0
    assert await pushes.push("ok_last") == ()
    assert [each.getMessage()[:3] for each in caplog.records if LINE in each.getMessage()] == ["1 p", "30 "]


async def test_they_are_woken_when_pushes_are_answered_again(pushes: Pushes, store: redis.Redis) -> None:
    await held(pushes, 6)
    assert min(times(store)) > 5
    await answered(pushes)
    await until(lambda: max(times(store)) < 5)
    assert len(times(store)) == 6


async def test_one_that_somebody_has_claimed_meanwhile_keeps_its_claim(pushes: Pushes, store: redis.Redis) -> None:
    await held(pushes, 2)
    (first, _), (second, _) = store.zrange(due_list.DUE, 0, -1, withscores=True)
    claim = (time.time() + 15) * 1000 // 1
    store.zadd(due_list.DUE, {first: claim})
    await answered(pushes)
    await until(lambda: store.zscore(due_list.DUE, second) / 1000 - time.time() < 5)
    assert store.zscore(due_list.DUE, first) == claim


async def test_a_call_is_not_parked_for_longer_than_its_own_pauses(pushes: Pushes, store: redis.Redis) -> None:
    await held(pushes, 3, transport="voip")
    assert max(times(store)) <= schedule.CALL.longest


async def test_what_is_remembered_is_bounded_and_forgotten_when_its_time_has_come(
    pushes: Pushes, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked_pushes, "REMEMBERED_MOST", 3)
    await held(pushes, 5)
    parked = pushes._deliverer._parked
    (known,) = parked._parked.values()
    assert len(known.pushes) == parked._remembered == 3
    known.pushes = dict.fromkeys(known.pushes, 1)
    parked._forget_at = 0.0
    assert await pushes.push("ok_more") == ()
    assert len(known.pushes) == parked._remembered == 1
    assert store.zcard(due_list.DUE) == 6, "they are in the list all the same"
