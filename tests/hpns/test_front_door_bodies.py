"""Bad input at the edge: what the real ingest process answers to bodies that are too large, too slow or cannot be read.

No worker runs here, so a good push is answered OK when its deadline has come. After each test the process must still
serve a good caller (see conftest.py).
"""

import gzip
import json
import socket
import time

import pytest

from hpns.web.pages_proxy import DISCARD_MAX
from tests.hpns.web_server import (
    BODY_DEADLINE,
    BODY_LIMIT,
    PUSH,
    SEND_PUSH,
    Server,
    answer,
    chunked,
    error_of,
    receive,
    request,
)


def test_a_gzip_body_is_unpacked(web: Server) -> None:
    path = f"/t/{web.stores.key}{SEND_PUSH}"
    for name in ("gzip", "GZIP", "x-gzip"):
        assert (
            answer(web.send(request(path, gzip.compress(PUSH, mtime=0), Content_Encoding=name))).read()
            == b'{"status":"OK"}'
        )


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (PUSH, "gzip", "malformed"),
        (gzip.compress(PUSH, mtime=0)[:-20], "gzip", "malformed"),
        (gzip.compress(PUSH, mtime=0) + b"more", "gzip", "malformed"),
        (b"", "gzip", "malformed"),
        (gzip.compress(PUSH, mtime=0), "deflate", "malformed"),
        (gzip.compress(PUSH, mtime=0), "gzip, gzip", "malformed"),
        (gzip.compress(b" " * 50_000_000, mtime=0), "gzip", "too_large"),
        (b"", "", "malformed"),
        (b"{" * 200_000, "", "malformed"),
        (b"\x00\xff\xfe", "", "malformed"),
        (b"[1,2]", "", "malformed"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_body_that_cannot_be_read_is_a_clear_fail(web: Server, body: bytes, encoding: str, code: str) -> None:
    headers = {"Content_Encoding": encoding} if encoding else {}
    text = error_of(web.send(request(f"/t/{web.stores.key}{SEND_PUSH}", body, **headers)))
    assert text.split()[0] == code
    assert "did not arrive" not in text, "it waited for more of the body"


def test_a_chunked_body_is_taken(web: Server) -> None:
    with web.connect() as connection:
        connection.sendall(chunked(f"/t/{web.stores.key}{SEND_PUSH}", PUSH))
        assert receive(connection) == (200, b'{"status":"OK"}')


@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 4 * BODY_LIMIT])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_oversized_body_is_a_clear_fail_and_the_connection_goes_on(web: Server, framing: str, size: int) -> None:
    path = f"/t/{web.stores.key}{SEND_PUSH}"
    body = b" " * size
    with web.connect() as connection:
        connection.sendall(chunked(path, body) if framing == "chunked" else request(path, body, close=False))
        status, text = receive(connection)
        assert (status, json.loads(text)["error"].split()[0]) == (200, "too_large")
        connection.sendall(request(path, PUSH, close=False))
        assert receive(connection) == (200, b'{"status":"OK"}')


def test_the_largest_body_that_is_allowed_is_taken(web: Server) -> None:
    body = PUSH + b" " * (BODY_LIMIT - len(PUSH))
    assert answer(web.send(request(f"/t/{web.stores.key}{SEND_PUSH}", body))).read() == b'{"status":"OK"}'


def test_a_body_without_end_is_cut_off_with_its_connection(web: Server) -> None:
    """Far over the limit nobody reads on: the answer may get lost, the process does not."""
    with web.connect() as connection:
        connection.sendall(request(SEND_PUSH, close=False).replace(b"Content-Length: 0", b"Content-Length: 999999999"))
        with pytest.raises(OSError, match=r"reset|pipe"):
            connection.sendall(b" " * 130_000_000)


def test_a_slow_body_is_a_clear_fail_within_its_time(web: Server) -> None:
    path = f"/t/{web.stores.key}{SEND_PUSH}"
    for start in (request(path, PUSH, close=False)[:-100], chunked(path, PUSH, whole=False)):
        with web.connect() as connection:
            since = time.monotonic()
            connection.sendall(start)
            status, text = receive(connection)
            assert BODY_DEADLINE <= time.monotonic() - since < BODY_DEADLINE + 10
            assert (status, json.loads(text)["error"].split()[0]) == (200, "malformed")
            assert b"did not arrive within 1 s" in text
            assert connection.recv(1) == b""  # what comes late would be taken for the next request


def test_a_body_that_is_cut_off_harms_nobody(web: Server) -> None:
    path = f"/t/{web.stores.key}{SEND_PUSH}"
    for start in (request(path, PUSH, close=False)[:-100], chunked(path, PUSH, whole=False)):
        with web.connect() as connection:
            connection.sendall(start)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(3)
            connection.recv(65536)  # an answer or the end, but no silence
        with web.connect() as connection:
            connection.sendall(start)


def test_a_page_is_served_and_a_form_that_is_too_large_is_not(web: Server) -> None:
    assert answer(web.send(request("/account/login/", method="GET"))).status == 200
    huge = b"a=" + b"b" * (9 * 1024 * 1024)
    with web.connect() as connection:
        connection.sendall(request("/account/login/", close=False).replace(b": 0", f": {len(huge)}".encode()))
        assert receive(connection)[0] == 413
    with web.connect() as connection:
        # Of one that does not say how long it is, so much is read on that its sender gets to know.
        connection.sendall(chunked("/account/login/", huge[:DISCARD_MAX]))
        assert receive(connection)[0] == 413
