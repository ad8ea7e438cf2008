"""What is thrown away is read at a pace that costs nobody else anything."""

import asyncio
import time

from hpns.web import discard_pace
from tests.hpns.web.doors import LIMIT, OK, push, running


async def test_refused_senders_are_read_from_slowly_and_each_gets_the_answer_and_its_turn() -> None:
    async with running() as door:
        refused, callers = push(b"x" * LIMIT, key="unknown"), [await door.connect() for _ in range(60)]
        for caller in callers:
            caller.send(refused)
        since, counts = time.monotonic(), []
        for caller in callers:
            assert b"unknown_key" in (await caller.answer())[2]
        for caller in callers:
            caller.send(push())
            assert (await caller.answer())[2] == OK
            counts.append(time.monotonic() - since)
        whole = (60 * (LIMIT - 16 * 1024) - discard_pace.BURST) / discard_pace.RATE
        assert counts[-1] >= whole - discard_pace.TICK
        assert not door.server.discards._waiting


async def test_who_sends_what_is_wanted_does_not_wait_for_that() -> None:
    async with running() as door:
        door.server.discards._left = -100.0 * discard_pace.RATE
        door.server.discards._spent_at = door.server.now()
        refused = await door.connect()
        refused.send(push(b"x" * (LIMIT - 1), key="unknown", length=LIMIT))
        await refused.answer()
        await asyncio.sleep(0.01)
        caller = await door.connect()
        caller.send(push(b"x" * (LIMIT - 1)))
        assert (await caller.answer())[2] == OK
