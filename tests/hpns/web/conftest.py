"""What the tests of the front door in this process share: the loop that it serves on."""

import asyncio
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The web process's own kind of loop."""
    return {"uvloop": uvloop.new_event_loop}
