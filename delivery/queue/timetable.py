"""When a worker last took something of the timetable, in Valkey: what stands still without it is said by this age.

Key: timetable:at (unix seconds by Valkey's clock). It is there from the first worker's start on, so that a timetable
that was never started is noticed, too.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

AT: Final = "timetable:at"
# Seconds after which it stands still: its shortest interval is a minute, and a worker may be replaced meanwhile.
STILL: Final = 300
_NOW: Final = "#!lua flags=allow-oom\n"
HEARD: Final = f"{_NOW}return redis.call('SET', KEYS[1], redis.call('TIME')[1])"
BEGUN: Final = f"{_NOW}return redis.call('SET', KEYS[1], redis.call('TIME')[1], 'NX')"
Ask = Callable[..., Awaitable[Any]]
"""Sends a command to Valkey and returns its reply. Raises ConnectionError."""


async def note(ask: Ask, *, heard: bool = True) -> None:
    """Note that something of it has come just now; heard=False: that a worker waits for it, unless it has been heard.

    Raises ConnectionError.
    """
    await ask("EVAL", HEARD if heard else BEGUN, "1", AT)


def age(found: bytes | None, now: float) -> int | None:
    """Seconds since something of it came; None before the first worker's start. `found`: what AT says; by Valkey's
    clock."""
    return None if found is None else max(0, int(now) - int(found))


async def describe(ask: Ask) -> str:
    """Describe for people that it stands still; "" while it does not. Raises ConnectionError."""
    now, _ = await ask("TIME")
    seconds = age(await ask("GET", AT), float(now))
    if seconds is None or seconds < STILL:
        return ""
    return (
        f"the timetable has sent nothing for {seconds // 60} min: the SLA is not sealed, rollups are not merged, no "
        "month is closed, no mail is sent"
    )
