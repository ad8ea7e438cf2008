"""A worker's lease, the messages that nobody can read, and what it says of itself."""

import asyncio
import json
from types import SimpleNamespace

import pytest
import redis

from hpns.celery import commands, consumer, lease
from tests.hpns.celery.conftest import QUEUE, Worker, message, redelivered, until, worker
from tests.hpns.celery.handing import FAULTS, PUBLISHED, handed, nothing_more
from tests.wire import Fault, Wire

pytestmark = pytest.mark.usefixtures("hurry")


# --- Leases


def test_who_always_comes_late_takes_over_all_the_same_most_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    made = lease.Lease("late", None, SimpleNamespace(time=lambda: clock.now), list, lambda: None)  # type: ignore[arg-type]
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 3.0)
    times = []
    for _ in range(60):
        clock.now += 1
        times.append(made._may_take_over(in_time=False))
    assert times[:2] == [False, False]
    assert times.count(True) >= 36


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


async def test_when_valkey_was_away_for_longer_than_leases_nobody_takes_over_from_who_lives(
    wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(lease, "MISSED_SECONDS", 0.5)  # a heartbeat is sent every twentieth of a second
    async with worker(wire.url) as first, worker(wire.url) as second:
        store.lpush(QUEUE, PUBLISHED)
        await until(lambda: first.tags or second.tags, "one of them has the message")
        holder, other = (first, second) if first.tags else (second, first)
        monkeypatch.setattr(second.consumer.lease, "_patient_until", 0.0)
        monkeypatch.setattr(first.consumer.lease, "_patient_until", 0.0)
        for made in (first, second):  # nobody could renew a lease, and the other is back first
            await lapse(store, made)
            monkeypatch.setattr(made.consumer.lease, "_renewed_at", made.consumer.lease._loop.time() - 60)
        keeping = asyncio.ensure_future(other.consumer.lease.keep())
        await until(other.consumer.lease.is_valid, "the other has renewed its lease")
        await asyncio.sleep(0.2)
        assert store.lrange(holder.taken, 0, -1) == [PUBLISHED]
        keeping.cancel()


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
