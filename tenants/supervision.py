"""Supervision of background tasks: one that ends is logged, restarted after a back-off, counted, and seen by health.

A task of asyncio that dies of an exception says nothing until somebody asks for its result, and nobody asks a loop that
is meant to run for ever. Whatever runs beside the requests and the batches is started by supervise(), and by nothing
else. Invariants: no task ends unnoticed; a task that fails at once is restarted at most every BACKOFF_MIN seconds;
a cancellation ends it, also when the work has swallowed it.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

logger = logging.getLogger(__name__)

# Seconds before a task that has ended is restarted; doubled each time, and forgotten when it ran for STABLE_SECONDS.
BACKOFF_MIN: Final = 0.5
BACKOFF_MAX: Final = 30.0
STABLE_SECONDS: Final = 10.0


class _Task:
    __slots__ = ("essential", "failed", "problem", "started_at")

    def __init__(self, *, essential: bool) -> None:
        self.essential = essential
        self.failed = False
        self.problem = ""
        self.started_at = 0.0

    def is_failing(self) -> bool:
        """Whether it has failed and has not run for STABLE_SECONDS since."""
        return self.failed and not (self.started_at and time.monotonic() - self.started_at >= STABLE_SECONDS)


_tasks: dict[str, _Task] = {}
_restarts: dict[str, int] = {}


def supervise(
    name: str,
    work: Callable[[], Awaitable[object]],
    *,
    essential: bool = True,
    loop: asyncio.AbstractEventLoop | None = None,
) -> "asyncio.Task[None]":
    """Start `work`, which is meant to run until it is cancelled, and restart it whenever it ends; returns its task.

    name: in plain words, unique in the process, e.g. "the directory's follower"; essential: readiness fails with it.
    Cancel the returned task to end the work.
    """
    return (loop or asyncio.get_running_loop()).create_task(_run(name, work, essential=essential), name=name)


def failing(*, essential: bool) -> list[str]:
    """Return the tasks of this process that have failed and are not stable again, each as "NAME (its error)"."""
    return [
        f"{name} ({task.problem})" for name, task in _tasks.items() if task.essential is essential and task.is_failing()
    ]


def has_restarts() -> bool:
    """Whether a task was restarted since the last call of collect_restarts()."""
    return bool(_restarts)


def collect_restarts() -> dict[str, int]:
    """Return how often each task was restarted since the last call."""
    counts = dict(_restarts)
    _restarts.clear()
    return counts


async def _run(name: str, work: Callable[[], Awaitable[object]], *, essential: bool) -> None:
    current = asyncio.current_task()
    assert current is not None  # noqa: S101  it runs in one
    state = _tasks[name] = _Task(essential=essential)
    backoff = BACKOFF_MIN
    try:
        while not current.cancelling():
            state.started_at = time.monotonic()
            try:
                await work()
            except Exception as error:
                state.problem = type(error).__name__  # not its text, which health would show to everybody
                logger.exception("%s failed, to be restarted", name)
            else:
                if current.cancelling():
                    break
                state.problem = "it ended"
                logger.error("%s has ended by itself, to be restarted", name)
            if time.monotonic() - state.started_at >= STABLE_SECONDS:
                backoff = BACKOFF_MIN
            state.failed, state.started_at = True, 0.0
            _restarts[name] = _restarts.get(name, 0) + 1
            # Spread, so that not all processes come back to what has failed in the same moment.
            await asyncio.sleep(backoff * random.uniform(0.8, 1.2))  # noqa: S311
            backoff = min(backoff * 2, BACKOFF_MAX)
    finally:
        if _tasks.get(name) is state:
            del _tasks[name]
    raise asyncio.CancelledError
