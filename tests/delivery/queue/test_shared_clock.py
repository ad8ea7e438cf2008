"""The shared time: Valkey's where our clock differs from it, so that no machine's wrong clock makes pushes old."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from delivery.queue import shared_clock, valkey
from delivery.queue.shared_clock import SharedClock


@contextlib.asynccontextmanager
async def following(clock: SharedClock, link: valkey.Link) -> AsyncIterator[None]:
    """A clock that has just been compared."""
    task = asyncio.create_task(clock.follow(link))
    while not clock.at_valkey():
        await asyncio.sleep(0.005)
    yield
    task.cancel()


@pytest.mark.parametrize("ahead", [7200.0, -7200.0, 5.0])
async def test_a_clock_that_is_wrong_is_corrected_by_valkeys(link: valkey.Link, ahead: float) -> None:
    clock = SharedClock(lambda: time.time() + ahead)
    assert abs(clock.now() - time.time() - ahead) < 1, "nothing is known yet"
    async with following(clock, link):
        assert abs(clock.now() - time.time()) < 1
        assert abs(clock.at_valkey() - time.time()) < 1


async def test_a_clock_that_agrees_with_valkeys_counts_as_it_is(link: valkey.Link) -> None:
    clock = SharedClock(lambda: time.time() + 0.2)
    async with following(clock, link):
        assert clock.now() - time.time() > 0.1


async def test_a_clock_that_is_set_makes_no_push_older_and_is_compared_again_at_once(link: valkey.Link) -> None:
    ahead = [7200.0]
    clock = SharedClock(lambda: time.time() + ahead[0])
    async with following(clock, link):
        for ahead[0] in (0.0, -7200.0, 0.2):
            assert abs(clock.now() - time.time()) < 1, "it goes on by a clock that nobody sets"
            await asyncio.sleep(0.05)
            assert abs(clock.now() - time.time()) < 1
        async with asyncio.timeout(shared_clock.POLL_INTERVAL / 2):
            while clock.now() - time.time() < 0.1:
                await asyncio.sleep(0.005)


async def test_without_valkey_the_clocks_go_on_as_they_did(link: valkey.Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_clock, "POLL_INTERVAL", 0.01)
    clock = SharedClock(lambda: time.time() + 7200)
    async with following(clock, link):
        link.close()
        await asyncio.sleep(0.1)
        assert abs(clock.now() - time.time()) < 1
