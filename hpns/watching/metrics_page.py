"""The /metrics page in Prometheus's format: the processes' counters (delivery/metrics/counting.py), and the state of
the queue at this moment.

With METRICS_DIR it speaks for all processes that share the folder, else for this one alone. Invariant: nothing on it
tells one customer from another, and a store that does not answer makes a gap and never an error.
"""

import hmac
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, groupby
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import redis
from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from billing.incidents import canary_state
from billing.incidents.canary_state import LAST
from delivery.log import writing
from delivery.log.receipt_lines import SHARES
from delivery.log.rows import ROWS
from delivery.metrics import counting, files
from delivery.metrics.names import METERS
from delivery.queue import due_list, ledger, timetable
from hpns.celery import DELIVER, lease
from hpns.celery.commands import UNREADABLE
from tenants import redis_client

logger = logging.getLogger(__name__)

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
T = TypeVar("T")
LOOPBACK: Final = ("127.0.0.1", "::1")
# With one of these a request came through a proxy, and its address is the proxy's.
FORWARDED: Final = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via")
# Seconds for Valkey's answer; Prometheus itself has a timeout of ten.
TIMEOUT: Final = 2.0
_ROLE: Final = "ingest"


def may_read(address: str, headers: "Iterable[str]", authorization: str) -> bool:
    """Whether a caller may read the metrics: with METRICS_TOKEN its bearer, else whoever calls from this machine.

    address: the caller's; headers: the names of the request's headers; authorization: that header. Behind a proxy
    everybody calls from the proxy's address, so that without a token nobody may read.
    """
    token = settings.METRICS_TOKEN
    if token:
        return hmac.compare_digest(authorization.encode("utf-8", "replace"), f"Bearer {token}".encode())
    if settings.TRUSTED_PROXIES or any(name.lower() in FORWARDED for name in headers):
        return False
    return address in LOOPBACK


def render() -> tuple[bytes, str]:
    """The page in Prometheus's text format, and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ProcessCollector())
    registry.register(_QueueCollector())
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def _counts() -> files.Counts:
    if not settings.METRICS_DIR:
        return counting.snapshot(_ROLE)
    for _ in range(20):
        try:
            return files.aggregate(Path(settings.METRICS_DIR))
        except BlockingIOError:
            time.sleep(0.01)  # a process writes just now
    raise BlockingIOError("METRICS_DIR was locked for 0.2 s")


class _ProcessCollector(Collector):
    """Collector of the processes' counters, gauges and histograms."""

    def collect(self) -> Iterator[Family]:
        try:
            counts = _counts()
        except OSError as error:
            logger.error("the metrics in METRICS_DIR cannot be read: %s", error)
            return
        for name, single in _by_name(counts.counters):
            counter = CounterMetricFamily(name, METERS[name].help, labels=METERS[name].labels)
            for labels, value in single:
                counter.add_metric(labels, value)
            yield counter
        for name, several in _by_name(counts.gauges):
            gauge = GaugeMetricFamily(name, METERS[name].help, labels=METERS[name].labels)
            for labels, values in several:
                gauge.add_metric(labels, max(values) if METERS[name].highest else sum(values))
            yield gauge
        for name, spread in _by_name(counts.histograms):
            histogram = HistogramMetricFamily(name, METERS[name].help, labels=METERS[name].labels)
            bounds = [*(str(float(bound)) for bound in METERS[name].bounds), "+Inf"]
            for labels, (*buckets, total) in spread:
                if len(buckets) == len(bounds):  # else another version's
                    histogram.add_metric(labels, list(zip(bounds, accumulate(buckets), strict=True)), total)
            yield histogram


def _by_name(counted: Mapping[files.Key, T]) -> Iterator[tuple[str, list[tuple[tuple[str, ...], T]]]]:
    """Group counts by metric, with their labels; metrics of another version are left out."""
    for name, group in groupby(sorted(counted), key=lambda key: key[0]):
        if name in METERS:
            yield name, [(key[1], counted[key]) for key in group]


class _QueueCollector(Collector):
    """Collector of the queue's state in Valkey. With another broker the queue itself is that broker's to watch."""

    def collect(self) -> Iterator[Family]:
        up = 1
        families: list[Family] = []
        try:
            with redis_client.connect(TIMEOUT) as valkey:
                families = list(self._families(valkey))
        except redis.RedisError:
            up = 0
        yield GaugeMetricFamily("hpns_valkey_up", "Whether Valkey answers.", up)
        yield from families

    def _families(self, valkey: redis.Redis) -> Iterator[Family]:
        with valkey.pipeline(transaction=False) as together:
            together.llen(DELIVER)
            together.lindex(DELIVER, -1)
            together.llen(ROWS)
            together.llen(writing.REJECTED)
            together.smembers(writing.SEGMENTS)
            together.llen(UNREADABLE)
            together.hget(SHARES, "all")
            together.hlen(ledger.OPEN)
            together.hgetall(ledger.STATE)
            together.zcard(due_list.DUE)
            together.zrange(due_list.DUE, 0, 0, withscores=True)
            together.hgetall(LAST)
            together.get(timetable.AT)
            together.hgetall(timetable.TASKS)
            together.time()
            depth, oldest, rows, rejected, segments, unreadable, receipts, *more = together.execute()
        entered, checked, due, first, canary, heard, noted, (now, _) = more
        rows += sum(valkey.llen(f"{ROWS}:{name.decode()}") for name in segments)
        yield GaugeMetricFamily("hpns_queue_batches", "Batches in the queue that no worker has taken yet.", depth)
        yield GaugeMetricFamily("hpns_queue_oldest_seconds", "Age of the oldest batch in the queue.", _age(oldest, now))
        yield GaugeMetricFamily("hpns_log_entries_waiting", "Outcomes that are not yet in the delivery log.", rows)
        yield GaugeMetricFamily("hpns_log_rows_rejected", "Rows that the delivery log's table rejected.", rejected)
        waiting = int(receipts or 0)
        yield GaugeMetricFamily("hpns_receipts_waiting", "Receipts of phones that nobody has begun to log.", waiting)
        yield GaugeMetricFamily("hpns_messages_unreadable", "Messages of a queue that were put aside.", unreadable)
        yield from _ledger(entered, checked, now)
        late = max(0.0, now - first[0][1] / 1000) if first else 0.0
        yield GaugeMetricFamily("hpns_pushes_due", "Pushes that wait in Valkey for their next try.", due)
        yield GaugeMetricFamily("hpns_pushes_due_late_seconds", "For which the first of them is due.", late)
        yield from _canary(canary, now)
        if (age := timetable.age(heard, now)) is not None:
            yield GaugeMetricFamily("hpns_timetable_age_seconds", "Since something of the timetable came.", age)
        yield from _timetable(noted, now)
        states = lease.worker_states(valkey).values()
        failing = sum(map(bool, states))
        yield GaugeMetricFamily("hpns_workers", "Workers with a recent heartbeat.", len(states))
        yield GaugeMetricFamily("hpns_workers_failing", "Workers of them that cannot deliver.", failing)


def _ledger(entered: int, state: Mapping[bytes, bytes], now: int) -> Iterator[Family]:
    """What was accepted and has not ended, and what the check of that has found (delivery/worker/ledger_watch.py)."""
    yield GaugeMetricFamily("hpns_ledger_open_batches", "Batches that were accepted and have not ended.", entered)
    lost = CounterMetricFamily("hpns_ledger_lost", "Pushes that were accepted, and of which nothing was left.")
    lost.add_metric((), int(state.get(b"lost", 0)))
    yield lost
    if b"checked_at" in state:
        age = max(0.0, now - float(state[b"checked_at"]))
        yield GaugeMetricFamily("hpns_ledger_check_age_seconds", "Since the ledger was checked.", age)


def _timetable(noted: Mapping[bytes, bytes], now: int) -> Iterator[Family]:
    """How long ago each task of the timetable ended well, and whether that is too long."""
    age = GaugeMetricFamily("hpns_timetable_task_age_seconds", "Since it last ended well.", labels=("task",))
    overdue = GaugeMetricFamily("hpns_timetable_task_overdue", "Whether two runs of it are missing.", labels=("task",))
    for task in timetable.tasks(noted, now):
        age.add_metric((task.name,), task.age)
        overdue.add_metric((task.name,), int(task.is_overdue))
    yield age
    yield overdue


def _canary(last: Mapping[bytes, bytes], now: int) -> Iterator[Family]:
    """How long ago the minute of the last canary is, and whether it was good, by what it looked at."""
    age = GaugeMetricFamily("hpns_canary_age_seconds", "Since the minute of the last canary began.", labels=("of",))
    good = GaugeMetricFamily("hpns_canary_good", "Whether the last canary was good.", labels=("of",))
    for family, found in sorted(canary_state.decode(last).items()):
        age.add_metric((family,), max(0, now - found.at))
        good.add_metric((family,), int(found.good))
    yield age
    yield good


class _Headers(msgspec.Struct):
    at: float = 0.0


class _Message(msgspec.Struct):
    headers: _Headers


_message = msgspec.json.Decoder(_Message).decode


def _age(message: bytes | None, now: int) -> float:
    """Age of a message in the queue at a time of Valkey's, in seconds; 0 for none and for one without a time.

    Web processes stamp their messages in the shared time (delivery/queue/shared_clock.py), which is Valkey's or near.
    """
    if message is None:
        return 0.0
    try:
        at = _message(message).headers.at
    except msgspec.DecodeError:
        return 0.0
    return max(0.0, now - at) if at else 0.0
