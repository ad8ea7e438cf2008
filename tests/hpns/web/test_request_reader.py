"""Which requests are read, and which are refused for the doubt about where they end."""

import pytest

from hpns.web import http1, request_reader
from tests.hpns.web.doors import OK, push, running


@pytest.mark.parametrize("rest", [b"", push(b"next")])
async def test_the_body_of_a_request_that_offers_another_protocol_is_its_body(rest: bytes) -> None:
    async with running() as door:
        caller = await door.connect()
        caller.send(push(b"body", extra=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n") + rest)
        for expected in [b"body", *([b"next"] if rest else [])]:
            assert (await caller.answer())[2] == OK
            assert (expected, 0, "") in door.endpoint.requests


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * (request_reader.HEAD_MAX + 20_000) + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * (request_reader.LINES_MAX + 1) + b"\r\n", 431),
        (b"GET /" + b"x" * request_reader.HEAD_MAX, 431),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET caf\xc3\xa9 HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc", 400),
        (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 400),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_is_no_request_or_a_doubtful_one_is_refused_and_the_connection_closed(
    request_: bytes, status: int
) -> None:
    async with running() as door:
        data = await door.ask(request_)
        assert data.startswith(b"HTTP/1.1 %d " % status), data
        assert data.count(b"HTTP/1.1 ") == 1
        assert door.bodies == []


@pytest.mark.parametrize("overhead", ["extensions", "trailers", "tiny chunks"])
async def test_what_stands_beside_a_chunked_body_has_a_bound(overhead: str) -> None:
    most = http1.OVERHEAD_MAX + 50_000
    head = b"POST /t/good/push HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = {
        "extensions": b"1;x=" + b"x" * most,
        "trailers": b"1\r\nx\r\n0\r\n" + b"x: y\r\n" * (most // 6),
        "tiny chunks": b"1\r\nx\r\n" * (most // 5),
    }[overhead]
    async with running() as door:
        caller = await door.connect()
        caller.send(head + body)
        assert (await caller.answer())[1]["connection"] == "close"
        assert door.endpoint.requests == [(b"", 0, "its body did not arrive whole")]
