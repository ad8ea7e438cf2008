"""Ticks come at multiples of their seconds, one after the other, and all periodic work shares them."""

import asyncio

import pytest

from tenants.ticks import tick, until_tick


@pytest.mark.parametrize(
    ("now", "seconds", "left"),
    [(10.0, 1.0, 1.0), (10.25, 1.0, 0.75), (11.5, 2.0, 0.5), (13.0, 5.0, 2.0), (10.998, 1.0, 1.002)],
)
def test_a_tick_comes_at_the_next_multiple(now: float, seconds: float, left: float) -> None:
    assert until_tick(seconds, now) == pytest.approx(left)


def test_a_timer_that_wakes_a_little_early_makes_no_second_tick() -> None:
    for early in (0.0001, 0.001, 0.004):
        assert until_tick(1.0, 7.0 - early) == pytest.approx(1.0 + early)


def test_no_tick_is_further_away_than_its_seconds() -> None:
    for seconds in (0.001, 0.01, 0.25, 1.0, 60.0):
        for step in range(1000):
            assert 0 < until_tick(seconds, 1000 + step / 137) <= seconds + 0.005


async def test_two_that_began_at_different_moments_wake_together() -> None:
    loop, woken = asyncio.get_running_loop(), []

    async def wait() -> None:
        await tick(0.2)
        woken.append(loop.time() // 0.2)

    first = asyncio.create_task(wait())
    await asyncio.sleep(until_tick(0.2, loop.time()) / 2)
    await asyncio.gather(first, wait())
    assert len(woken) == 2
