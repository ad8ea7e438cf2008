"""Stale connection check: an idle connection is closed by FIN, by RST, or by a TLS alert with no FIN behind it."""

import socket
from collections.abc import Iterator

import pytest

from delivery.http2.stale_connection import is_dropped


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end and theirs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with ours, theirs:
        yield ours, theirs


def record(content_type: int, length: int) -> bytes:
    """A TLS record with nothing sensible in it."""
    return bytes((content_type, 3, 3)) + length.to_bytes(2, "big") + b"x" * length


def test_a_connection_on_which_nothing_happened_is_open(pair: tuple[socket.socket, socket.socket]) -> None:
    assert not is_dropped(pair[0].fileno())


def test_a_connection_that_was_closed_is_not(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].close()
    assert is_dropped(pair[0].fileno())


@pytest.mark.parametrize(
    ("waiting", "closed"),
    [
        (record(23, 26), False),  # a small HTTP/2 frame, such as WINDOW_UPDATE
        (record(23, 19), True),  # a sealed alert
        (record(21, 2), True),  # an alert of TLS 1.2
        (record(23, 26) + record(23, 300) + record(23, 19), True),
        (record(23, 26) + record(23, 300)[:100], False),
        (b"\x17", False),
    ],
)
def test_an_alert_among_what_waits_to_be_read_ends_it(
    pair: tuple[socket.socket, socket.socket], waiting: bytes, closed: bool
) -> None:
    pair[1].sendall(waiting)
    assert is_dropped(pair[0].fileno()) is closed
    assert pair[0].recv(10_000) == waiting, "it was looked at and not read away"
