"""What becomes of batches when the connection breaks, and when Valkey comes back without what it had confirmed."""

import asyncio
import json
import secrets
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from pytest_django import Settings

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.ingest.pending import PendingPush
from delivery.log.rows import ROWS
from delivery.metrics import counting
from delivery.protocol import wire
from delivery.queue import batch
from delivery.worker import settlement
from tests.delivery.links import disconnect, until
from tests.delivery.web_process import ACME, body, error_of
from tests.tenants.relay import Relay
from tests.waiting import PATIENCE


@pytest.fixture
def outbox(outbox: Outbox) -> Outbox:
    """An outbox with all the time in the world, at a Valkey of which nobody knows what it has saved."""
    outbox.responses.deadline = 60
    outbox.responses.synced = 0
    return outbox


def messages(store: redis.Redis) -> list[dict[str, Any]]:
    """What stands in the queue, oldest first."""
    return [json.loads(message) for message in reversed(store.lrange("push", 0, -1))]


def numbers(store: redis.Redis) -> list[int]:
    """The numbers of the batches in the queue, oldest first."""
    return [int(json.loads(message["body"])[0][0].partition(":")[2]) for message in messages(store)]


async def publish(outbox: Outbox, pushes: int = 1) -> "list[asyncio.Future[bytes]]":
    """Publish one batch of new pushes; returns when Valkey has confirmed it."""
    device = secrets.token_hex(8)
    answers = [intake.accept(outbox, ACME, body(ack_id=str(number), device_id=device)) for number in range(pushes)]
    outbox._flush()
    await outbox.link.drain()
    return answers


async def settle(outbox: Outbox, store: redis.Redis, number: int, *indexes: int) -> None:
    """Report pushes of a batch as sent, as a worker does."""
    nobody = [(0, 0, 0)]  # fetched once the one before was taken in
    for results in ([(number, index, 0) for index in indexes], nobody):
        store.rpush(f"reply:{outbox.process}", batch.pack_results(results, []))
        await until(lambda: not store.exists(f"reply:{outbox.process}"))


async def lose(outbox: Outbox, store: redis.Redis, last: int) -> None:
    """Let Valkey forget all batches after this number, break the connection, and wait until it is back."""
    forget(outbox, store, last)
    await reconnect(outbox, store)


def forget(outbox: Outbox, store: redis.Redis, last: int) -> None:
    """Let Valkey forget all batches after this number."""
    for message, number in zip(reversed(store.lrange("push", 0, -1)), numbers(store), strict=True):
        if number > last:
            store.lrem("push", 1, message)
    for position in store.lrange(f"sent:{outbox.process}", 0, -1):
        if int(position) > last:
            store.lrem(f"sent:{outbox.process}", 1, position)


async def reconnect(outbox: Outbox, store: redis.Redis) -> None:
    """Break the connection, and wait until it is back and all that it publishes is confirmed."""
    disconnect(store)
    await until(lambda: not outbox.ready)
    await until(lambda: outbox.ready)
    await outbox.link.drain()


async def test_a_confirmed_batch_that_the_queue_has_lost_is_published_again(outbox: Outbox, store: redis.Redis) -> None:
    answers = await publish(outbox, 3)
    before = messages(store)[0]
    assert not before["properties"]["delivery_info"]["redelivered"]
    await settle(outbox, store, 1, 1)
    await lose(outbox, store, 0)
    (message,) = messages(store)
    # Perhaps a worker had it: whoever has it now looks what of it has ended.
    assert message["properties"]["delivery_info"]["redelivered"] is True
    assert message["body"] == before["body"]
    done = store.get(f"done:{outbox.process}:1")
    assert [settlement.settled_before(done, index) for index in range(3)] == [False, True, False]
    assert store.ttl(f"done:{outbox.process}:1") > 0
    assert store.lrange(f"sent:{outbox.process}", 0, -1) == [b"2"]
    assert store.ttl(f"sent:{outbox.process}") > 0
    assert [answer.done() for answer in answers] == [False, True, False]
    await settle(outbox, store, 1, 0, 2)
    assert [await error_of(answer) for answer in answers] == [""] * 3
    assert (outbox.responses.waiting, outbox.responses.kept_bytes, outbox.responses.batches) == (0, 0, {})


async def test_a_large_batch_comes_back_with_its_payload(outbox: Outbox, store: redis.Redis) -> None:
    await publish(outbox, 60)
    key = f"batch:{outbox.process}:1"
    sealed = store.getdel(key)
    assert sealed is not None, "it travelled inside its task: this test shows nothing"
    await lose(outbox, store, 0)
    assert store.get(key) == sealed
    assert len(messages(store)) == 1


async def test_what_the_queue_still_has_is_not_published_again(outbox: Outbox, store: redis.Redis) -> None:
    for _ in range(3):
        await publish(outbox)
    await lose(outbox, store, 2)
    assert numbers(store) == [1, 2, 3]
    assert [m["properties"]["delivery_info"]["redelivered"] for m in messages(store)] == [False, False, True]
    await lose(outbox, store, 4)
    assert numbers(store) == [1, 2, 3]


async def test_a_batch_that_was_refused_unheard_is_published_again_though_later_ones_were_taken(
    outbox: Outbox, store: redis.Redis
) -> None:
    for _ in range(3):
        await publish(outbox)
    # As if Valkey had refused the second, for want of memory, and the connection had broken before it said so.
    store.lrem("push", 1, store.lindex("push", 1))
    store.lrem(f"sent:{outbox.process}", 1, 2)
    outbox.responses.batches[2].published = False
    await reconnect(outbox, store)
    assert numbers(store) == [1, 3, 2]
    assert [m["properties"]["delivery_info"]["redelivered"] for m in messages(store)] == [False, False, True]
    assert store.lrange(f"sent:{outbox.process}", 0, -1) == [b"4", b"3", b"1"]
    # What was saved when only the others were there says nothing of it.
    outbox.responses.on_synced(3)
    assert [outbox.responses.is_saved(pending) for pending in outbox.responses.batches.values()] == [True, False, True]
    await reconnect(outbox, store)
    assert numbers(store) == [1, 3, 2]


async def test_a_batch_that_is_older_than_all_that_the_full_list_names_is_there(
    outbox: Outbox, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.ingest.envelope.SENT_MOST", 2)
    for _ in range(3):
        await publish(outbox)
    store.ltrim(f"sent:{outbox.process}", 0, 1)
    await reconnect(outbox, store)
    assert numbers(store) == [1, 2, 3]


async def test_pushes_that_have_their_answers_are_not_sent_again_and_their_rows_are_counted_as_lost(
    outbox: Outbox, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    counting.collect()
    before = counting.collect().counters.get(("hpns_rows_lost_total", ()), 0)
    for pushes in (4, 5, 6):
        await publish(outbox, pushes)
    for number, indexes in ((1, range(4)), (2, range(5)), (3, range(2))):
        await settle(outbox, store, number, *indexes)
    await lose(outbox, store, 1)
    assert numbers(store) == [1, 3]
    assert (
        "1 batches are published again or given up, and of 7 pushes that were answered before the rows" in caplog.text
    )
    assert counting.collect().counters["hpns_rows_lost_total", ()] - before == 7
    await lose(outbox, store, 4)
    assert counting.collect().counters["hpns_rows_lost_total", ()] - before == 7


async def test_of_what_is_saved_no_row_is_lost(outbox: Outbox, store: redis.Redis) -> None:
    await publish(outbox)
    await settle(outbox, store, 1, 0)
    outbox.responses.on_synced(1)
    assert outbox.responses.on_lost(0) == 0


async def test_how_many_unsaved_batches_are_remembered_has_a_bound(
    valkey_url: str, store: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.ingest.responses.UNSYNCED_MOST", 2)
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url
    outbox = Outbox()
    outbox.start()
    await until(lambda: outbox.ready)
    for number in range(1, 5):
        await publish(outbox)
        await settle(outbox, store, number, 0)
    assert outbox.responses.on_lost(0) == 2
    await outbox.close()


async def test_a_push_whose_deadline_comes_while_the_queue_is_away_has_its_row_once_it_is_known_to_be_lost(
    outbox: Outbox, store: redis.Redis
) -> None:
    (answer,) = await publish(outbox)
    responses = outbox.responses
    responses.check_deadlines(outbox.loop.time() + 100, queue_up=False)
    assert (await error_of(answer)).startswith("queue_unsaved")
    assert (responses.waiting, responses.kept_bytes) == (0, 0)
    forget(outbox, store, 0)
    disconnect(store)
    await until(lambda: not outbox.ready)
    # Its deadline has to be over for the publisher, too; while the queue was there it would be forgotten then.
    (pending,) = responses.batches.values()
    pending.deadline = 0.0
    await until(lambda: store.llen(ROWS))
    (row,) = store.lrange(ROWS, 0, -1)
    assert b"\tqueue_down\t" in row
    assert messages(store) == []
    assert not responses.batches


async def test_a_push_whose_deadline_comes_while_the_queue_is_away_is_forgotten_if_it_turns_out_to_have_it(
    outbox: Outbox, store: redis.Redis
) -> None:
    (answer,) = await publish(outbox)
    responses = outbox.responses
    responses.check_deadlines(outbox.loop.time() + 100, queue_up=False)
    assert (await error_of(answer)).startswith("queue_unsaved")
    await lose(outbox, store, 1)
    responses.check_deadlines(outbox.loop.time() + 100, queue_up=True)
    assert numbers(store) == [1]
    assert (store.llen(ROWS), responses.batches) == (0, {})


async def test_batches_of_a_handshake_are_published_once_and_in_their_order(
    valkey_url: str, store: redis.Redis, settings: Settings
) -> None:
    parts = urlsplit(valkey_url)
    relay = Relay(parts.hostname or "", parts.port or 0, delay=0.003)  # three milliseconds of round trip, and more
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url.replace(f":{parts.port}/", f":{relay.port}/")
    settings.PUSH_DEADLINE = 60.0
    outbox = Outbox()
    outbox.start()
    for _ in range(3):
        await until(lambda: outbox.ready)
        outbox.link.abort()
        await until(lambda: not outbox.ready)
        while not outbox.ready:  # what lingered when the connection broke is published whenever it is due
            flush(outbox)
            await asyncio.sleep(0.001)
        flush(outbox)
    await outbox.link.drain()
    assert len(outbox.responses.batches) > 10
    assert numbers(store) == list(outbox.responses.batches)
    assert all(pending.published for pending in outbox.responses.batches.values())
    await outbox.close()
    relay.close()


def flush(outbox: Outbox) -> None:
    """Publish a batch of one push that was collected before."""
    push = wire.Push(platform="apple", device_id="d", server_id="s")
    pending = PendingPush(ACME, push, outbox.trace(), 1_700_000_000.0, 1, outbox.loop.create_future())
    item = batch.encode_item(pending.trace, pending.at, 1, 2, 3, 1, b"{}")
    outbox._publisher.publish([pending], [item])


async def test_answers_reach_their_servers_again_after_the_network_has_split(
    valkey_url: str, store: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.ingest.responses.BLOCK_SECONDS", 0.5)
    parts = urlsplit(valkey_url)
    relay = Relay(parts.hostname or "", parts.port or 0)
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url.replace(f":{parts.port}/", f":{relay.port}/")
    settings.PUSH_DEADLINE = 60.0
    outbox = Outbox()
    outbox.start()
    await until(lambda: outbox.ready)
    (answer,) = await publish(outbox)
    relay.mute()
    await asyncio.sleep(0.6)  # what blocked on the old connection has ended by now, and nobody has heard it
    store.rpush(f"reply:{outbox.process}", batch.pack_results([(1, 0, 1)], []))
    assert await asyncio.wait_for(answer, PATIENCE) == wire.REMOVE_BODY
    await until(lambda: outbox.ready)
    await outbox.close()
    relay.close()


async def test_bytes_that_wait_have_a_bound_beyond_which_pushes_are_turned_away(
    outbox: Outbox, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.ingest.outbox.KEPT_MOST", 2_000)
    (first,) = await publish(outbox)
    (second,) = [intake.accept(outbox, ACME, body(message="x" * 3_000))]
    outbox._flush()
    assert (await error_of(intake.accept(outbox, ACME, body()))).startswith("overloaded")
    await until(lambda: outbox.responses.newest == 2)
    await settle(outbox, store, 2, 0)
    assert await error_of(second) == ""
    assert not intake.accept(outbox, ACME, body()).done()
    assert not first.done()
