"""Group commit, deadlines and refusals of the outbox, against a real Valkey; the worker's side is played by hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import redis
from pytest_django import Settings

from delivery.ingest.limits import Allowance
from delivery.ingest.outbox import Outbox
from delivery.log.rows import ROWS
from delivery.protocol import mattermost_id, wire
from delivery.queue import batch
from tenants import vault
from tenants.directory.snapshot import Identity
from tests.delivery.links import disconnect, swallow
from tests.delivery.web_process import SAVED
from tests.waiting import PATIENCE

ACME = Identity(key_id=3, server_id=2, customer_id=1, active=True, rejection_code="", digest=b"")


@pytest.fixture
def store(valkey_url: str) -> redis.Redis:
    """The outbox's Valkey, to look at."""
    return redis.Redis.from_url(valkey_url)


@pytest.fixture
async def outbox(valkey_url: str, settings: Settings) -> AsyncIterator[Outbox]:
    """A connected outbox with a short deadline."""
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url
    settings.PUSH_DEADLINE = 0.5
    outbox = Outbox()
    outbox.start()
    while not outbox.ready:
        await asyncio.sleep(0.01)
    outbox.responses.synced = SAVED
    yield outbox
    await outbox.close()


def submit(outbox: Outbox, **members: Any) -> "asyncio.Future[bytes]":
    """Hand in a push of Acme's."""
    push = wire.Push(**{"platform": "apple_rn-v2", "device_id": "d", "server_id": "s", "type": "message", **members})
    plain = msgspec.json.encode(push)
    allowance = outbox.limits.admit(ACME, push)
    assert isinstance(allowance, Allowance)
    return outbox.submit(ACME, push, plain, len(plain), allowance)


async def taken(store: redis.Redis, count: int = 1) -> list[dict[str, Any]]:
    """The messages in the queue, oldest first, once there are `count`."""
    while store.llen("push") < count:
        await asyncio.sleep(0.01)
    return [json.loads(message) for message in reversed(store.lrange("push", 0, -1))]


def opened(store: redis.Redis, message: dict[str, Any]) -> tuple[str, list[batch.Item]]:
    """The id and the items of the batch in a queued message."""
    args, _, _ = json.loads(message["body"])
    sealed = msgspec.json.decode(f'"{args[1]}"', type=bytes) if len(args) > 1 else store.get(f"batch:{args[0]}")
    return args[0], batch.decode_items(vault.queue_cipher("queue").open_bytes(sealed, args[0].encode()))


async def test_pushes_that_wait_together_travel_as_one_task(outbox: Outbox, store: redis.Redis) -> None:
    for number in range(40):
        submit(outbox, ack_id=str(number))
    messages = await taken(store)
    await asyncio.sleep(0.05)
    assert store.llen("push") == 1
    _, items = opened(store, messages[0])
    assert [item.push.ack_id for item in items] == [str(number) for number in range(40)]
    assert {(item.customer, item.server, item.key) for item in items} == {(1, 2, 3)}


async def test_a_lone_push_does_not_wait_for_company(outbox: Outbox, store: redis.Redis) -> None:
    submit(outbox)
    await asyncio.sleep(0)
    assert not outbox._collected


async def test_a_batch_has_a_most(outbox: Outbox, store: redis.Redis) -> None:
    for _ in range(batch.MOST + 1):
        submit(outbox)
    messages = await taken(store, 2)
    assert sorted(len(opened(store, message)[1]) for message in messages) == [1, batch.MOST]


async def test_the_queue_holds_no_text_and_no_token(outbox: Outbox, store: redis.Redis) -> None:
    submit(outbox, message="lunch at twelve", device_id="a-very-long-device-token")
    for number in range(30):
        submit(outbox, message=f"lunch at {number}" * 50)
    await taken(store, 1)
    kept = b"".join(store.dump(key) for key in store.keys())  # noqa: SIM118  a client is no dictionary
    assert b"lunch" not in kept
    assert b"a-very-long" not in kept


async def test_the_answers_of_a_worker_reach_those_who_wait(outbox: Outbox, store: redis.Redis) -> None:
    answers = [submit(outbox) for _ in range(3)]
    (message,) = await taken(store)
    number = int(opened(store, message)[0].partition(":")[2])
    blob = batch.pack_results([(number, 0, 0), (number, 1, 1)], [(number, 2, "no_app: add one")])
    store.rpush(f"reply:{outbox.process}", blob)
    assert await asyncio.gather(*answers) == [
        b'{"status":"OK"}',
        b'{"status":"REMOVE"}',
        b'{"status":"FAIL","error":"no_app: add one"}',
    ]
    assert outbox.responses.waiting == 0
    assert not outbox.responses.batches


async def test_an_answer_that_cannot_be_read_harms_no_other(outbox: Outbox, store: redis.Redis) -> None:
    answer = submit(outbox)
    (message,) = await taken(store)
    number = int(opened(store, message)[0].partition(":")[2])
    store.rpush(f"reply:{outbox.process}", b"\xff\xffnonsense")
    store.rpush(f"reply:{outbox.process}", batch.pack_results([(number, 0, 1)], []))
    assert await answer == b'{"status":"REMOVE"}'


async def test_a_message_still_queued_at_the_deadline_is_ok_and_a_test_is_not(outbox: Outbox) -> None:
    message, test = submit(outbox), submit(outbox, type="test")
    assert await asyncio.wait_for(message, PATIENCE) == b'{"status":"OK"}'
    answered = json.loads(await asyncio.wait_for(test, PATIENCE))
    assert answered["status"] == "FAIL"
    assert answered["error"].startswith("late_test")
    assert outbox.responses.waiting == 0


async def test_more_pushes_than_may_wait_are_refused_at_once_and_have_a_row(outbox: Outbox, store: redis.Redis) -> None:
    outbox.waiting_limit = 2
    answers = [submit(outbox, ack_id=str(number)) for number in range(3)]
    answered = json.loads(await answers[2])
    assert answered["error"].startswith("overloaded")
    await outbox.link.drain()
    (row,) = store.lrange(ROWS, 0, -1)
    assert b"\toverloaded\t" in row


async def test_without_valkey_a_push_is_refused_at_once_and_its_row_follows(outbox: Outbox, store: redis.Redis) -> None:
    disconnect(store)
    while outbox.ready:
        await asyncio.sleep(0)
    answered = json.loads(await submit(outbox, ack_id="while-away"))
    assert answered["error"].startswith("queue_down")
    while not store.llen(ROWS):
        await asyncio.sleep(0.01)
    (row,) = store.lrange(ROWS, 0, -1)
    assert mattermost_id.copy_text("while-away").encode() in row
    assert row.endswith(b"\t1\n")


async def test_a_flood_of_refusals_shares_rows_that_count_each(
    outbox: Outbox, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.ingest.refusals.ROWS_MOST", 3)
    disconnect(store)
    while outbox.ready:
        await asyncio.sleep(0)
    for number in range(10):
        submit(outbox, ack_id=str(number))
    while not store.llen(ROWS):
        await asyncio.sleep(0.01)
    rows = store.lrange(ROWS, 0, -1)
    assert len(rows) == 4
    assert sum(int(row.rstrip().rpartition(b"\t")[2]) for row in rows) == 10


async def test_refusals_whose_rows_go_with_a_process_are_counted_and_said(
    outbox: Outbox, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    disconnect(store)
    while outbox.ready:
        await asyncio.sleep(0)
    for number in range(7):
        submit(outbox, ack_id=str(number))
    outbox.turned_away.close()
    assert "7 refused pushes have no row in the log" in caplog.text


async def test_a_batch_whose_arrival_is_unknown_is_sent_again_only_if_it_did_not_arrive(
    outbox: Outbox, store: redis.Redis
) -> None:
    outbox.responses.deadline = PATIENCE
    arrived = submit(outbox, ack_id="arrived")
    await taken(store)
    # Not yet confirmed, and a second one that never did: as when the connection broke in between.
    (first,) = outbox.responses.batches.values()
    first.published = False
    lost = submit(outbox, ack_id="lost")
    swallow(outbox.link)
    outbox._flush()
    disconnect(store)
    messages = await asyncio.wait_for(taken(store, 2), PATIENCE)
    await asyncio.sleep(0.1)
    assert [opened(store, message)[1][0].push.ack_id for message in messages] == ["arrived", "lost"]
    assert store.llen("push") == 2
    assert not arrived.done()
    assert not lost.done()


async def test_a_batch_that_never_arrived_ends_as_a_row_once_nobody_waits(outbox: Outbox, store: redis.Redis) -> None:
    answer = submit(outbox, ack_id="never")
    swallow(outbox.link)
    outbox._flush()
    outbox.responses.synced = 0
    answered = json.loads(await asyncio.wait_for(answer, PATIENCE))
    assert answered["error"].startswith("queue_down")
    disconnect(store)
    while not store.llen(ROWS):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    (row,) = store.lrange(ROWS, 0, -1)
    assert mattermost_id.copy_text("never").encode() in row
    assert store.llen("push") == 0
