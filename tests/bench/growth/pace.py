"""Whether the writer keeps up, and whether a day can be dropped while it goes on."""

import threading
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

import redis
from django.conf import settings
from django.db import connection

from delivery.log import partitions, writing
from delivery.log.rows import ROWS
from tests.bench.growth.lines import Tenant, Writer
from tests.bench.growth.plan import Day, Plan

# Lines of one element of the list in Valkey: a batch of a worker's.
BATCH: Final = 100


class Writing(NamedTuple):
    """Lines, seconds, and seconds of this process's CPU and of PostgreSQL's backend."""

    lines: int
    seconds: float
    cpu: float


class Dropping(NamedTuple):
    """Seconds that the dropping took, transactions of a writer meanwhile, the longest of them in milliseconds."""

    seconds: float
    writes: int
    longest_ms: float


def feed(store: redis.Redis, tenants: list[Tenant], plan: Plan, count: int) -> int:
    """Put so many lines of just now into Valkey, as workers do; returns how many."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    writer = Writer(tenants, plan.weights(), plan.devices(), time.time_ns())
    lines = writer.day(Day(midnight, now, count)).log
    for start in range(0, len(lines), BATCH):
        store.rpush(ROWS, b"".join(lines[start : start + BATCH]))
    return len(lines)


def write_all(store: redis.Redis) -> Writing:
    """Move what waits in Valkey into PostgreSQL, with its rollups, as fast as it goes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend: int = cursor.fetchone()[0]
    before, began = time.process_time() + _cpu_of(backend), time.monotonic()
    lines = 0
    while written := writing.write(store):
        lines += written
    return Writing(lines, time.monotonic() - began, time.process_time() + _cpu_of(backend) - before)


def _cpu_of(pid: int) -> float:
    """Seconds of CPU that a process of this machine has used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def drop_oldest(store: redis.Redis, tenants: list[Tenant], plan: Plan) -> Dropping:
    """Drop the oldest day while another thread writes rows of now, some at a time."""
    ended, took = threading.Event(), list[float]()

    def go_on() -> None:
        while not ended.is_set():
            feed(store, tenants, plan, 500)
            began = time.monotonic()
            writing.write(store)
            took.append((time.monotonic() - began) * 1000)
        connection.close()

    today = partitions.todays_date()
    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        while len(took) < 3 and writer.is_alive():
            time.sleep(0.01)
        first = len(took)
        began = time.monotonic()
        partitions.drop_partitions(today, plan.days - 2)
        seconds = time.monotonic() - began
    finally:
        ended.set()
        writer.join()
    return Dropping(seconds, len(took) - first, max(took[first:], default=0.0))


def connect() -> redis.Redis:
    """The service's Valkey."""
    return redis.Redis.from_url(settings.REDIS_URL)
