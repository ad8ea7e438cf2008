"""The log's tables while somebody else holds them: nothing waits for long, nor holds up the writers, nor is lost.

Sessions of their own have to see what is there, so these tests commit.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import date

import pytest
import redis
from django.db import DatabaseError, OperationalError, connection, connections

from delivery import tasks
from delivery.executors import ExecutorFullError
from delivery.log import erasing, locks, partitions, rows, writing
from delivery.models import Delivery
from tests.delivery.log.test_writing import NOON, a_row
from tests.delivery.rollups import comparing
from tests.sessions import session
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2026, 9, 21)
RETENTION_OVER = date(2026, 9, 30)
LOG = (partitions.LOG,)
PARTITIONS = [f"delivery_2026_09_{day}" for day in (20, 21, 22, 23, 24)]
LONG_READER = "SELECT count(*) FROM delivery_delivery"
INSERT = (
    "INSERT INTO delivery_delivery SELECT trace || random(), now(), ended_at, customer_id, server_id, key_id, app_id, "
    "platform, type, sub_type, ack_id, mattermost_id, device, size, outcome, code, answer, attribution, counts, "
    "attempts, count FROM delivery_delivery LIMIT 1"
)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Locks are tried for more often, and what is committed here goes again."""
    monkeypatch.setattr(locks, "PAUSE", 0.05)
    yield
    partitions.drop_partitions(date(2100, 1, 1))
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE delivery_delivery, delivery_written_segment")
    comparing.empty()


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


def test_a_second_writer_leaves_it_to_the_first_at_once_and_nothing_is_lost(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1"))
    with session("SELECT pg_advisory_xact_lock(hashtext('delivery log'))"):
        assert writing.write(store) == 0
        assert not Delivery.objects.exists()
    assert writing.write(store) == 1
    assert not store.exists(writing.SEGMENTS, rows.ROWS)


def test_while_a_segment_cannot_be_written_no_other_is_cut_and_then_all_rows_are_written_once(
    store: redis.Redis,
) -> None:
    with session("LOCK TABLE delivery_delivery IN ACCESS EXCLUSIVE MODE"), connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
        for number in range(3):
            store.rpush(rows.ROWS, a_row(f"t-{number}"))
            with pytest.raises(OperationalError):
                writing.write(store)
        assert (store.scard(writing.SEGMENTS), store.llen(rows.ROWS)) == (1, 2)
        cursor.execute("RESET lock_timeout")
    assert writing.write(store) == 3
    assert Delivery.objects.count() == 3
    assert not store.exists(writing.SEGMENTS, rows.ROWS)


def test_a_long_reader_keeps_a_partition_from_being_dropped_but_nobody_from_writing(
    store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    partitions.make_partitions(DAY, tables=LOG)
    store.rpush(rows.ROWS, a_row("t-1"))
    writing.write(store)
    found: list[tuple[list[str], list[str]]] = []

    def drop() -> None:
        found.append(partitions.drop_partitions(RETENTION_OVER, keep_days=7, tables=LOG))
        connections.close_all()

    with session(LONG_READER), session("SET lock_timeout = '3s'") as writer:
        dropping = threading.Thread(target=drop)
        dropping.start()
        written = 0
        while dropping.is_alive():
            writer.execute(INSERT)  # behind whoever waits for the reader it would wait, too, and fail
            writer.rollback()
            writer.execute("SET lock_timeout = '3s'")
            written += 1
        assert written > 1
    dropping.join(PATIENCE)
    assert found == [([], PARTITIONS[:3])]
    assert (
        "the partition delivery_2026_09_21 is past its retention and cannot be dropped while somebody reads"
        in caplog.text
    )
    assert partitions.drop_partitions(RETENTION_OVER, keep_days=7, tables=LOG) == (PARTITIONS[:3], [])


def test_postgres_does_not_detach_concurrently_beside_a_catch_all() -> None:
    partitions.make_partitions(DAY, tables=LOG)
    with pytest.raises(DatabaseError, match="cannot detach partitions concurrently when a default partition exists"):
        connection.cursor().execute(f"ALTER TABLE delivery_delivery DETACH PARTITION {PARTITIONS[0]} CONCURRENTLY")


def test_a_long_reader_keeps_a_partition_from_being_made_and_it_is_made_the_next_time() -> None:
    with session(LONG_READER), pytest.raises(OperationalError) as raised:
        partitions.make_partitions(DAY, tables=LOG)
    assert locks.is_held(raised.value)
    assert partitions.make_partitions(DAY, tables=LOG) == PARTITIONS


async def test_what_is_left_of_the_partitions_is_done_soon_and_not_in_six_hours(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "PARTITIONS_RETRY", 0.05)
    days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'delivery_delivery'::regclass"
    with session(LONG_READER):
        watching = asyncio.create_task(tasks._partitions_watchdog())
        async with asyncio.timeout(PATIENCE):
            while "the log's partitions cannot be looked after" not in caplog.text:
                await asyncio.sleep(0.02)
    async with asyncio.timeout(PATIENCE):
        with session("SELECT 1") as other:
            while other.execute(days).fetchall() != [(6,)]:  # five days and the catch-all
                await asyncio.sleep(0.05)
    watching.cancel()
    await asyncio.wait({watching})
    while True:  # what it has begun ends first
        try:
            await tasks._PARTITIONS.run(connections.close_all)
            break
        except ExecutorFullError:
            await asyncio.sleep(0.02)


def test_an_erasure_waits_for_whoever_holds_the_table_and_goes_on(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "LOCK_TIMEOUT", "100ms")
    store.rpush(rows.ROWS, a_row("t-1"), a_row("t-2", NOON + 86_400))
    writing.write(store)
    erased: list[int] = []

    def erase() -> None:
        erased.append(erasing.erase(1))
        connections.close_all()

    with session("LOCK TABLE delivery_delivery IN ACCESS EXCLUSIVE MODE"):
        erasure = threading.Thread(target=erase)
        erasure.start()
        erasure.join(0.5)
        assert erasure.is_alive()
    erasure.join(PATIENCE)
    assert erased == [2]


def test_an_erasure_gives_up_in_the_end(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "LOCK_TIMEOUT", "10ms")
    store.rpush(rows.ROWS, a_row("t-1"))
    writing.write(store)
    with session("LOCK TABLE delivery_delivery IN ACCESS EXCLUSIVE MODE"), pytest.raises(OperationalError) as raised:
        erasing.erase(1)
    assert locks.is_held(raised.value)
    assert erasing.erase(1) == 1


def test_a_worker_whose_clock_is_years_ahead_drops_no_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 4e9)
    today = partitions.todays_date()
    assert today < date(2090, 1, 1)
    asked: list[date] = []
    monkeypatch.setattr(tasks, "todays_date", lambda: today)
    monkeypatch.setattr(tasks, "make_partitions", asked.append)
    monkeypatch.setattr(tasks, "drop_partitions", lambda day: (asked.append(day), []))
    monkeypatch.setattr(tasks, "drop_counts", asked.append)
    tasks.partitions()
    assert asked == [today] * 3
