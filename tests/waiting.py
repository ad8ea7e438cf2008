"""Waiting for something in the tests."""

import time
from collections.abc import Callable
from typing import Any


def wait_for(done: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until `done` gives something true and return that; fails after `seconds`, naming `what`."""
    end = time.monotonic() + seconds
    while True:
        if value := done():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)
