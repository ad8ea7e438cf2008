"""Answers that are not read to their end, or do not come to it."""

from typing import Any

import pytest

from tests.hpns.web.doors import push, running, until

GET = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_an_idle_connection_whose_last_answer_is_not_read_yet_has_its_place_until_then() -> None:
    async with running() as door:
        size = 64_000_000  # more than the kernel takes for a reader that reads nothing

        async def large(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * size})

        door.pages = large  # type: ignore[method-assign]
        read, quiet = await door.connect(), await door.connect()
        read.writer.transport.pause_reading()  # type: ignore[attr-defined]
        read.send(GET)
        quiet.send(push())
        await quiet.answer()
        await until(lambda: len(door.server.idle.since) == 2)
        door.server.close_idle()
        assert door.server.table.count == 1
        read.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len((await read.answer())[2]) == size
        await until(lambda: door.server.table.count == 0)


async def test_an_answer_that_breaks_off_costs_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as door:

        async def breaking(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise ConnectionError("the reader was too slow")

        door.pages = breaking  # type: ignore[method-assign]
        await door.ask(GET)
        assert "an answer broke off: the reader was too slow" in caplog.text
        assert "Traceback" not in caplog.text
