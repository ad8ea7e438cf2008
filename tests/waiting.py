"""Waiting for something in the tests."""

import time
from collections.abc import Callable
from typing import Any, Final

# Seconds for whatever has to happen and of which nobody has promised when: a new machine compiles each module that it
# imports, and a busy one is slow. It only ends a test that would hang; who waits for a promise names its seconds.
PATIENCE: Final = 150


def wait_for(done: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until `done` gives something true and return that; fails after `seconds`, naming `what`."""
    end = time.monotonic() + seconds
    while True:
        if value := done():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)
