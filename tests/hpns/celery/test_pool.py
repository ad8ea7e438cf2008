"""The hub and the pool that put Celery's worker and our coroutines on one loop."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from celery.exceptions import Reject
from kombu.asynchronous import get_event_loop, set_event_loop
from pytest_django import Settings

from delivery.queue import timetable, valkey
from hpns.celery.hub import AsyncioHub, install
from hpns.celery.pool import LoopPool


@pytest.fixture
def hub() -> Iterator[AsyncioHub]:
    """An installed hub."""
    hub = install()
    yield hub
    set_event_loop(None)
    hub.aio.close()
    asyncio.set_event_loop(None)


def turn_until(hub: AsyncioHub, done: Any, seconds: float = 60) -> None:
    """Drive the hub as Celery does until `done()`."""
    turns, end = hub.create_loop(), time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        next(turns)


def test_kombu_finds_the_installed_hub(hub: AsyncioHub) -> None:
    assert get_event_loop() is hub


def test_a_ready_socket_calls_its_reader_until_it_is_removed(hub: AsyncioHub) -> None:
    near, far = socket.socketpair()
    got: list[bytes] = []
    hub.add_reader(near, lambda: got.append(near.recv(10)))
    far.send(b"a")
    turn_until(hub, lambda: got)
    hub.remove_reader(near)
    far.send(b"b")
    turns = hub.create_loop()
    next(turns)
    next(turns)
    assert got == [b"a"]


def test_timers_and_ticks_are_kept(hub: AsyncioHub) -> None:
    fired: list[str] = []
    hub.call_later(0.05, fired.append, "timer")
    hub.on_tick.add(lambda: fired.append("tick"))
    turn_until(hub, lambda: "timer" in fired and "tick" in fired)


def test_call_soon_works_from_another_thread(hub: AsyncioHub) -> None:
    called: list[int] = []
    threading.Timer(0.05, hub.call_soon, (called.append, 1)).start()
    turn_until(hub, lambda: called)


def test_an_error_of_a_reader_ends_the_turn_with_that_error(hub: AsyncioHub) -> None:
    # Celery notices a broken broker connection by this.
    near, far = socket.socketpair()

    def broken() -> None:
        raise ConnectionResetError("the broker is gone")

    hub.add_reader(near, broken)
    far.send(b"a")
    with pytest.raises(ConnectionResetError, match="the broker is gone"):
        turn_until(hub, lambda: False)


class Results:
    """The callback that Celery passes for a task: the results that it was called with."""

    def __init__(self) -> None:
        self.results: list[tuple[bool, Any, float]] = []

    def __call__(self, result: tuple[bool, Any, float]) -> None:
        self.results.append(result)


@pytest.fixture
def pool(hub: AsyncioHub) -> LoopPool:
    """A pool for an app with three tasks."""
    app = Celery("test", set_as_current=False)
    seen: list[Any] = []

    async def coroutine(request: Any, number: int) -> None:
        seen.append("begun")
        await asyncio.sleep(0.05)
        seen.append((request["id"], number))
        if number < 0:
            raise ValueError("less than nothing")

    @app.task(name=f"waits {id(seen)}")  # type: ignore[untyped-decorator]
    def waits(number: int) -> None:
        raise AssertionError("the coroutine runs instead")

    @app.task(name=f"works {id(seen)}")  # type: ignore[untyped-decorator]
    def works(number: int) -> None:
        seen.append((threading.current_thread() is threading.main_thread(), number))

    waits.coroutine = coroutine
    app.tasks["waits"], app.tasks["works"] = waits, works
    pool = LoopPool(10, app=app)
    pool.seen = seen
    return pool


def apply(pool: LoopPool, name: str, number: int) -> Results:
    """Hand a task to the pool as Celery does."""
    ended = Results()
    body = f"[[{number}], {{}}, {{}}]"
    args = (name, "id-1", {"id": "id-1"}, body, "application/json", "utf-8")
    pool.on_apply(None, args, callback=ended)
    return ended


def test_a_task_with_a_coroutine_is_awaited_on_the_loop(hub: AsyncioHub, pool: LoopPool) -> None:
    ended = [apply(pool, "waits", number) for number in range(5)]
    turn_until(hub, lambda: all(one.results for one in ended))
    assert pool.seen[:5] == ["begun"] * 5, "they waited for each other"
    assert sorted(pool.seen[5:]) == [("id-1", number) for number in range(5)]
    assert not any(one.results[0][0] for one in ended)


def test_any_other_task_runs_in_a_thread(hub: AsyncioHub, pool: LoopPool) -> None:
    ended = apply(pool, "works", 7)
    turn_until(hub, lambda: ended.results)
    assert pool.seen == [(False, 7)]


def test_a_second_message_for_a_task_that_is_in_a_thread_is_left_out_at_once(
    hub: AsyncioHub, pool: LoopPool, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()
    pool.app.tasks["works"].run = gate.wait
    first = apply(pool, "works", 60)
    more = [apply(pool, "works", 60) for _ in range(50)]
    turn_until(hub, lambda: all(one.results for one in more))
    assert not first.results
    assert "its next message is left out" in caplog.text
    gate.set()
    turn_until(hub, lambda: first.results)
    assert pool.in_threads == set()


async def _link(url: str) -> valkey.Link:
    link = valkey.shared(url)
    await link.start()
    return link


def test_the_end_of_a_task_of_the_timetable_is_noted_and_not_a_message_that_was_left_out_for_one_that_hangs(
    hub: AsyncioHub, pool: LoopPool, valkey_url: str, store: redis.Redis, settings: Settings
) -> None:
    settings.REDIS_URL = valkey_url
    link = hub.aio.run_until_complete(_link(valkey_url))
    pool.intervals = {"works": 60.0, "waits": 60.0}
    gate = threading.Event()
    pool.app.tasks["works"].run = gate.wait
    hanging, left_out, failing = apply(pool, "works", 60), apply(pool, "works", 60), apply(pool, "waits", -1)
    turn_until(hub, lambda: left_out.results and failing.results)
    assert store.hgetall(timetable.TASKS) == {}
    gate.set()
    turn_until(hub, lambda: hanging.results)
    ended = apply(pool, "waits", 1)
    turn_until(hub, lambda: ended.results)
    assert {task.name for task in timetable.tasks(store.hgetall(timetable.TASKS), store.time()[0])} == {
        "works",
        "waits",
    }
    link.close()


@pytest.mark.parametrize("body", ["[]", "no json", "[[1, 2, 3], {}, {}]", '"abc"'])
def test_a_message_that_does_not_fit_its_task_is_put_aside(hub: AsyncioHub, pool: LoopPool, body: str) -> None:
    ended = Results()
    pool.on_apply(None, ("waits", "id-1", {"id": "id-1"}, body, "application/json", "utf-8"), callback=ended)
    turn_until(hub, lambda: ended.results)
    rejection = ended.results[0][1].exception.exc
    assert (type(rejection), rejection.requeue) == (Reject, False)


def test_an_end_that_celery_cannot_take_is_logged(
    hub: AsyncioHub, pool: LoopPool, caplog: pytest.LogCaptureFixture
) -> None:
    args = ("waits", "id-1", {"id": "id-1"}, "[[1], {}, {}]", "application/json", "utf-8")
    pool.on_apply(None, args, callback=lambda result: 1 / 0)
    turn_until(hub, lambda: not pool.running)
    assert "the end of a task could not be reported" in caplog.text


def test_a_task_that_fails_is_reported_to_celery_and_harms_no_other(hub: AsyncioHub, pool: LoopPool) -> None:
    bad, good = apply(pool, "waits", -1), apply(pool, "waits", 1)
    turn_until(hub, lambda: bad.results and good.results)
    assert bad.results[0][0] is True
    assert "less than nothing" in str(bad.results[0][1].exception)
    assert good.results[0][0] is False


def test_a_warm_shutdown_takes_nothing_more_and_awaits_what_runs(hub: AsyncioHub, pool: LoopPool) -> None:
    stopped: list[int] = []
    hub.on_drain.append(lambda: stopped.append(1))
    ended = apply(pool, "waits", 1)
    pool.close()
    assert stopped == [1]
    assert ended.results
