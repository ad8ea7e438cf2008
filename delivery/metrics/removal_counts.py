"""Counters of answers that say that a device is gone, by what was decided about each. See counting.py."""

from delivery.metrics.files import Counts
from delivery.outcomes.removal import Decision

_decided: dict[Decision, int] = {}


def decided(decision: Decision) -> None:
    """Count a decision."""
    _decided[decision] = _decided.get(decision, 0) + 1


def take() -> Counts:
    """What was counted since the last call; each decision is there from the start, so that its first rise is seen."""
    taken = Counts({("hpns_removes_total", (each.value,)): float(_decided.get(each, 0)) for each in Decision})
    _decided.clear()
    return taken
