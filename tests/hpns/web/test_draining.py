"""A web process that drains ends by its deadline, whatever goes wrong meanwhile."""

import asyncio
from types import SimpleNamespace

import pytest

from hpns.web import draining
from hpns.web.draining import Drainer


class Door:
    """One that fails when it is first looked at, and has no connection after that."""

    is_draining, looks = False, 0

    @property
    def table(self) -> SimpleNamespace:
        self.looks += 1
        if self.looks == 1:
            raise OSError(24, "Too many open files")
        return SimpleNamespace(count=0)

    def close_idle(self) -> None:
        """None is idle."""


async def test_a_look_at_the_connections_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    drained = asyncio.Event()
    monkeypatch.setattr(draining, "POLL_INTERVAL", 0.01)
    drainer = Drainer.__new__(Drainer)  # without its handlers of signals, which are the test process's
    drainer._loop, drainer._door, drainer._on_drained = asyncio.get_running_loop(), Door(), drained.set  # type: ignore[assignment]
    drainer._deadline = 0.0
    drainer._loop.call_soon(drainer._exit_when_drained)
    async with asyncio.timeout(60):
        await drained.wait()
