"""Ticks: the moments at which periodic work is done, the same for all of it, in all processes of a machine.

A process at rest that does eight things a second, each at a moment of its own, wakes eight times and writes to Valkey
eight times, and so does Valkey. At ticks it does all of them at one waking, and what they ask leaves in one write.
"""

import asyncio
from typing import Final

# Seconds before a tick at which a timer may wake us, for timers are rounded: that tick counts as come.
_EARLY: Final = 0.005


async def tick(seconds: float) -> None:
    """Sleep until the next multiple of `seconds` of the clock that nobody sets: at most for so long."""
    await asyncio.sleep(until_tick(seconds, asyncio.get_running_loop().time()))


def until_tick(seconds: float, now: float) -> float:
    """Seconds from `now` until the next tick."""
    return seconds - (now + _EARLY) % seconds + _EARLY if seconds > _EARLY * 2 else seconds
