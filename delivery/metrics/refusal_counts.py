"""Counters of refused credentials whose marking was held back, for their provider refuses many. See counting.py."""

from delivery.metrics.files import Counts
from tenants.providers.table import PROVIDERS

_held: dict[str, int] = {}


def held(family: str) -> None:
    """Count a refused credential that is not marked."""
    _held[family] = _held.get(family, 0) + 1


def take() -> Counts:
    """What was counted since the last call; each provider is there from the start, so that its first rise is seen."""
    name = "hpns_credential_refusals_held_total"
    taken = Counts({(name, (family,)): float(_held.get(family, 0)) for family in PROVIDERS})
    _held.clear()
    return taken
