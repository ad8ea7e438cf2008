"""What was accepted has ended or is in somebody's hands; what is nowhere ends as lost, in a row of its own."""

import asyncio
import random
from collections.abc import AsyncIterator, Collection

import pytest
import redis

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.log.rows import COLUMNS, ROWS
from delivery.metrics import counting
from delivery.queue import batch, due_list, ledger, valkey
from delivery.worker import ledger_watch, settlement
from delivery.worker.ledger_watch import check
from hpns.celery import commands
from tests.delivery.ingest.conftest import outbox, sender
from tests.delivery.links import until
from tests.delivery.own_sender import TAKEN, Sender
from tests.delivery.web_process import ACME, body

__all__ = ["outbox", "sender"]


@pytest.fixture(autouse=True)
async def link(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[valkey.Link]:
    """A worker's link; a batch is looked for at once."""
    monkeypatch.setattr(ledger_watch, "UNHEARD", -1.0)
    monkeypatch.setattr(ledger_watch, "AGAIN", 0.0)
    made = valkey.Link(valkey_url)
    await made.start()
    yield made
    made.close()


async def queue(outbox: Outbox, pushes: int = 1) -> str:
    """Put a batch into the queue; returns its id."""
    outbox.responses.deadline = 60
    for _ in range(pushes):
        intake.accept(outbox, ACME, body())
    outbox._flush()
    await outbox.link.drain()
    return f"{outbox.process}:{max(outbox.responses.batches)}"


def lost(store: redis.Redis) -> list[dict[str, str]]:
    """The rows for the log."""
    joined = b"".join(store.lrange(ROWS, 0, -1)).decode()
    return [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in joined.splitlines()]


def settle(link: valkey.Link, name: str, *indexes: int, last: bool, deferred: Collection[int] = ()) -> None:
    """End pushes of a batch, or move them to the due list."""
    rows = [(index, b"row\n") for index in indexes]
    later = [settlement.Deferred(index, f"{name}/{index}", 1, b"sealed") for index in deferred]
    keep = bool(deferred)
    link.post(
        settlement.command(name, rows, b"", whole=False, last=last, by_name=False, deferred=later, keep=keep),
        1,
    )


async def test_what_has_ended_is_struck_out(sender: Sender, link: valkey.Link) -> None:
    await sender.send("ok_l1", ack_id="l1")
    await until(lambda: sender.store.llen(ROWS))
    assert not sender.store.exists(ledger.OPEN)


async def test_what_is_in_somebodys_hands_is_left_alone(sender: Sender, outbox: Outbox, link: valkey.Link) -> None:
    sender.send("silence_l2", ack_id="l2")
    await sender.begun("silence_l2")
    await queue(outbox)
    assert (sender.store.llen(TAKEN), sender.store.hlen(ledger.OPEN)) == (1, 2)
    assert await check(link) == 0
    assert sender.store.hlen(ledger.OPEN) == 2


async def test_what_is_nowhere_ends_as_lost_with_its_customers_row(
    outbox: Outbox, store: redis.Redis, link: valkey.Link
) -> None:
    counting.reset()
    name = await queue(outbox, 2)
    settle(link, name, 1, last=False)
    await link.drain()
    store.delete(ROWS, batch.QUEUE)
    assert await check(link) == 1
    (row,) = lost(store)
    assert (row["trace"], row["outcome"], row["code"]) == (f"{outbox.process}-1", "lost", "lost")
    assert (row["customer_id"], row["server_id"], row["key_id"], row["attribution"], row["counts"]) == (
        *("1", "2", "3"),
        *("ours", "t"),
    )
    assert counting.collect().counters["hpns_ended_total", ("true", "ours")] == 1
    assert (store.hlen(ledger.OPEN), store.hget(ledger.STATE, "lost")) == (0, b"1")
    assert await check(link) == 0
    assert len(lost(store)) == 1


async def test_what_comes_back_after_it_was_lost_is_not_sent(
    outbox: Outbox, store: redis.Redis, link: valkey.Link
) -> None:
    name = await queue(outbox)
    store.delete(batch.QUEUE)
    await check(link)
    assert settlement.settled_before(store.get(batch.progress_key(name)), 0)


async def test_what_was_put_aside_may_be_given_back_for_a_day(
    outbox: Outbox, store: redis.Redis, link: valkey.Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue(outbox)
    store.lmove(batch.QUEUE, commands.UNREADABLE)
    assert await check(link) == 0
    monkeypatch.setattr(ledger_watch, "PUT_ASIDE_MOST", -60.0)
    assert await check(link) == 1


async def test_what_had_ended_and_was_not_struck_out_is_no_loss(
    outbox: Outbox, store: redis.Redis, link: valkey.Link
) -> None:
    name = await queue(outbox)
    settle(link, name, 0, last=False)
    await link.drain()
    store.delete(batch.QUEUE)
    assert await check(link) == 0
    assert not store.exists(ledger.OPEN)


async def test_a_queue_too_long_to_be_read_is_left_alone(
    outbox: Outbox, store: redis.Redis, link: valkey.Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_watch, "MESSAGES_MOST", 1)
    for _ in range(2):
        await queue(outbox)
    assert await check(link) == 0
    assert not store.exists(ledger.STATE), "and is not said to be checked"


async def test_a_batch_that_was_refused_is_not_entered(outbox: Outbox, store: redis.Redis) -> None:
    store.config_set("maxmemory", "1")
    try:
        await intake.accept(outbox, ACME, body())
    finally:
        store.config_set("maxmemory", "0")
    assert not store.exists(ledger.OPEN)


async def test_what_waits_to_be_tried_again_is_in_flight_and_gets_a_time_again_that_it_has_lost(
    outbox: Outbox, store: redis.Redis, link: valkey.Link
) -> None:
    name = await queue(outbox, 2)
    settle(link, name, 0, last=True, deferred=[1])
    await link.drain()
    store.delete(batch.QUEUE)
    assert (await check(link), store.hlen(ledger.OPEN), store.zcard(due_list.DUE)) == (0, 0, 1)
    store.delete(due_list.DUE)
    assert await check(link) == 0
    assert store.zrange(due_list.DUE, 0, -1) == [f"{name}/1".encode()]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_what_was_accepted_has_ended_or_is_in_flight(
    outbox: Outbox, store: redis.Redis, link: valkey.Link, seed: int
) -> None:
    choose = random.Random(seed)  # noqa: S311  to be repeated
    accepted, left = 0, dict[str, set[int]]()
    for _ in range(40):
        step = choose.random()
        if step < 0.5 or not left:
            size = choose.randrange(1, 5)
            left[await queue(outbox, size)] = set(range(size))
            accepted += size
            continue
        name = choose.choice(list(left))
        if step < 0.8:  # some of it ends, or is to be tried again later
            indexes = choose.sample(sorted(left[name]), choose.randrange(len(left[name]) + 1))
            left[name] -= set(indexes)
            deferred = [index for index in indexes if choose.random() < 0.3]
            ended = [index for index in indexes if index not in deferred]
            settle(link, name, *ended, last=not left[name], deferred=deferred)
        elif step < 0.9:  # somebody takes a message, whatever it is
            store.lmove(batch.QUEUE, "taken:worker:push")
        else:  # or it is deleted
            for key in (batch.QUEUE, "taken:worker:push"):
                for message in store.lrange(key, 0, -1):
                    if name.encode() in message:
                        store.lrem(key, 1, message)
            left[name] = set()
        if not left[name]:
            del left[name]
        await link.drain()
    await check(link)
    in_flight = sum(map(len, left.values())) + store.zcard(due_list.DUE)  # type: ignore[operator]
    assert len(b"".join(store.lrange(ROWS, 0, -1)).splitlines()) == accepted - in_flight
    assert set(store.hkeys(ledger.OPEN)) == {name.encode() for name in left}


async def test_a_check_that_is_never_made_has_an_age_from_the_first_workers_start_on(
    link: valkey.Link, store: redis.Redis
) -> None:
    for _ in range(2):  # another worker starts
        watching = asyncio.create_task(ledger_watch.watch(link))
        await asyncio.sleep(0)
        await valkey.ask(link, "PING")  # what it has asked is answered before
        watching.cancel()
        first = store.hget(ledger.STATE, "checked_at")
        assert first is not None
        store.hset(ledger.STATE, "checked_at", "5.000")
    assert first == b"5.000", "one that starts later changes nothing"
