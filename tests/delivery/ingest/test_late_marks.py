"""Rows of pushes that were answered at their deadline say what their servers were told, whatever came of them."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import redis

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.log.told import TOLD
from delivery.outcomes import judge
from delivery.outcomes.verdict import Answer
from delivery.queue import batch, valkey
from delivery.worker.settlement import BatchProgress, Settler
from tests.delivery.ingest.test_publishing import reconnect
from tests.delivery.links import until
from tests.delivery.web_process import ACME, body, error_of, queued, rows
from tests.waiting import PATIENCE

CALL = {"type": "message", "sub_type": "calls", "transport": "voip"}


@pytest.fixture
async def settler(valkey_url: str) -> AsyncIterator[Settler]:
    """What settles pushes in a worker."""
    link = valkey.Link(valkey_url)
    await link.start()
    yield Settler(link, asyncio.get_running_loop(), b"k" * 32)
    link.close()


def submit(outbox: Outbox, *pushes: dict[str, str]) -> "list[asyncio.Future[bytes]]":
    """Take pushes on as one batch."""
    return [intake.accept(outbox, ACME, body(ack_id=str(n), **push)) for n, push in enumerate(pushes)]


async def settle(settler: Settler, outbox: Outbox, store: redis.Redis, code: str) -> None:
    """End all pushes of the first batch by one of our own codes, as a worker does."""
    work = BatchProgress(f"{outbox.process}:1", await queued(outbox, store), asyncio.get_running_loop().create_future())
    work.ended = [(index, judge.refusal(code), "") for index in sorted(work.open)]
    work.open.clear()
    settler.settle(work)
    async with asyncio.timeout(PATIENCE):
        await work.finished


async def marked(outbox: Outbox, store: redis.Redis, mark: bytes) -> None:
    """Wait until the first batch bears this mark."""
    await until(lambda: (store.get(batch.progress_key(f"{outbox.process}:1")) or b"")[:1] == mark)


async def test_a_push_that_was_told_ok_at_its_deadline_says_so_whatever_came_of_it(
    outbox: Outbox, store: redis.Redis, settler: Settler
) -> None:
    answers = submit(outbox, {"type": "message"}, {"type": "test"})
    told = [await error_of(answer) for answer in answers]
    assert (told[0], told[1][:9]) == ("", "late_test")
    await marked(outbox, store, b"o")
    await settle(settler, outbox, store, "expired")
    found = await rows(store, 2)
    assert [(row["code"], row["answer"]) for row in found] == [("expired", "OK"), ("expired", "FAIL")]


async def test_what_is_settled_in_time_has_no_mark_and_says_its_own_answer(
    outbox: Outbox, store: redis.Redis, settler: Settler
) -> None:
    outbox.responses.deadline = 60
    (answer,) = submit(outbox, {"type": "message"})
    await settle(settler, outbox, store, "no_app")
    await answer
    assert [row["answer"] for row in await rows(store, 1)] == ["FAIL"]
    assert store.get(batch.progress_key(f"{outbox.process}:1")) == b"*"


async def test_a_push_that_was_told_fail_while_the_queue_was_away_says_so_though_it_is_delivered(
    outbox: Outbox, store: redis.Redis, settler: Settler
) -> None:
    outbox.responses.synced = 0
    (answer,) = submit(outbox, {"type": "message"})
    outbox._flush()
    await outbox.link.drain()
    (pending,) = outbox.responses.batches.values()
    pending.published = False  # its confirmation did not come
    assert (await error_of(answer)).startswith("queue_down")
    await reconnect(outbox, store)
    await marked(outbox, store, b"f")
    await settle(settler, outbox, store, "no_app")
    assert [row["answer"] for row in await rows(store, 1)] == ["FAIL"]


async def test_what_was_settled_before_and_told_otherwise_is_handed_over_for_its_row(
    outbox: Outbox, store: redis.Redis
) -> None:
    answers = submit(outbox, {"type": "message"}, {"type": "message"})
    (push, _) = await queued(outbox, store)
    store.setbit(batch.progress_key(f"{outbox.process}:1"), batch.progress_bit(0), 1)
    assert [await error_of(answer) for answer in answers] == ["", ""]
    await until(lambda: store.llen(TOLD) > 0)
    assert [json.loads(entry) for entry in store.lrange(TOLD, 0, -1)] == [[push.trace, round(push.at, 3), "OK"]]


async def test_a_mark_waits_for_a_valkey_that_is_away(outbox: Outbox, store: redis.Redis) -> None:
    (answer,) = submit(outbox, {"type": "message"})
    await queued(outbox, store)
    up = outbox.link.up
    assert up
    outbox.link.up = False
    assert await error_of(answer) == ""
    assert not store.exists(batch.progress_key(f"{outbox.process}:1"))
    outbox.link.up = True
    outbox._on_up()
    await marked(outbox, store, b"o")


@pytest.mark.parametrize("is_taken", [True, False])
async def test_a_call_is_not_told_ok_while_nobody_takes_it(
    outbox: Outbox, store: redis.Redis, *, is_taken: bool
) -> None:
    outbox.responses.is_taken = lambda: is_taken
    call, message = submit(outbox, CALL, {"type": "message"})
    assert (await error_of(call)).partition(" ")[0] == ("" if is_taken else "no_worker")
    assert await error_of(message) == ""
    await marked(outbox, store, b"o" if is_taken else b"s")


async def test_what_expired_by_our_doing_is_ours_and_says_what_it_was_told(
    outbox: Outbox, store: redis.Redis, settler: Settler
) -> None:
    outbox.responses.is_taken = lambda: False
    for answer in submit(outbox, CALL):
        await answer
    await marked(outbox, store, b"s")
    await settle(settler, outbox, store, "expired")
    (row,) = await rows(store, 1)
    assert (row["answer"], row["attribution"], row["counts"]) == (Answer.FAIL.name, "ours", "t")
