"""The log's writer in a worker: one writing at a time, and one that hangs or fails holds up nothing but itself."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator

import pytest
import redis
from django.db import connection, connections

from delivery import tasks
from delivery.executors import ExecutorFullError
from delivery.log import rows, writing
from delivery.metrics import receipt_counts
from delivery.models import Delivery
from delivery.queue import key_usage
from delivery.queue import valkey as queue
from delivery.worker import log_timer, log_writer
from delivery.worker.log_writer import LogWriter
from tests.delivery.log.acknowledging import acked, pushed
from tests.delivery.log.test_writing import a_row
from tests.sessions import session
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)
LOCK = "LOCK TABLE delivery_delivery IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
async def writer(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LogWriter]:
    """A writer of this process; what it has written goes again."""
    made = LogWriter()
    monkeypatch.setattr(log_writer, "WRITER", made)
    yield made
    await asyncio.wait_for(_close_connections(), PATIENCE)
    await asyncio.to_thread(_forget)


async def _close_connections() -> None:
    while True:
        try:
            return await log_writer._EXECUTOR.run(connections.close_all)
        except ExecutorFullError:  # it is still at what comes after the rows
            await asyncio.sleep(0.02)


def _forget() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE delivery_delivery, delivery_written_segment, delivery_receipt, delivery_minute, delivery_hour, "
            "delivery_day, delivery_service_minute, delivery_service_hour, delivery_written_minute, "
            "delivery_matched_receipt"
        )
    connection.close()


async def until_held() -> None:
    """Wait until somebody waits for the table."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'delivery_delivery'::regclass"
    with session("SELECT 1") as other:
        async with asyncio.timeout(PATIENCE):
            while other.execute(query).fetchall() == [(0,)]:
                await asyncio.sleep(0.02)


def written() -> int:
    try:
        return Delivery.objects.count()
    finally:
        connection.close()


async def test_while_one_writing_hangs_all_others_end_at_once(writer: LogWriter, valkey: redis.Redis) -> None:
    valkey.rpush(rows.ROWS, a_row("t-1"))
    with session(LOCK):
        first = asyncio.create_task(writer.write())
        await until_held()
        for _ in range(20):  # messages of the timetable, and looks of the timer
            await asyncio.wait_for(tasks._record({}), PATIENCE)
        assert not first.done()
        assert [thread.name for thread in threading.enumerate()].count("the delivery log") == 1
    await asyncio.wait_for(first, PATIENCE)
    assert await asyncio.to_thread(written) == 1


async def test_what_the_stores_do_not_take_is_said_once_and_written_later(
    writer: LogWriter, valkey: redis.Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.rpush(rows.ROWS, a_row("t-1"))
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options['options']} -c lock_timeout=50ms")
    with session(LOCK):
        for _ in range(3):
            await writer.write()
    (said,) = [record for record in caplog.records if "wait in Valkey" in record.message]
    assert "wait in Valkey: canceling statement due to lock timeout" in said.message
    await writer.write()
    assert "the delivery log is written again" in caplog.text
    assert await asyncio.to_thread(written) == 1


async def test_a_silent_postgres_makes_a_writing_fail_in_time_and_the_next_one_succeeds(
    writer: LogWriter, valkey: redis.Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.rpush(rows.ROWS, a_row("t-1"))
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "client_timeout", 0.5)
    with session(LOCK):
        await asyncio.wait_for(writer.write(), PATIENCE)
        assert "PostgreSQL has said nothing for 0.5 s" in caplog.text
    async with asyncio.timeout(PATIENCE):
        while await asyncio.to_thread(written) == 0:  # the server may still be at the statement that was given up
            await writer.write()
    assert await asyncio.to_thread(written) == 1
    assert not valkey.exists(rows.ROWS, writing.SEGMENTS)


async def test_what_else_waits_for_a_lock_does_not_keep_the_log_from_being_written(
    writer: LogWriter, valkey: redis.Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.rpush(rows.ROWS, a_row("t-1"))
    valkey.rpush(key_usage.SEEN, json.dumps((1, "server", int(time.time()))))
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options['options']} -c lock_timeout=50ms")
    with session("LOCK TABLE tenants_sighting, tenants_serverkey"):
        await writer.write()
        assert await asyncio.to_thread(written) == 1
    assert "which keys were used cannot be written down yet" in caplog.text
    assert "the delivery log cannot" not in caplog.text
    assert valkey.llen(key_usage.SEEN) == 1
    await writer.write()
    assert not valkey.exists(key_usage.SEEN)


async def test_receipts_are_written_after_their_rows_and_counted(writer: LogWriter, valkey: redis.Redis) -> None:
    receipt_counts.take()
    pushed(valkey, "t-1", "ack-1")
    acked(valkey, "r-1", "ack-1", 1.5)
    acked(valkey, "r-2", "ack-1", 2)
    acked(valkey, "r-3", "unknown", 2)
    await writer.write()
    counted = receipt_counts.take()
    assert counted.counters == {
        ("hpns_receipts_matched_total", (result,)): 1 for result in ("first", "repeated", "unmatched")
    }
    ((key, seconds),) = counted.histograms.items()
    assert (key, seconds[-1], sum(seconds[:-1])) == (("hpns_receipt_seconds", ("apple",)), 1.5, 1)


async def test_receipts_that_cannot_be_written_hold_up_no_row_and_are_written_later(
    writer: LogWriter, valkey: redis.Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(valkey, "t-1", "ack-1")
    acked(valkey, "r-1", "ack-1", 1)
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options['options']} -c lock_timeout=50ms")
    receipt_counts.take()
    with session("LOCK TABLE delivery_receipt"):
        await writer.write()
        assert await asyncio.to_thread(written) == 1
    assert "wait in Valkey: canceling statement due to lock timeout" in caplog.text
    await writer.write()
    assert receipt_counts.take().counters == {("hpns_receipts_matched_total", ("first",)): 1}


async def test_the_timer_goes_on_after_whatever_a_writing_says(
    writer: LogWriter, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are written by it, also after a try that failed."""
    monkeypatch.setattr(log_timer, "INTERVAL", 0.02)
    monkeypatch.setattr(log_timer, "TURN_MS", 10)
    url = tasks.settings.REDIS_URL
    monkeypatch.setattr(queue, "_shared", {})
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options['options']} -c lock_timeout=1s")
    with session(LOCK):
        valkey.rpush(rows.ROWS, a_row("t-1"))
        timer = asyncio.create_task(tasks._log_timer())
        await until_held()
        valkey.rpush(rows.ROWS, a_row("t-2"))
        await asyncio.sleep(1.2)
        assert not timer.done()
    async with asyncio.timeout(PATIENCE):
        while await asyncio.to_thread(written) < 2:
            await asyncio.sleep(0.05)
    timer.cancel()
    await asyncio.wait({timer})
    queue.shared(url).close()


async def test_writings_keep_one_connection_to_valkey_and_make_it_anew_when_it_breaks(
    writer: LogWriter, valkey: redis.Redis
) -> None:
    await writer.write()
    before = {client["id"] for client in valkey.client_list()}
    await writer.write()
    assert {client["id"] for client in valkey.client_list()} == before
    for number in before - {str(valkey.client_id())}:
        valkey.client_kill_filter(_id=number)
    valkey.rpush(rows.ROWS, a_row("t-1"))
    await writer.write()
    assert await asyncio.to_thread(written) == 1
