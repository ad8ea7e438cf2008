"""Turns of a loop that tenants share: what one item breaks stops no other."""

import asyncio

import pytest

from delivery.queue.fair_turns import FairTurns

FLOOD, QUIET = 1, 2


async def _all_taken(turns: FairTurns[str]) -> None:
    async with asyncio.timeout(60):
        while turns._is_taking:
            await asyncio.sleep(0)


async def test_what_one_item_breaks_keeps_no_other_from_its_turn() -> None:
    taken: list[str] = []
    raised: list[BaseException | None] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: raised.append(context.get("exception")))

    def take(item: str) -> None:
        taken.append(item)
        if item == "f1":
            raise ValueError(item)

    turns = FairTurns(take, 2)
    for number in range(5):
        turns.put(FLOOD, f"f{number}", 100)
    await _all_taken(turns)
    assert taken == [f"f{number}" for number in range(5)]
    assert [type(error) for error in raised] == [ValueError]


@pytest.mark.parametrize("flood", [10, 10_000])
async def test_a_quiet_tenant_waits_a_turn_however_much_stands_before_it(flood: int) -> None:
    taken: list[int] = []
    turns: FairTurns[int] = FairTurns(taken.append, 4)
    now = asyncio.get_running_loop().time()
    for tenant in (QUIET, FLOOD):
        assert turns.take_now(tenant, now)
    for _ in range(flood):
        if not turns.take_now(FLOOD, now):
            turns.put(FLOOD, FLOOD, 1_000)
    assert not turns.take_now(QUIET, now)
    turns.put(QUIET, QUIET, 1_000)
    while QUIET not in taken:
        await asyncio.sleep(0)
    assert len(taken) <= 2 * 4
    await _all_taken(turns)
