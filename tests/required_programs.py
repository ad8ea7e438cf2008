"""Programs that tests want of this machine: without one its tests are skipped, with what to install; in CI they fail.

Invariant: what a program needs besides is looked for before anything of it is started.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from hpns.local import programs
from tests.waiting import PATIENCE


def program(variable: str) -> str:
    """The path of one of `hpns.local.programs`, by its variable.

    Without it the test that asks is skipped (pytest.skip), but fails in CI (pytest.fail).
    """
    found = programs.find()
    if variable not in found:
        leave_out = pytest.fail if os.environ.get("CI") else pytest.skip
        leave_out(programs.complaint(variable))
    return found[variable]


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A Chromium driven by playwright; the only place that starts either.

    The look comes first: playwright's driver is a node that dies of a missing library with words of its own.
    """
    path = program("CHROMIUM")
    # Seconds for what has to be on a page by and by; it only ends a test that would fail (playwright's own are five).
    expect.set_options(timeout=PATIENCE * 1_000)
    with sync_playwright() as playwright:
        # No thread or process draws by a graphics card that is none.
        drawing = ("--disable-gpu", "--disable-software-rasterizer")
        started = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage", *drawing]
        )
        yield started
        started.close()
