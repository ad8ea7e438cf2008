"""A push that would ring or show twice is sent by nobody but the first who has begun it, whoever else is handed it."""

import asyncio

import pytest
import redis

from delivery.http2.engine import Engine
from delivery.queue import due_list, valkey
from delivery.worker import attempts, begun_marks, breaker
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.links import until
from tests.delivery.worker.delivering import Pushes

MARK = "begun:trace"


@pytest.fixture
async def pushes(rough: RoughServer, plain: Engine, link: valkey.Link, store: redis.Redis) -> Pushes:
    """Pushes to a server in Apple's place. Each has the same trace: one is the other, in other hands."""
    rough.disown_every, rough.goaway = 0, (0, b"")
    return Pushes(plain, rough.origin, link, store)


async def test_a_call_that_others_have_begun_is_not_sent_and_ends_with_the_reason(
    pushes: Pushes, rough: RoughServer
) -> None:
    await pushes.push("ok_rings", transport="voip")
    assert await pushes.push("ok_rings", transport="voip") == ()
    assert rough.complete["ok_rings"] == 1
    assert pushes.told()[0] == "OK"
    assert pushes.told()[1].startswith("interrupted what had begun to send the push ended before the provider's answer")


async def test_a_message_takes_its_own_place_and_needs_no_mark(
    pushes: Pushes, rough: RoughServer, store: redis.Redis
) -> None:
    for _ in range(2):
        await pushes.push("ok_shows", post_id="p1")
    assert rough.complete["ok_shows"] == 2
    assert not store.exists(MARK)


async def test_a_message_that_nothing_names_is_not_sent_by_two_either(pushes: Pushes, rough: RoughServer) -> None:
    for _ in range(2):
        await pushes.push("ok_nameless", ack_id="")
    assert rough.complete["ok_nameless"] == 1


async def test_the_mark_lapses_by_itself(pushes: Pushes, store: redis.Redis) -> None:
    await pushes.push("ok_lapses", transport="voip")
    assert 0 < store.ttl(MARK) <= begun_marks.KEPT


async def test_whoever_has_begun_it_may_send_it_again_where_the_provider_has_not_taken_it(
    pushes: Pushes, rough: RoughServer
) -> None:
    rough.disown_every, rough.came = 2, 1
    assert [one.status for one in await pushes.push("ok_disowned", transport="voip")] == [0, 200]
    assert pushes.told() == ["OK"]


async def test_what_comes_to_the_due_list_unsent_after_its_tries_may_be_begun_by_anybody(
    plain: Engine, link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushes = Pushes(plain, "https://localhost:1", link, store)
    monkeypatch.setattr(attempts, "LATE_WINDOW", 0.5)
    monkeypatch.setattr(pushes._deliverer, "_attempt_deadline", 0.5)
    ending = asyncio.ensure_future(pushes.push("ok_tried", transport="voip"))
    await until(lambda: store.exists(MARK) == 1)
    await until(lambda: store.zcard(due_list.DUE) == 1)
    assert not store.exists(MARK)
    await ending


async def test_what_goes_to_the_due_list_unsent_may_be_begun_by_anybody(
    pushes: Pushes, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FEWEST", 2)
    for number in range(2):
        await pushes.push(f"break_{number}", type="test")
    await pushes.push("ok_later", transport="voip")
    await until(lambda: store.zcard(due_list.DUE) == 1)
    assert not store.exists(MARK)


async def test_without_valkeys_word_it_is_sent_all_the_same(
    pushes: Pushes, rough: RoughServer, link: valkey.Link, store: redis.Redis
) -> None:
    store.execute_command("CLIENT", "PAUSE", "1200", "WRITE")
    (attempt,) = await pushes.push("ok_silent", transport="voip")
    assert attempt.status == 200
    await pushes.push("ok_warm", post_id="p1")
    store.delete(MARK)
    work = asyncio.ensure_future(pushes.push("ok_away", transport="voip"))
    link.abort()
    (attempt,) = await work
    assert attempt.status == 200
    assert (rough.complete["ok_silent"], rough.complete["ok_away"]) == (1, 1)
