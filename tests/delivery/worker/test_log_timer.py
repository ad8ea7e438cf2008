"""The timer of the delivery log: what waits is written within about a second, by one worker, and nothing at rest."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis

from delivery import tasks
from delivery.log import rows, told, writing
from delivery.queue import key_usage, rejections, signature_samples, strangers
from delivery.queue import valkey as queue
from delivery.worker import credential_reports, log_timer, log_writer
from tests.waiting import PATIENCE


class Writer:
    """Notes that it was asked to write, and does it once it is let; a fault where it is to have one."""

    def __init__(self) -> None:
        self.calls = 0
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.let.set()
        self.fault: Exception | None = None

    async def write(self) -> None:
        """As LogWriter.write()."""
        self.calls += 1
        self.asked.set()
        if self.fault is not None:
            raise self.fault
        await self.let.wait()


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Writer:
    made = Writer()
    monkeypatch.setattr(log_writer, "WRITER", made)
    monkeypatch.setattr(log_timer, "INTERVAL", 0.01)
    monkeypatch.setattr(log_timer, "TURN_MS", 5)
    return made


@pytest.fixture
async def link(valkey: redis.Redis) -> AsyncIterator[queue.Link]:
    made = queue.Link(tasks.settings.REDIS_URL)
    await asyncio.wait_for(made.start(), PATIENCE)
    yield made
    made.close()


async def looks(link: queue.Link, valkey: redis.Redis, number: int) -> None:
    """Wait for so many looks at Valkey."""

    def done() -> int:
        return int(valkey.info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"])

    before = done()
    async with asyncio.timeout(PATIENCE):
        while done() < before + number:
            await asyncio.sleep(0.01)


LISTS = [
    *(rows.ROWS, "receipts:waiting", told.TOLD, credential_reports.REPORTED),
    *(key_usage.SEEN, rejections.SEEN, strangers.SEEN, signature_samples.WAITING),
]


@pytest.mark.parametrize("name", LISTS)
async def test_whatever_waits_is_written(name: str, writer: Writer, link: queue.Link, valkey: redis.Redis) -> None:
    timer = asyncio.create_task(log_timer.keep(link))
    await looks(link, valkey, 3)
    assert writer.calls == 0  # nothing waits
    valkey.rpush(name, "x")
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    timer.cancel()
    await asyncio.wait({timer})


async def test_what_an_earlier_writer_has_left_half_written_is_written(
    writer: Writer, link: queue.Link, valkey: redis.Redis
) -> None:
    valkey.sadd(writing.SEGMENTS, "segment")
    timer = asyncio.create_task(log_timer.keep(link))
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    timer.cancel()
    await asyncio.wait({timer})


async def test_of_several_workers_one_writes_at_a_time(
    writer: Writer, link: queue.Link, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_timer, "TURN_MS", 60_000)
    valkey.rpush(rows.ROWS, "x")
    timers = [asyncio.create_task(log_timer.keep(link)) for _ in range(3)]
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    await looks(link, valkey, 6)
    assert writer.calls == 1
    for timer in timers:
        timer.cancel()
    await asyncio.wait(timers)


async def test_a_worker_whose_writing_hangs_leaves_the_turn_to_others(
    writer: Writer, link: queue.Link, valkey: redis.Redis
) -> None:
    valkey.rpush(rows.ROWS, "x")
    writer.let.clear()
    timer = asyncio.create_task(log_timer.keep(link))
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    async with asyncio.timeout(PATIENCE):
        while valkey.exists(log_timer.TURN):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not valkey.exists(log_timer.TURN)
    timer.cancel()
    writer.let.set()
    await asyncio.wait({timer})


async def test_a_fault_of_a_writing_comes_out_for_the_supervision(
    writer: Writer, link: queue.Link, valkey: redis.Redis
) -> None:
    valkey.rpush(rows.ROWS, "x")
    writer.fault = ValueError("a fault of ours")
    with pytest.raises(ValueError, match="a fault of ours"):
        await asyncio.wait_for(log_timer.keep(link), PATIENCE)


async def test_all_is_gone_through_now_and_then_though_nothing_waits(
    writer: Writer, link: queue.Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_timer, "WHOLE_INTERVAL", 0.05)
    timer = asyncio.create_task(log_timer.keep(link))
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    timer.cancel()
    await asyncio.wait({timer})


async def test_at_rest_the_log_counts_as_written_and_with_rows_that_wait_it_does_not(
    writer: Writer, link: queue.Link, valkey: redis.Redis
) -> None:
    now = int(valkey.time()[0])
    valkey.set(writing.WRITTEN_AT, now - 100)
    valkey.rpush(rows.ROWS, "x")
    timer = asyncio.create_task(log_timer.keep(link))
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    assert int(valkey.get(writing.WRITTEN_AT) or 0) == now - 100
    valkey.delete(rows.ROWS)
    async with asyncio.timeout(PATIENCE):
        while int(valkey.get(writing.WRITTEN_AT) or 0) < now:
            await asyncio.sleep(0.01)
    timer.cancel()
    await asyncio.wait({timer})


async def test_the_timer_goes_on_when_valkey_is_back(writer: Writer, link: queue.Link, valkey: redis.Redis) -> None:
    timer = asyncio.create_task(log_timer.keep(link))
    await looks(link, valkey, 1)
    link.abort()
    await asyncio.sleep(0.05)
    valkey.rpush(rows.ROWS, "x")
    await asyncio.wait_for(writer.asked.wait(), PATIENCE)
    timer.cancel()
    await asyncio.wait({timer})
