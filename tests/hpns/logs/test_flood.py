"""A stranger cannot fill the log."""

import io
import logging

import pytest

from hpns.logs import setup
from hpns.logs.flood import LINES, FloodFilter


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


def logger(name: str, stream: io.StringIO, now: list[float]) -> logging.Logger:
    made = logging.Logger(name)
    handler = logging.StreamHandler(stream)
    handler.addFilter(FloodFilter(lambda: now[0]))
    made.addHandler(handler)
    return made


def test_of_a_flood_of_requests_without_a_token_a_few_lines_are_written_and_then_how_many_there_were(
    written: io.StringIO,
) -> None:
    now = [0.0]
    csrf = logger("django.security.csrf", written, now)
    for _ in range(1000):
        csrf.warning("Forbidden (%s): %s", "CSRF cookie not set.", "/account/login/")
    assert written.getvalue().count("\n") == LINES
    now[0] = 60.0
    csrf.warning("Forbidden (%s): %s", "CSRF cookie not set.", "/account/login/")
    last = written.getvalue().splitlines()[-1]
    assert last.startswith("Forbidden (CSRF cookie not set.): /account/login/")
    assert last.endswith(f"(and {1000 - LINES} lines like this were left out)")
    now[0] = 200.0
    csrf.warning("once")
    assert written.getvalue().splitlines()[-1] == "once"


def test_what_the_service_itself_says_is_never_left_out(written: io.StringIO) -> None:
    own = logger("tenants.directory", written, [0.0])
    for _ in range(100):
        own.warning("x")
    assert written.getvalue().count("\n") == 100


def test_the_service_logs_through_it() -> None:
    before = logging.getLogger().handlers[:]
    try:
        setup.configure({"stream": io.StringIO()})
        (handler,) = logging.getLogger().handlers
        assert any(isinstance(each, FloodFilter) for each in handler.filters)
    finally:
        logging.getLogger().handlers[:] = before
