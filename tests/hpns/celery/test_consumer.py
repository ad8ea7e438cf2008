"""The states of the transport: no message is lost, and none is handed over twice, whatever is lost on the way."""

import asyncio
import json
import math

import pytest
import redis

from delivery.queue.receipt import PROPERTY, Receipt
from hpns.celery import commands, consumer, lease
from tests.hpns.celery.conftest import QUEUE, Worker, message, redelivered, until, worker
from tests.wire import Fault, Wire

ERRORS = [
    "READONLY You can't write against a read only replica.",
    "LOADING Valkey is loading the dataset in memory",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "MISCONF Errors writing to the AOF file: No space left on device",
]
FAULTS = [Fault.LOST, Fault.REPLY_LOST, ERRORS[0]]
PUBLISHED = message("one")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat soon."""
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(lease, "RECHECK_SECONDS", 0.02)
    monkeypatch.setattr(consumer, "PAUSE_MIN", 0.01)


async def handed(made: Worker, count: int = 1) -> None:
    await until(lambda: len(made.tags) >= count, "the message is handed over")


async def nothing_more(made: Worker, count: int = 1) -> None:
    """Some rounds of everything later it has been handed no more."""
    await asyncio.sleep(0.15)
    assert len(made.tags) == count, made.tags


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


# --- Leases


async def lapse(store: redis.Redis, made: Worker) -> None:
    """Let a worker's lease expire and stay so."""
    made.consumer._keeping.cancel()  # type: ignore[union-attr]
    await asyncio.sleep(0)
    store.zadd("workers", {made.consumer.worker: store.time()[0] - commands.LEASE_SECONDS - 1})


async def test_a_worker_whose_lease_expired_takes_nothing_from_who_took_over(wire: Wire, store: redis.Redis) -> None:
    async with worker(wire.url) as first:
        store.lpush(QUEUE, PUBLISHED)
        await handed(first)
        first.consumer.stop()
        await lapse(store, first)
        async with worker(wire.url) as second:
            await handed(second)
            assert second.messages["one"]["properties"]["delivery_info"]["redelivered"] == 1
            first.consumer.ack("one")
            await until(lambda: not first.consumer.lists.unconfirmed, "the first one's acknowledgement is confirmed")
            assert store.lrange(second.taken, 0, -1) == [redelivered(PUBLISHED)]
            second.consumer.ack("one")
            await until(lambda: not store.exists(second.taken), "it is gone")
            assert not store.exists(first.taken, QUEUE)
            await nothing_more(second)


@pytest.mark.parametrize("item", [PUBLISHED, redelivered(PUBLISHED)], ids=["first", "redelivered"])
async def test_a_message_that_comes_back_to_who_still_has_it_is_not_handed_over_again(
    wire: Wire, store: redis.Redis, item: bytes
) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, item)
        await handed(made)
        assert store.lpop(made.taken) == item
        store.rpush(QUEUE, redelivered(item))  # by another worker, which took this one for dead
        await until(lambda: store.exists(made.taken), "it comes back")
        await nothing_more(made)
        made.consumer.ack("one")
        await until(lambda: not store.exists(made.taken), "it is gone")
        await nothing_more(made)


async def test_a_message_that_came_back_to_who_had_it_is_requeued_once(wire: Wire, store: redis.Redis) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        assert store.lpop(made.taken) == PUBLISHED
        store.rpush(QUEUE, redelivered(PUBLISHED))
        await until(lambda: store.exists(made.taken), "it comes back")
        await asyncio.sleep(0.05)
        made.consumer.requeue("one")
        await handed(made, 2)
        await nothing_more(made, 2)
        assert store.lrange(made.taken, 0, -1) == [redelivered(PUBLISHED, 2)]


async def test_what_was_acknowledged_and_comes_back_before_it_is_confirmed_is_acknowledged_again(
    wire: Wire, store: redis.Redis
) -> None:
    item = redelivered(PUBLISHED)
    async with worker(wire.url) as made:
        store.lpush(QUEUE, item)
        await handed(made)
        wire.fault("LREM", "MISCONF Errors writing to the AOF file", times=3)
        made.consumer.ack("one")
        store.rpoplpush(made.taken, QUEUE)  # by another worker, which took this one for dead
        await until(lambda: not made.consumer.lists.unconfirmed, "it is confirmed")
        await until(lambda: not store.exists(made.taken, QUEUE), "it is gone")
        await nothing_more(made)


async def test_a_worker_that_stops_takes_nothing_more_and_gives_back_what_it_has(
    wire: Wire, store: redis.Redis
) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, message("one"), message("two"), message("three"))
        await handed(made, 3)
        wire.fault("LREM", Fault.LOST)
        made.consumer.stop()
        await until(lambda: not any("b" in client["flags"] for client in store.client_list()), "it waits no more")
        store.lpush(QUEUE, message("four"))
        made.consumer.ack("two")
        await asyncio.sleep(0.1)
        await until(lambda: made.link.up, "it is connected")
        made.consumer._keeping.cancel()  # type: ignore[union-attr]
        await made.consumer.give_up()
        back = [json.loads(item)["properties"]["delivery_tag"] for item in store.lrange(QUEUE, 0, -1)]
        assert back == ["four", "three", "one"]
        assert not store.exists(made.taken)


# --- Messages that nobody can read

POISON = [
    b"",
    b"\xff\xfe",
    b"no json",
    b"[]",
    b'"text"',
    b"{}",
    b'{"properties":[]}',
    b'{"properties":{"delivery_tag":["a","list"]}}',
    b'{"properties":{"delivery_tag":""}}',
    b"[" * 100_000,
]


async def test_what_is_no_message_is_put_aside_and_ends_nothing(
    wire: Wire, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(wire.url) as made:
        store.lpush(QUEUE, *POISON, PUBLISHED)
        await handed(made)
        await until(lambda: store.llen(commands.UNREADABLE) == len(POISON), "all are put aside")
        assert store.lrange(made.taken, 0, -1) == [PUBLISHED]
        kept = [poison[: commands.UNREADABLE_BYTES] for poison in reversed(POISON)]
        assert store.lrange(commands.UNREADABLE, 0, -1) == kept
        assert caplog.text.count("is no message, it is put aside") == len(POISON)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_what_is_put_aside_is_put_aside_once_and_nothing_else_is(
    wire: Wire, store: redis.Redis, fault: Fault | str
) -> None:
    wire.fault(commands.PUT_ASIDE, fault)
    async with worker(wire.url) as made:
        made.room = False
        store.lpush(QUEUE, message("before"), b"poison", message("after"))
        made.room = True
        await handed(made, 2)
        await until(lambda: not made.consumer.lists.unconfirmed, "it is confirmed")
        assert store.lrange(commands.UNREADABLE, 0, -1) == [b"poison"]
        assert store.lrange(made.taken, 0, -1) == [message("after"), message("before")]


async def test_a_message_that_cannot_be_handed_over_is_put_aside_and_the_next_one_comes(
    wire: Wire, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(wire.url, begin=False) as made:

        def deliver(raw: dict[str, object]) -> None:
            made.deliver(raw)
            if made.tags[-1] == "poison":
                raise AttributeError("as of headers that are a list")

        made.begin(deliver)
        store.lpush(QUEUE, message("poison"), PUBLISHED)
        await handed(made, 2)
        await until(lambda: store.llen(commands.UNREADABLE) == 1, "it is put aside")
        assert list(made.consumer.unacked) == ["one"]
        assert store.lrange(made.taken, 0, -1) == [PUBLISHED]
        assert "as of headers that are a list" in caplog.text
        await nothing_more(made, 2)


async def test_what_is_put_aside_has_a_bound(store: redis.Redis, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer.counting, "put_aside", lambda queue: None)
    async with worker(wire.url) as made:
        store.lpush(QUEUE, *(b"%d" % number + b"x" * 100_000 for number in range(commands.UNREADABLE_MOST + 20)))
        await until(lambda: not store.exists(QUEUE, made.taken), "all are put aside")
        assert store.llen(commands.UNREADABLE) == commands.UNREADABLE_MOST
        assert store.lindex(commands.UNREADABLE, 0)[:3] == b"119"
        assert store.memory_usage(commands.UNREADABLE, samples=0) < 1.2 * commands.UNREADABLE_MOST * 65_536


# --- What it says of itself


async def says(store: redis.Redis, made: Worker, words: str) -> None:
    await until(lambda: words in (lease.worker_states(store).get(made.consumer.worker) or "-"), words)


async def test_a_worker_whose_queue_is_refused_keeps_its_lease_and_says_so(
    wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "BLOCK_SECONDS", 0.1)
    async with worker(wire.url) as made:
        await until(lambda: wire.count("BLMOVE"), "it consumes")
        assert lease.worker_states(store) == {made.consumer.worker: ""}
        store.set(QUEUE, "no list")
        await says(store, made, f"queue {QUEUE} is refused by Valkey (WRONGTYPE)")
        store.delete(QUEUE)
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
        await until(lambda: lease.worker_states(store) == {made.consumer.worker: ""}, "it is well again")


async def test_a_worker_that_is_not_answered_says_so(
    wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "STALLED_SECONDS", 0.1)
    wire.fault("BLMOVE", Fault.HELD, times=1000)
    async with worker(wire.url) as made:
        await says(store, made, f"queue {QUEUE} is not being consumed")


async def test_a_consumer_that_fails_by_our_own_fault_is_restarted_and_said(
    wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [ZeroDivisionError()]
    take = consumer.Consumer._take

    async def fails_once(self: consumer.Consumer, *arguments: object) -> object:
        if faults:
            raise faults.pop()
        return await take(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(consumer.Consumer, "_take", fails_once)
    async with worker(wire.url) as made:
        await says(store, made, f"the consumer of queue {QUEUE} (ZeroDivisionError)")
        store.lpush(QUEUE, PUBLISHED)
        await handed(made)
