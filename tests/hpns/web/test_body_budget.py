"""How many bytes of unfinished bodies one key, one address and all together may hold."""

import asyncio
from typing import Any

from hpns.web.body_budget import SMALL, BodyBudget, Reservation
from tests.hpns.web.doors import LIMIT, OK, Door, push, running, until


class Body:
    """One that is being read."""

    def __init__(self, budget: BodyBudget, size: int, key: int = 1, address: str = "a") -> None:
        self.waits_for_room = False
        self.budget = budget
        self.reservation = budget.reserve(self, size, key=key, address=address)

    def on_reserved(self, reservation: Reservation) -> None:
        self.reservation = reservation

    def end(self) -> None:
        self.waits_for_room = False
        if self.reservation is not None:
            self.budget.release(self.reservation)
            self.reservation = None


def test_a_key_has_its_share_and_who_waits_for_it_comes_in_turn() -> None:
    budget = BodyBudget(100_000, 30_000, 100_000)
    first, second, third = [Body(budget, 20_000, address=str(number)) for number in range(3)]
    other = Body(budget, 20_000, key=2)
    assert [each.reservation is not None for each in (first, second, third, other)] == [True, False, False, True]
    first.end()
    assert [each.reservation is not None for each in (second, third)] == [True, False]
    second.end()
    assert third.reservation is not None


def test_an_address_has_its_share_without_a_key_too() -> None:
    budget = BodyBudget(100_000, 30_000, 30_000)
    bodies = [Body(budget, 20_000, key=0), Body(budget, 20_000, key=0), Body(budget, 20_000, key=0, address="b")]
    assert [each.reservation is not None for each in bodies] == [True, False, True]


def test_all_together_have_a_bound_and_small_bodies_never_wait() -> None:
    budget = BodyBudget(50_000, 30_000, 30_000)
    bodies = [Body(budget, 20_000, key=number, address=str(number)) for number in range(4)]
    assert [each.reservation is not None for each in bodies] == [True, True, False, False]
    assert Body(budget, SMALL, key=9, address="9").reservation is not None
    bodies[0].end()
    assert bodies[2].reservation is not None


def test_who_waits_no_longer_is_passed_over_and_all_is_forgotten_in_the_end() -> None:
    budget = BodyBudget(50_000, 30_000, 30_000)
    bodies = [Body(budget, 20_000) for _ in range(3)]
    bodies[1].end()
    bodies[0].end()
    assert bodies[2].reservation is not None
    bodies[2].end()
    assert (budget.total.held, budget._shares) == (0, {})


def test_one_that_waits_for_its_key_and_then_for_the_whole_gets_both() -> None:
    budget = BodyBudget(45_000, 30_000, 100_000)
    first, second = Body(budget, 20_000), Body(budget, 20_000)
    other, third = Body(budget, 20_000, key=2), Body(budget, 20_000, key=3)
    assert [each.reservation is not None for each in (second, other, third)] == [False, True, False]
    first.end()
    assert [each.reservation is not None for each in (second, third)] == [True, False]
    other.end()
    assert third.reservation is not None


async def fill(door: Door, key: str, count: int) -> list[Any]:
    """So many callers of a key who have sent all but the end of a large body."""
    callers = [await door.connect() for _ in range(count)]
    for caller in callers:
        caller.send(push(b"x" * 40_000, key=key, length=LIMIT - 1_000))
    return callers


async def test_a_key_that_sends_large_bodies_slowly_is_read_from_no_more_and_others_are() -> None:
    async with running() as door:
        door.server.budget = BodyBudget(3 * LIMIT, 2 * LIMIT, 100 * LIMIT)
        slow = await fill(door, "1", 12)
        await until(lambda: len(door.server.body.since) == 12)
        assert door.server.budget.total.held <= 2 * LIMIT
        for body in (b"small", b"x" * (SMALL - 1)):
            other = await door.connect()
            other.send(push(body, key="2")[:-1])
            await asyncio.sleep(0.02)
            other.send(body[-1:])
            assert (await other.answer())[2] == OK
        for caller in slow:  # all of them come in their turn
            caller.send(b"x" * (LIMIT - 41_000))
        for caller in slow:
            assert (await caller.answer())[2] == OK
        assert sorted(len(body) for body, _, _ in door.endpoint.requests)[2:] == [LIMIT - 1_000] * 12
        assert (door.server.budget.total.held, door.server.budget._shares) == (0, {})


async def test_whoever_finds_no_room_in_time_is_told_so() -> None:
    async with running() as door:
        door.server.budget = BodyBudget(LIMIT, LIMIT, LIMIT)
        callers = await fill(door, "1", 2)
        await until(lambda: len(door.server.body.since) == 2)
        door.server.body.expire(door.server.now() + 6)
        for caller in callers:
            assert (await caller.answer())[2] == OK
            assert await caller.is_closed()
        assert [reason for _, _, reason in door.endpoint.requests] == ["its body did not arrive within 5 s"] * 2
        assert (door.server.budget.total.held, door.server.budget._shares) == (0, {})
