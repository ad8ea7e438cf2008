"""Pages are made a few at a time, and whoever waits has a place and a deadline."""

import asyncio

from hpns.web.page_limit import Gate


async def test_only_so_many_are_let_in_and_the_next_one_when_somebody_leaves() -> None:
    gate = Gate(1, 1, 60)
    assert await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.leave()
    assert await waiting


async def test_whoever_finds_no_place_to_wait_is_refused_at_once() -> None:
    gate = Gate(1, 1, 60)
    assert await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    assert not await gate.enter()
    gate.leave()
    assert await waiting


async def test_whoever_waits_too_long_is_refused_and_leaves_the_place_to_others() -> None:
    gate = Gate(1, 1, 0.01)
    assert await gate.enter()
    assert not await gate.enter()
    assert not await gate.enter()
    gate.leave()
    assert await gate.enter()
