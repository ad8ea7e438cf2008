"""One connection of the front door: order, bounds, deadlines, and what its peer gets to read before it is closed."""

import asyncio
from typing import Any

import pytest

from hpns.web import http1
from tests.hpns.web.doors import LIMIT, OK, Caller, push, running, until

GET = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_answers_come_in_the_order_of_requests_whatever_is_quicker() -> None:
    async with running() as door:
        door.endpoint.open.clear()
        caller = await door.connect()
        caller.send(push(b"1") + GET + push(b"2") + GET.replace(b"page", b"last"))
        await until(lambda: door.endpoint.requests)
        assert door.scopes == []
        door.endpoint.open.set()
        assert [(await caller.answer())[2] for _ in range(4)] == [OK, b"/page", OK, b"/last"]


async def test_a_request_that_is_none_is_answered_after_those_before_it() -> None:
    async with running() as door:
        door.endpoint.open.clear()
        caller = await door.connect()
        caller.send(push(b"1") + b"no request\r\n\r\n")
        await until(lambda: door.endpoint.requests)
        door.endpoint.open.set()
        assert (await caller.answer())[2] == OK
        status, headers, _ = await caller.answer()
        assert (status, headers["connection"]) == (400, "close")
        assert await caller.is_closed()


@pytest.mark.parametrize("key", ["good", "unknown"])
@pytest.mark.parametrize("first", ["page", "push"])
async def test_a_push_that_breaks_before_its_turn_is_answered_when_its_turn_comes(first: str, key: str) -> None:
    async with running() as door:
        go_on, pages = asyncio.Event(), door.pages

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await go_on.wait()
            await pages(scope, receive, send)

        door.pages = slow  # type: ignore[method-assign]
        door.endpoint.open.clear()
        caller = await door.connect()
        broken = b"POST /t/%b/push HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n" % key.encode()
        caller.send((GET if first == "page" else push(b"1")) + broken)
        await asyncio.sleep(0.05)
        go_on.set()
        door.endpoint.open.set()
        assert (await caller.answer())[0] == 200
        status, headers, body = await caller.answer()
        assert (status, headers["connection"], b"unknown_key" in body) == (200, "close", key == "unknown")
        assert await caller.is_closed()
        if key == "good":
            assert door.endpoint.requests[-1] == (b"", 0, "its body did not arrive whole")
        await until(lambda: door.server.table.count == 0)


async def test_more_pipelined_requests_than_are_kept_end_the_connection() -> None:
    async with running() as door:
        door.endpoint.open.clear()
        caller = await door.connect()
        caller.send(push(b"1") * (http1.PIPELINED_MAX + 5))
        await until(lambda: door.endpoint.requests)
        door.endpoint.open.set()
        statuses = [(await caller.answer())[0] for _ in range(http1.PIPELINED_MAX + 2)]
        assert statuses == [200] * (http1.PIPELINED_MAX + 1) + [429]
        assert await caller.is_closed()


async def test_who_is_refused_for_the_key_is_answered_before_the_body_has_come() -> None:
    async with running() as door:
        caller = await door.connect()
        caller.send(push(b"x" * 1000, key="unknown", length=50_000))
        status, headers, body = await caller.answer()
        assert (status, "connection" in headers) == (200, False)
        assert b"unknown_key" in body
        # The rest is thrown away, and the connection goes on.
        caller.send(b"x" * 49_000 + push(b"good"))
        assert (await caller.answer())[2] == OK
        assert door.endpoint.requests == [(b"good", 0, "")]


async def test_who_is_refused_and_announces_more_than_is_thrown_away_reads_the_answer_all_the_same() -> None:
    async with running() as door:
        caller = await door.connect()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        caller.send(push(key="unknown", length=http1.DISCARD_MAX + 1))
        for _ in range(5):  # as a sender that reads nothing before it has sent all
            await asyncio.sleep(0.03)
            caller.send(b"x" * 100_000)
        await asyncio.sleep(0.03)
        caller.writer.transport.resume_reading()  # type: ignore[attr-defined]
        status, headers, body = await caller.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert b"unknown_key" in body
        assert await caller.is_closed()


async def test_what_never_ends_is_cut_off() -> None:
    async with running() as door:
        caller = await door.connect()
        caller.send(
            push(key="unknown", length=http1.DISCARD_MAX - 1).replace(
                b"Content-Length", b"Transfer-Encoding: chunked\r\nX"
            )
        )
        caller.send(b"ffffff\r\n")
        await caller.answer()
        caller.send(b"x" * 3 * http1.DISCARD_MAX)
        with pytest.raises(ConnectionError):
            await caller.writer.drain()


async def test_a_body_over_the_limit_is_refused_by_what_its_head_says() -> None:
    async with running() as door:
        caller = await door.connect()
        caller.send(push(length=LIMIT + 1))
        assert (await caller.answer())[0] == 200
        assert door.endpoint.requests == [(b"", LIMIT + 1, "")]


async def test_a_go_ahead_is_given_only_to_whom_the_body_is_wanted_from() -> None:
    async with running() as door:
        expect = b"Expect: 100-continue\r\n"
        caller = await door.connect()
        caller.send(push(extra=expect, length=5))
        assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.send(b"12345")
        assert (await caller.answer())[2] == OK
        refused = await door.connect()
        refused.send(push(key="unknown", extra=expect, length=5))
        status, headers, body = await refused.answer()
        assert (status, headers["connection"], b"unknown_key" in body) == (200, "close", True)
        other = await door.connect()
        other.send(push(extra=b"Expect: the-unexpected\r\n"))
        assert (await other.answer())[0] == 417


async def test_each_wait_for_a_caller_has_its_end() -> None:
    async with running() as door:
        server = door.server
        fresh, slow, idle, late = [await door.connect() for _ in range(4)]
        slow.send(b"GET / HTTP/1.1\r\nX")
        idle.send(push())
        late.send(push(length=9))
        assert (await idle.answer())[2] == OK
        states = (server.first, server.head, server.body, server.idle)
        await until(lambda: [len(state.since) for state in states] == [1, 1, 1, 1])
        now = server.now()
        for state in states:
            state.expire(now + state.seconds - 0.5)
        assert [len(state.since) for state in states] == [1, 1, 1, 1]
        for state in states:
            state.expire(now + state.seconds + 0.5)
        assert await fresh.is_closed()
        assert await idle.is_closed()
        assert (await slow.answer())[0] == 408
        assert (await late.answer())[2] == OK
        assert door.endpoint.requests[-1] == (b"", 0, "its body did not arrive within 5 s")
        assert max(server.first.seconds, server.head.seconds) <= 10
        assert server.idle.seconds > 90  # Go's IdleConnTimeout in a Mattermost server


async def test_every_request_renews_the_time_that_its_connection_may_be_idle() -> None:
    async with running() as door:
        caller, times = await door.connect(), []
        for key in ("unknown", "unknown", "good", "unknown"):
            caller.send(push(key=key))
            assert (await caller.answer())[0] == 200
            await until(lambda: door.server.idle.since)
            times += door.server.idle.since.values()
            await asyncio.sleep(0.01)
        assert sorted(set(times)) == times


async def test_a_trickle_of_bytes_does_not_renew_the_time_for_a_head_or_a_body() -> None:
    async with running() as door:
        head, body = await door.connect(), await door.connect()
        head.send(b"GET / HTTP/1.1\r\nX")
        body.send(push(length=99))
        await until(lambda: door.server.head.since and door.server.body.since)
        before = [*door.server.head.since.values(), *door.server.body.since.values()]
        head.send(b"x")
        body.send(b"x")
        await asyncio.sleep(0.05)
        assert [*door.server.head.since.values(), *door.server.body.since.values()] == before


async def test_blank_lines_between_requests_do_not_keep_a_connection() -> None:
    async with running() as door:
        caller = await door.connect()
        await until(lambda: door.server.first.since)
        (before,) = door.server.first.since.values()
        caller.send(b"\r\n")
        await asyncio.sleep(0.05)
        assert list(door.server.first.since.values()) == [before]
        caller.send(b"\r\n" + push())
        assert (await caller.answer())[2] == OK


async def test_a_request_that_came_whole_is_answered_though_its_sender_sends_no_more() -> None:
    async with running() as door:
        door.endpoint.open.clear()
        caller = await door.connect()
        caller.send(push())
        caller.writer.write_eof()
        await until(lambda: door.endpoint.requests)
        await asyncio.sleep(0.05)
        door.endpoint.open.set()
        assert (await caller.answer())[2] == OK
        assert await caller.is_closed()


async def test_a_push_whose_sender_goes_away_in_the_middle_is_counted_as_broken() -> None:
    async with running() as door:
        caller = await door.connect()
        caller.send(push(length=99))
        await until(lambda: door.server.body.since)
        caller.writer.transport.abort()
        await until(lambda: door.endpoint.requests == [(b"", 0, "its body did not arrive whole")])
        await until(lambda: door.server.table.count == 0)


async def test_a_caller_who_reads_no_answers_is_not_read_from() -> None:
    async with running() as door:

        async def large(scope: Any, receive: Any, send: Any) -> None:
            door.scopes.append(scope)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * 1_000_000})

        door.pages = large  # type: ignore[method-assign]
        caller = await door.connect()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(300):
            caller.send(GET)
            await asyncio.sleep(0.001)
        seen = len(door.scopes)
        await asyncio.sleep(0.1)
        assert len(door.scopes) == seen < 30


async def closing(caller: Caller) -> dict[str, str]:
    return (await caller.answer())[1]


async def test_an_old_client_and_one_that_wants_it_are_told_that_the_connection_ends() -> None:
    async with running() as door:
        for request in (push(extra=b"Connection: close\r\n"), push().replace(b"HTTP/1.1", b"HTTP/1.0")):
            caller = await door.connect()
            caller.send(request + push(b"more"))
            assert (await closing(caller))["connection"] == "close"
            assert await caller.is_closed()
        assert [body for body, _, _ in door.endpoint.requests] == [b"{}", b"{}"]


async def test_a_door_that_drains_answers_all_that_has_come_and_says_so() -> None:
    async with running() as door:
        caller: Caller = await door.connect()
        caller.send(push())
        assert "connection" not in await closing(caller)
        door.server.is_draining = True
        caller.send(push() + push())
        assert "connection" not in await closing(caller)
        assert (await closing(caller))["connection"] == "close"
        assert await caller.is_closed()
