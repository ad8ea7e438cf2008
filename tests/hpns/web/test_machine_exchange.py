"""Requests of machines on a kept connection: each goes to its own target, and waits for its answer without a task."""

import asyncio

from django.http import HttpResponse

from delivery.ingest.lean_request import LeanRequest
from tests.hpns.web.doors import OK, push, running, until

GET = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_requests_of_one_connection_go_each_to_its_own_target() -> None:
    async with running() as door:
        caller = await door.connect()
        for _ in range(2):
            caller.send(push(b"1"))
            assert (await caller.answer())[2] == OK
            caller.send(push(b"2").replace(b"/t/good", b"/t/unknown"))
            assert b"unknown_key" in (await caller.answer())[2]
            caller.send(GET)
            assert (await caller.answer())[2] == b"/page"
        assert [body for body, *_ in door.endpoint.requests] == [b"1", b"1"]


async def test_an_answer_that_comes_by_a_future_is_written_in_its_turn_and_to_who_is_still_there() -> None:
    loop, waited = asyncio.get_running_loop(), []

    def begin(_: LeanRequest) -> "asyncio.Future[bytes]":
        waited.append(loop.create_future())
        return waited[-1]

    async with running() as door:
        door.endpoint.begin = begin  # type: ignore[method-assign, assignment]
        door.endpoint.end = lambda _, answer: HttpResponse(answer.result())  # type: ignore[method-assign]
        caller, gone = await door.connect(), await door.connect()
        caller.send(push(b"1") + GET)
        gone.send(push(b"2"))
        await until(lambda: len(waited) == 2)
        gone.writer.transport.abort()
        for number, future in enumerate(waited):
            future.set_result(b"answer %d" % number)
        found = [(await caller.answer())[2] for _ in range(2)]
    assert found[1] == b"/page"
    assert found[0].startswith(b"answer ")
