"""The states of the transport: no message is lost, and none is handed over twice, whatever is lost on the way."""

import asyncio
import json
import math

import pytest
import redis

from delivery.queue.receipt import PROPERTY, Receipt
from hpns.celery import commands, consumer
from tests.hpns.celery.conftest import QUEUE, message, redelivered, until, worker
from tests.hpns.celery.handing import ERRORS, FAULTS, PUBLISHED, handed, nothing_more
from tests.wire import Fault, Wire

pytestmark = pytest.mark.usefixtures("hurry")


# --- Acknowledging


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_an_acknowledgement_that_was_not_confirmed_is_repeated(
    wire: Wire, store: redis.Redis, fault: Fault | str
) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        wire.fault("LREM", fault)
        made.consumer.ack("one")
        await until(lambda: not made.consumer.lists.unconfirmed, "it is confirmed")
        assert wire.count("LREM") == 2
        assert not store.exists(made.taken, QUEUE)
        await nothing_more(made)


async def test_acknowledgements_of_an_outage_are_all_repeated_and_nothing_comes_again(
    wire: Wire, store: redis.Redis
) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, *(message(str(number)) for number in range(50)))
        await handed(made, 50)
        wire.fault("LREM", Fault.LOST, times=3)
        for number in range(50):
            made.consumer.ack(str(number))
        await until(lambda: not made.consumer.lists.unconfirmed, "all are confirmed")
        assert not store.exists(made.taken, QUEUE)
        await nothing_more(made, 50)


async def test_nothing_is_taken_while_too_many_acknowledgements_wait(
    wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "UNCONFIRMED_MOST", 1)
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        wire.fault("LREM", "MISCONF", times=1000)
        made.consumer.ack("one")
        await until(lambda: wire.count("LREM") > 1, "it is repeated")
        store.lpush(QUEUE, message("two"), message("three"))
        await asyncio.sleep(0.2)
        assert len(made.tags) <= 2  # one may have been asked for before
        wire.heal()
        await handed(made, 3)


async def test_what_the_settlement_has_removed_costs_no_command(wire: Wire, store: redis.Redis) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        receipt = made.messages["one"]["properties"][PROPERTY]
        assert isinstance(receipt, Receipt)
        assert store.lrem(receipt.key, 1, receipt.item) == 1
        receipt.removed = True
        made.consumer.ack("one")
        store.lpush(QUEUE, message("two"))
        await handed(made, 2)
        assert wire.count("LREM") == 0


async def test_an_acknowledgement_of_what_is_not_there_ends_nothing(
    wire: Wire, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(wire.url) as made:
        made.consumer.ack("nobody's")
        made.consumer.requeue("nobody's")
        assert caplog.text.count("this worker does not have") == 2
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)


# --- Requeueing


@pytest.mark.parametrize("fault", [*FAULTS, None], ids=str)
async def test_a_requeued_message_comes_once_more_and_marked_whatever_is_lost(
    wire: Wire, store: redis.Redis, fault: Fault | str | None
) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        if fault is not None:
            wire.fault(commands.REQUEUE, fault)
        made.consumer.requeue("one")
        await handed(made, 2)
        assert made.messages["one"]["properties"]["delivery_info"]["redelivered"] == 1
        await nothing_more(made, 2)
        assert store.lrange(made.taken, 0, -1) == [redelivered(PUBLISHED)]
        made.consumer.ack("one")
        await until(lambda: not store.exists(made.taken), "it is gone")
        await nothing_more(made, 2)


async def test_a_message_of_the_timetable_is_marked_too(wire: Wire, store: redis.Redis) -> None:
    properties = {"delivery_tag": "one", "delivery_info": {"exchange": "", "routing_key": "record"}}
    async with worker(wire.url) as made:
        store.lpush(QUEUE, json.dumps({"body": "", "headers": {}, "properties": properties}))  # as kombu writes it
        await handed(made)
        made.consumer.requeue("one")
        await handed(made, 2)
        info = made.messages["one"]["properties"]["delivery_info"]
        assert info == {"redelivered": 1, "exchange": "", "routing_key": "record"}


async def test_a_message_that_is_requeued_over_and_over_is_neither_lost_nor_doubled(
    wire: Wire, store: redis.Redis
) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        for turn in range(1, 8):
            await handed(made, turn)
            if turn % 3:
                wire.fault(commands.REQUEUE, Fault.REPLY_LOST if turn % 2 else Fault.LOST)
            made.consumer.requeue("one")
        await handed(made, 8)
        await nothing_more(made, 8)
        assert store.lrange(made.taken, 0, -1) == [redelivered(PUBLISHED, 7)]


async def test_a_requeued_message_does_not_stand_in_the_way_of_others(store: redis.Redis, wire: Wire) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        made.room = False
        store.lpush(QUEUE, message("two"))
        await asyncio.sleep(0.1)
        made.consumer.requeue("one")
        made.room = True
        await handed(made, 3)
        assert made.tags == ["one", "two", "one"]


# --- Taking


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.REPLY_LOST, *ERRORS], ids=str)
async def test_a_message_is_handed_over_once_wherever_its_connection_fails(
    wire: Wire, store: redis.Redis, fault: Fault | str
) -> None:
    for command in ("BLMOVE", "LRANGE", commands.HEARTBEAT, commands.REQUEUE_EXPIRED):
        wire.fault(command, fault)
    store.lpush(QUEUE, PUBLISHED)
    async with worker(wire.url) as made:
        await handed(made)
        assert store.lrange(made.taken, 0, -1) == [PUBLISHED]
        await nothing_more(made)


async def test_a_full_valkey_still_gives_its_messages(wire: Wire, store: redis.Redis) -> None:
    wire.fault("BLMOVE", "OOM command not allowed when used memory > 'maxmemory'.", times=2)
    async with worker(wire.url) as made:
        store.lpush(QUEUE, message("one"), message("two"))
        await handed(made, 2)
        assert made.tags == ["one", "two"]
        assert wire.count(commands.MOVE) == 2


async def test_what_a_dead_connection_still_moves_is_found(
    wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "BLOCK_SECONDS", 0.1)
    async with worker(wire.url) as made:
        await until(lambda: wire.count("BLMOVE"), "it asks")
        store.lpush(made.taken, PUBLISHED)  # as a server does that does not know that a connection broke
        await handed(made)
        await nothing_more(made)


async def test_nothing_is_taken_without_a_lease(wire: Wire, store: redis.Redis) -> None:
    wire.fault(commands.HEARTBEAT, "MISCONF Errors writing to the AOF file", times=1000)
    store.lpush(QUEUE, PUBLISHED)
    async with worker(wire.url) as made:
        await until(lambda: wire.count(commands.HEARTBEAT) > 2, "it tries")
        assert wire.count("BLMOVE") == 0
        wire.heal()
        await handed(made)


async def test_nothing_is_taken_any_more_when_the_lease_could_not_be_renewed(
    wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server forgets a worker some seconds later, and nobody would requeue what it has taken then.
    monkeypatch.setattr(consumer, "BLOCK_SECONDS", 0.1)
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        wire.fault(commands.HEARTBEAT, "MISCONF Errors writing to the AOF file", times=1000)
        made.consumer.lease._renewed_at = -math.inf
        await asyncio.sleep(0.3)
        store.lpush(QUEUE, message("two"))
        await nothing_more(made)
        wire.heal()
        await handed(made, 2)


async def test_nothing_is_taken_without_room(wire: Wire, store: redis.Redis) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        made.room = False
        store.lpush(QUEUE, message("two"), message("three"))
        await asyncio.sleep(0.2)
        assert len(made.tags) == 2  # one had been asked for before
        made.room = True
        made.consumer.ack("one")
        await handed(made, 3)
