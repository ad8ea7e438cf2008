"""Metrics of the path of a push: plain counters in memory, written to this process's file by exporting.py.

Invariants: counting never waits, never fails a push, and knows no customer, text or device; a label has values of ours
alone, so what a stranger sends cannot add to their number ("other"). delivery/metrics/names.py lists what there is.
"""

import resource
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from delivery.metrics import receipt_counts, refusal_counts, removal_counts
from delivery.metrics.files import Counts, Key
from delivery.metrics.names import (
    BAD_REQUESTS,
    PHONES,
    PLATFORMS,
    REQUEST_DURATION,
    SECONDS,
    SIZES,
    TYPES,
    MetricName,
    ProviderMetricName,
)
from delivery.outcomes.verdict import Answer, Attempt, Verdict
from delivery.protocol import policy
from delivery.protocol.wire import Ack, Push
from tenants import supervision
from tenants.directory.live import DIRECTORY
from tenants.providers.table import PROVIDERS, family_of

_MILLISECONDS: Final = tuple(int(bound * 1000) for bound in SECONDS)

# --- The hot path: one look-up and a few additions each. A cell is [what it stands for, sum, buckets...].

Cell = list[Any]
# How the codes of a provider's own responses begin.
_PROVIDER_CODES: Final = tuple(f"{family}_" for family in PROVIDERS)
_ended: dict[tuple[str, str, str, bool, bool], Cell] = {}
_attempts: dict[tuple[str, str, str], Cell] = {}
_receipts: dict[tuple[str, str], int] = {}
_turned_away: dict[str, int] = {}
_put_aside: dict[str, int] = {}
_answered: Cell = [None, 0.0, *([0] * (len(SECONDS) + 1))]
_batches: Cell = [None, 0.0, *([0] * (len(SIZES) + 1))]
_pushes: dict[MetricName, int] = {"hpns_accepted_total": 0, "hpns_repeats_total": 0, "hpns_rows_lost_total": 0}
# Different keys between two collections: strangers choose a part of them, and must not fill the memory.
MOST: Final = 2_000


def accepted(pushes: int) -> None:
    """Count pushes that are enqueued."""
    _pushes["hpns_accepted_total"] += pushes


def repeated() -> None:
    """Count a push that came again, and gets the answer of the first one."""
    _pushes["hpns_repeats_total"] += 1


def rows_lost(pushes: int) -> None:
    """Count pushes that were answered and whose row of the log may be missing."""
    _pushes["hpns_rows_lost_total"] += pushes


def turned_away(code: str) -> None:
    """Count a request answered with FAIL before it was validated: a rejected caller, or a fault of ours."""
    _turned_away[code] = _turned_away.get(code, 0) + 1


def put_aside(queue: str) -> None:
    """Count a message of a queue that nobody can read."""
    _put_aside[queue] = _put_aside.get(queue, 0) + 1


def answered(seconds: float) -> None:
    """Count an answer to a waiting server, `seconds` after its push was accepted."""
    _answered[1] += seconds
    _answered[2 + bisect_left(SECONDS, seconds)] += 1


def batch(size: int) -> None:
    """Count a batch of `size` pushes that was taken from the queue."""
    _batches[1] += size
    _batches[2 + bisect_left(SIZES, size)] += 1


def attempt(made: Attempt, code: str) -> None:
    """Count an attempt by provider, host and the code of its verdict, and its duration."""
    key = (made.provider, made.host, code)
    cell = _attempts.get(key)
    if cell is None:
        cell = _new_cell(_attempts, key, code)
    cell[1] += made.ms
    cell[2 + bisect_left(_MILLISECONDS, made.ms)] += 1


def ended(push: Push, verdict: Verdict, seconds: float, has_key: bool = True) -> None:
    """Count a push by its outcome, `seconds` after it was accepted. has_key: without one it is no event of the SLA."""
    key = (push.platform, push.type, verdict.code, push.ack_id != "", has_key)
    cell = _ended.get(key)
    if cell is None:
        cell = _new_cell(_ended, key, verdict)
    cell[1] += seconds
    cell[2 + bisect_left(SECONDS, seconds)] += 1


def receipt(ack: Ack) -> None:
    """Count a push that a phone acknowledged."""
    key = (ack.platform, ack.type)
    if len(_receipts) >= MOST:
        collect()
    _receipts[key] = _receipts.get(key, 0) + 1


def _new_cell(cells: dict[Any, Cell], key: Any, what: Any) -> Cell:
    if len(cells) >= MOST:
        collect()
    cell = cells[key] = [what, 0.0, *([0] * (len(SECONDS) + 1))]
    return cell


# --- Collection

Gauge = tuple[MetricName, tuple[str, ...], float]
_totals = Counts()
_cpu_seconds = 0.0
_gauges: list[Callable[[], Iterable[Gauge]]] = []


def register_gauges(read: Callable[[], Iterable[Gauge]]) -> None:
    """Register a callback for gauges: (name, values of its labels, value); equal ones are added up."""
    _gauges.append(read)


def collect() -> Counts:
    """Add what was counted since the last call to this process's totals, and return these."""
    for (platform, kind, code, has_ack, has_key), cell in _ended.items():
        counts = "true" if has_key and cell[0].counts_in_sla else "false"
        _count("hpns_ended_total", (counts, cell[0].attribution), sum(cell[2:]))
        _count_outcome(PLATFORMS[family_of(policy.app_label(platform)[0])], _known(kind, TYPES), code, has_ack, cell)
    for (provider, host, code), cell in _attempts.items():
        seconds = [*cell[2:], cell[1] / 1000]
        _count("hpns_attempts_total", (provider, host, code), sum(cell[2:]))
        _observe("hpns_attempt_seconds", (provider, host), seconds)
        _observe("service_notification_duration_seconds", (PLATFORMS[provider],), seconds)
        _observe(REQUEST_DURATION[provider], (), seconds)
    for (platform, kind), count in _receipts.items():
        _count("service_delivered_total", (PHONES.get(platform, PLATFORMS[""]), _known(kind, TYPES)), count)
    for code, count in _turned_away.items():
        _count("hpns_turned_away_total", (code,), count)
    for queue, count in _put_aside.items():
        _count("hpns_messages_put_aside_total", (queue,), count)
    for name, count in supervision.collect_restarts().items():
        _count("hpns_task_restarts_total", (name,), count)
    for cells in (_ended, _attempts, _receipts, _turned_away, _put_aside):
        cells.clear()
    _observe("service_request_duration_seconds", (), [*_answered[2:], _answered[1]])
    _observe("hpns_batch_pushes", (), [*_batches[2:], _batches[1]])
    for cell in (_answered, _batches):
        cell[1:] = [0.0, *([0] * (len(cell) - 2))]
    _totals.add(receipt_counts.take())
    _totals.add(removal_counts.take())
    _totals.add(refusal_counts.take())
    for total, count in _pushes.items():
        _count(total, (), count)
        _pushes[total] = 0
    # There from the start, so that their first rise is seen.
    _count("service_bad_request_total", (), 0)
    _count("hpns_ended_total", ("true", "ours"), 0)
    return _totals


def _count_outcome(platform: str, kind: str, code: str, has_ack: bool, cell: Cell) -> None:
    verdict: Verdict = cell[0]
    count = sum(cell[2:])
    if code in BAD_REQUESTS:
        return _count("service_bad_request_total", (), count)
    _count("service_notifications_total", (platform, kind), count)
    if verdict.answer is Answer.OK:
        _count("service_success_total", (platform, kind), count)
        if has_ack:
            _count("service_success_with_ack_total", (platform, kind), count)
    else:
        _count("service_failure_total", (platform, kind), count)
        _count("service_failure_with_reason_total", (platform, kind, code), count)
    if verdict.answer is Answer.REMOVE:
        _count("service_removal_total", (platform, code), count)
    if verdict.answer is not Answer.FAIL or code.startswith(_PROVIDER_CODES):
        _observe("hpns_handoff_seconds", (platform,), [*cell[2:], cell[1]])
    return None


def _known(value: str, values: frozenset[str]) -> str:
    return value if value in values else "other"


def _count(name: MetricName, labels: tuple[str, ...], count: float) -> None:
    key: Key = (name, labels)
    _totals.counters[key] = _totals.counters.get(key, 0.0) + count


def _observe(name: MetricName | ProviderMetricName, labels: tuple[str, ...], buckets: list[float]) -> None:
    _totals.add(Counts(histograms={(name, labels): buckets}))


def _read_gauges(role: str) -> None:
    """Read all gauges anew."""
    global _cpu_seconds
    usage = resource.getrusage(resource.RUSAGE_SELF)
    before, _cpu_seconds = _cpu_seconds, usage.ru_utime + usage.ru_stime
    _count("hpns_process_cpu_seconds_total", (role,), _cpu_seconds - before)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    found: list[Gauge] = [
        ("hpns_processes", (role,), 1),
        ("hpns_process_resident_bytes", (role,), pages * resource.getpagesize()),
    ]
    if DIRECTORY.ready:
        found.append(("hpns_directory_age_seconds", (role,), max(0.0, time.time() - DIRECTORY.fresh_at)))
        found.append(("hpns_directory_source", (role, DIRECTORY.source), 1))
    _totals.gauges.clear()
    for gauge in [*found, *(gauge for read in _gauges for gauge in read())]:
        key, value = (gauge[0], gauge[1]), gauge[2]
        _totals.gauges[key] = [_totals.gauges.get(key, [0.0])[0] + value]


def snapshot(role: str) -> Counts:
    """This process's counters and histograms, and its gauges as they are now."""
    counts = collect()
    _read_gauges(role)
    return counts


def has_news() -> bool:
    """Whether anything was counted since the last collection."""
    return (
        any((_ended, _attempts, _receipts, _turned_away, _put_aside))
        or any(_pushes.values())
        or any(_answered[1:])
        or any(_batches[1:])
        or receipt_counts.has_news()
        or supervision.has_restarts()
    )


def reset() -> None:
    """Count from zero: the file with what was counted so far was added to those of the dead."""
    collect()
    for part in (_totals.counters, _totals.histograms, _totals.gauges):
        part.clear()
