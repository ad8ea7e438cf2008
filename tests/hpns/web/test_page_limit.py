"""Pages are made a few at a time, and whoever waits has a place and a deadline."""

import asyncio

from hpns.web.page_limit import ConcurrencyLimit


async def test_only_so_many_are_let_in_and_the_next_one_when_somebody_leaves() -> None:
    limit = ConcurrencyLimit(1, 1, 60)
    assert await limit.acquire()
    waiting = asyncio.create_task(limit.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    limit.release()
    assert await waiting


async def test_whoever_finds_no_place_to_wait_is_refused_at_once() -> None:
    limit = ConcurrencyLimit(1, 1, 60)
    assert await limit.acquire()
    waiting = asyncio.create_task(limit.acquire())
    await asyncio.sleep(0)
    assert not await limit.acquire()
    limit.release()
    assert await waiting


async def test_whoever_waits_too_long_is_refused_and_leaves_the_place_to_others() -> None:
    limit = ConcurrencyLimit(1, 1, 0.01)
    assert await limit.acquire()
    assert not await limit.acquire()
    assert not await limit.acquire()
    limit.release()
    assert await limit.acquire()
