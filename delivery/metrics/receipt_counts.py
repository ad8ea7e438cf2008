"""Counters of phones' receipts: what became of each, and how long the first of a push took. See counting.py."""

from bisect import bisect_left
from typing import Final, Literal

from delivery.metrics.files import Counts
from delivery.metrics.names import PLATFORMS, SECONDS, MetricName

LeftOut = Literal["rate", "memory", "backlog", "no_customer"]
Result = Literal["first", "repeated", "unmatched"]
# Milliseconds of the bounds.
_BOUNDS: Final = tuple(int(bound * 1000) for bound in SECONDS)
_SIZE: Final = len(SECONDS) + 1
_counts = Counts()


def _add(name: MetricName, label: str, count: int) -> None:
    key = (name, (label,) if label else ())
    _counts.counters[key] = _counts.counters.get(key, 0.0) + count


def kept(receipts: int) -> None:
    """Count receipts that Valkey has taken."""
    _add("hpns_receipts_kept_total", "", receipts)


def left_out(reason: LeftOut, receipts: int) -> None:
    """Count receipts that were not kept."""
    _add("hpns_receipts_left_out_total", reason, receipts)


def matched(result: Result, receipts: int) -> None:
    """Count receipts by what was found of their push."""
    _add("hpns_receipts_matched_total", result, receipts)


def acked(family: str, milliseconds: int) -> None:
    """Count the first receipt of a push of this provider's family ("other" for none), so long after its acceptance."""
    key = ("hpns_receipt_seconds", (PLATFORMS.get(family, PLATFORMS[""]),))
    cell = _counts.histograms.setdefault(key, [0.0] * (_SIZE + 1))
    cell[bisect_left(_BOUNDS, milliseconds)] += 1
    cell[-1] += milliseconds / 1000


def has_news() -> bool:
    """Whether anything was counted since the last call of take()."""
    return bool(_counts.counters or _counts.histograms)


def take() -> Counts:
    """What was counted since the last call."""
    taken = Counts(dict(_counts.counters), dict(_counts.histograms))
    _counts.counters.clear()
    _counts.histograms.clear()
    return taken
