"""Bounded executors: blocking work has threads of its own kind, and past the bound it is rejected at once."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from delivery.executors import BoundedExecutor, ExecutorFullError
from tests.waiting import PATIENCE


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging calls wait for; it opens with the end of the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_call_runs_in_a_thread_of_that_name_and_gives_its_result() -> None:
    executor = BoundedExecutor("the post", threads=1, queued=0)
    assert await executor.run(lambda: threading.current_thread().name) == "the post"
    assert await executor.run(int, "ff", base=16) == 255


async def test_what_a_call_raises_is_raised_to_whoever_awaits_it_and_the_thread_goes_on() -> None:
    executor = BoundedExecutor("the post", threads=1, queued=0)
    for _ in range(3):
        with pytest.raises(ValueError, match="invalid literal"):
            await executor.run(int, "x")
    assert await executor.run(int, "7") == 7


async def test_past_its_bound_a_call_is_rejected_at_once(gate: threading.Event) -> None:
    executor = BoundedExecutor("the post", threads=2, queued=1)
    begun = [executor.submit(gate.wait, PATIENCE) for _ in range(3)]
    with pytest.raises(ExecutorFullError, match="the post"):
        await executor.run(int, "7")
    gate.set()
    assert [one.result(PATIENCE) for one in begun] == [True] * 3
    assert await executor.run(int, "7") == 7


async def test_calls_that_hang_in_one_executor_hold_up_no_other_and_not_the_loop(gate: threading.Event) -> None:
    hanging = BoundedExecutor("the post", threads=1, queued=5)
    waiting = [asyncio.ensure_future(hanging.run(gate.wait, PATIENCE)) for _ in range(6)]
    await asyncio.sleep(0)
    other = BoundedExecutor("the bank", threads=1, queued=0)
    assert await asyncio.wait_for(other.run(int, "7"), PATIENCE) == 7
    assert not any(one.done() for one in waiting)
    gate.set()
    await asyncio.gather(*waiting)


async def test_there_are_never_more_threads_than_it_may_have() -> None:
    executor = BoundedExecutor("the busy post", threads=2, queued=50)
    await asyncio.gather(*(executor.run(int, "7") for _ in range(50)))
    named = [thread for thread in threading.enumerate() if thread.name == "the busy post"]
    assert 1 <= len(named) <= 2


async def test_a_call_that_nobody_waits_for_any_more_is_left_out_and_makes_room(gate: threading.Event) -> None:
    executor = BoundedExecutor("the post", threads=1, queued=1)
    executor.submit(gate.wait, PATIENCE)
    called: list[int] = []
    waiting = asyncio.ensure_future(executor.run(called.append, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()  # only now: else the thread may come to it before the cancellation has
    while True:  # the hanging call's room, and then the cancelled one's
        try:
            await executor.run(called.append, 2)
            break
        except ExecutorFullError:
            await asyncio.sleep(0.01)
    assert called == [2]


def test_a_thread_that_hangs_does_not_keep_the_process_from_ending() -> None:
    code = (
        "import threading; from delivery.executors import BoundedExecutor; begun = threading.Event()\n"
        "BoundedExecutor('x', threads=1, queued=0).submit(lambda: (begun.set(), threading.Event().wait()))\n"
        "begun.wait()"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE, check=False).returncode == 0
