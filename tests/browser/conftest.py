"""A browser, and a server of the gallery in this process: its pages need no store."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connections
from django.http import HttpRequest, HttpResponse
from playwright.sync_api import Browser, Page

from tests.required_programs import running_chromium

NewPage = Callable[..., Page]
# The running browser, and what ends it.
_OPEN: list[tuple[Browser, ExitStack]] = []


class GalleryHandler(WSGIHandler):
    """Django as it is, with the gallery's addresses besides."""

    def get_response(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        request.urlconf = "tests.browser.gallery"
        return super().get_response(request)


class Quiet(WSGIRequestHandler):
    """No line for each request."""

    def log_message(self, *_args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="session")
def gallery() -> Iterator[str]:
    """The address of the gallery."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(GalleryHandler())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Browser:
    """One browser for all files of this folder that a process runs one after the other, and no longer.

    While it runs, playwright's loop runs in this thread. Django would take that loop for a reason not to ask the
    database; the loop waits while a test does.
    """
    if not _OPEN:
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
            started = stack.enter_context(running_chromium())
            # Django keeps a connection for each loop; nobody could reach this one any more.
            stack.callback(connections.close_all)
            _OPEN.append((started, stack.pop_all()))
    return _OPEN[0][0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """Close the browser after the last test of this folder: others start loops of their own in this thread."""
    yield
    if _OPEN and (nextitem is None or Path(__file__).parent not in nextitem.path.parents):
        _OPEN.pop()[1].close()


@pytest.fixture
def new_page(browser: Browser, gallery: str) -> Iterator[NewPage]:
    """Makes a page in a context of its own, of these options; a fault of its script or policy fails the test."""
    contexts, faults = [], []

    def make(**options: Any) -> Page:
        context = browser.new_context(base_url=gallery, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        return page

    yield make
    for context in contexts:
        context.close()
    # What the browser, or htmx, says of a status is no fault of the page.
    told = ("the server responded with a status", "Response Status Error Code")
    assert [fault for fault in faults if not any(each in fault for each in told)] == []
