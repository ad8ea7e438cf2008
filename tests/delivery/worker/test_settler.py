"""What a worker does until a settlement is confirmed: it repeats it, and acknowledges nothing before all is settled."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import redis

from delivery.log.rows import ROWS, trace_of
from delivery.outcomes import judge
from delivery.protocol.wire import Push
from delivery.queue import batch, valkey
from delivery.queue.receipt import Receipt
from delivery.worker import settlement
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.settlement import Settler
from tests.delivery.links import until
from tests.wire import Fault, Wire, wire_to

BATCH, TAKEN, ITEM = "abcdef:7", "taken:worker:push", b"the message"
REFUSED = "MISCONF Errors writing to the AOF file: No space left on device"


@pytest.fixture
async def wire(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    """A wire to an empty Valkey; what is lost is repeated soon."""
    monkeypatch.setattr(settlement, "PAUSE", 0.02)
    async with wire_to(valkey_url) as wire:
        yield wire


@pytest.fixture
async def settler(wire: Wire) -> AsyncIterator[Settler]:
    """A settler whose link is up, at a Valkey that knows the script."""
    link = valkey.Link(wire.url)
    await link.start()
    await link.execute("SCRIPT", "LOAD", settlement.SCRIPT)
    yield Settler(link, asyncio.get_running_loop(), b"k" * 32)
    link.close()


def begun(store: redis.Redis, *devices: str) -> BatchProgress:
    """A batch of pushes to these devices, whose message stands in the processing list and its payload in its key."""
    store.lpush(TAKEN, b"another", ITEM)
    store.set(batch.payload_key(BATCH), "sealed")
    items = [batch.Item(f"trace-{n}", 1.0, 1, 1, 1, 100, Push(device_id=device)) for n, device in enumerate(devices)]
    return BatchProgress(BATCH, items, asyncio.get_running_loop().create_future(), Receipt(TAKEN, ITEM))


def end(settler: Settler, work: BatchProgress, *indices: int) -> None:
    """Settle these pushes, as ended."""
    for index in indices:
        work.open.discard(index)
        work.ended.append((index, judge.refusal("expired"), ""))
    settler.settle(work)


def rows(store: redis.Redis) -> list[str]:
    """The traces of the rows, in order."""
    return [trace_of(line).decode() for line in b"".join(store.lrange(ROWS, 0, -1)).splitlines()]


async def finished(work: BatchProgress) -> None:
    async with asyncio.timeout(60):
        await work.finished


async def test_one_command_settles_a_batch_and_acknowledges_its_message(
    settler: Settler, wire: Wire, store: redis.Redis
) -> None:
    work = begun(store, "a", "b")
    before = len(wire.seen)
    end(settler, work, 0, 1)
    await finished(work)
    assert len(wire.seen) == before + 1
    assert work.receipt is not None
    assert work.receipt.removed
    assert rows(store) == ["trace-0", "trace-1"]
    assert store.lrange(TAKEN, 0, -1) == [b"another"]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.REPLY_LOST, REFUSED], ids=str)
async def test_what_was_not_confirmed_is_settled_once(
    settler: Settler, wire: Wire, store: redis.Redis, fault: Fault | str
) -> None:
    wire.fault("EVALSHA", fault)
    work = begun(store, "a", "b")
    end(settler, work, 0, 1)
    await finished(work)
    assert rows(store) == ["trace-0", "trace-1"]
    assert store.llen("reply:abcdef") == 1
    assert store.lrange(TAKEN, 0, -1) == [b"another"]


async def test_a_batch_is_not_acknowledged_while_a_part_of_it_waits_to_be_settled_again(
    settler: Settler, wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.fault("EVALSHA", REFUSED)
    work = begun(store, "a", "b")
    monkeypatch.setattr(settlement, "PAUSE", 3.0)
    end(settler, work, 0)
    await until(lambda: work.lost)
    end(settler, work, 1)
    await until(lambda: store.llen("reply:abcdef") == 1)
    assert rows(store) == ["trace-1"]
    assert store.lrange(TAKEN, 0, -1) == [ITEM, b"another"]
    assert store.exists(batch.payload_key(BATCH))
    assert not work.finished.done()
    await finished(work)
    assert rows(store) == ["trace-1", "trace-0"]
    assert store.lrange(TAKEN, 0, -1) == [b"another"]
    assert not store.exists(batch.payload_key(BATCH))


async def test_a_part_that_is_settled_again_does_not_acknowledge_what_has_just_ended(
    settler: Settler, wire: Wire, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough to be seen, on a machine that is held up, too.
    monkeypatch.setattr(settlement, "PAUSE", 3.0)
    wire.fault("EVALSHA", REFUSED)
    work = begun(store, "a", "b")
    end(settler, work, 0)
    await until(lambda: work.lost)
    work.open.discard(1)
    work.ended.append((1, judge.refusal("expired"), ""))
    await until(lambda: not work.unconfirmed)
    assert store.llen(TAKEN) == 2
    settler.settle(work)
    await finished(work)
    assert rows(store) == ["trace-0", "trace-1"]
    assert store.lrange(TAKEN, 0, -1) == [b"another"]


async def test_parts_that_were_all_refused_end_with_one_acknowledgement(
    settler: Settler, wire: Wire, store: redis.Redis
) -> None:
    wire.fault("EVALSHA", REFUSED, times=5)
    work = begun(store, "a", "b", "c")
    for index in range(3):
        end(settler, work, index)
        await asyncio.sleep(0)
    await finished(work)
    await until(lambda: not work.unconfirmed)
    assert sorted(rows(store)) == ["trace-0", "trace-1", "trace-2"]
    assert store.lrange(TAKEN, 0, -1) == [b"another"]


async def test_a_batch_is_finished_only_when_an_earlier_part_that_was_refused_is_settled_too(
    settler: Settler, wire: Wire, store: redis.Redis
) -> None:
    wire.fault("EVALSHA", REFUSED)
    work = begun(store, "a", "b")
    end(settler, work, 0)
    end(settler, work, 1)
    await finished(work)
    assert sorted(rows(store)) == ["trace-0", "trace-1"]


async def test_parts_for_which_the_script_is_sent_acknowledge_nothing_before_all_are_settled(
    settler: Settler, wire: Wire, store: redis.Redis
) -> None:
    wire.fault("EVALSHA", "NOSCRIPT No matching script.", times=2)
    work = begun(store, "a", "b")
    end(settler, work, 0)
    end(settler, work, 1)
    await finished(work)
    assert sorted(rows(store)) == ["trace-0", "trace-1"]
    assert store.lrange(TAKEN, 0, -1) == [b"another"]
    in_full = [command for command in wire.seen if command[0] == b"EVAL"]
    assert [b"last" in command for command in in_full] == [False, False]


async def test_a_row_that_cannot_be_made_costs_its_neighbours_nothing(
    settler: Settler, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    work = begun(store, "a", "half a pair \ud800")
    end(settler, work, 0, 1)
    await finished(work)
    assert rows(store) == ["trace-0", "trace-1"]
    assert b"internal_error" in b"".join(store.lrange(ROWS, 0, -1)).splitlines()[1]
    assert "the row of a push could not be made" in caplog.text


async def test_an_outage_is_logged_once_a_second_and_not_for_each_batch(
    settler: Settler, wire: Wire, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="delivery.worker.settlement")
    wire.fault("EVALSHA", REFUSED, times=40)
    works = [begun(store, "a") for _ in range(20)]
    for work in works:
        end(settler, work, 0)
    for work in works:
        await finished(work)
    assert caplog.text.count("could not be handed to Valkey") <= 2
