"""The filter bar of the delivery's pages: ranges and chosen filters as links, and a form for the rest.

A page puts `filter_bar(filters)` into its context as `bar` and includes "delivery/deliveries/filter_bar.html".
"""

from itertools import islice
from typing import Any, Final, NamedTuple

from delivery.outcomes.verdict import Outcome
from delivery.pages.filters import ATTRIBUTIONS, FAILURES, FAMILIES, Filters
from delivery.pages.spans import RANGES
from delivery.rollups.cells import OTHER
from tenants.inventory import Inventory
from tenants.models import PushApp

# Servers that are offered by name; any other is typed in.
OFFERED_MOST: Final = 50
RANGE_LABELS: Final = {name: f"{name[:-1]} {name[-1]}" for name in RANGES}
OUTCOMES: Final = {
    Outcome.SENT.value: "Handed off",
    FAILURES: "Any failure",
    Outcome.GONE.value: "Device gone",
    Outcome.REFUSED.value: "Refused",
    Outcome.FAILED.value: "Failed",
    Outcome.UNKNOWN.value: "End unknown",
    Outcome.EXPIRED.value: "Expired",
    Outcome.LOST.value: "Lost",
}
TYPE_LABELS: Final = {
    "message": "Message",
    "clear": "Clear (read elsewhere)",
    "update_badge": "Badge",
    "session": "Session ended",
    "test": "Test",
    OTHER: "Other",
}
NAMES: Final = {
    "server": "Server",
    "app": "App",
    "family": "Platform",
    "type": "Type",
    "outcome": "What became of it",
    "code": "Code",
    "attribution": "Whose it is",
    "acked": "Receipt",
}
ACKED: Final = {"yes": "acknowledged by a phone", "no": "without a receipt"}


class Choice(NamedTuple):
    """A link, or an option of a form."""

    label: str
    value: str
    chosen: bool = False


class Chip(NamedTuple):
    """A filter that is in force, and the address without it."""

    name: str
    value: str
    url: str


class Field(NamedTuple):
    """A choice of the form; the first option is for all."""

    name: str
    label: str
    options: list[Choice]


def filter_bar(filters: Filters, inventory: Inventory | None = None) -> dict[str, Any]:
    """What the template shows; in the scope of the customer, whose servers and apps the page may have read."""
    inventory = inventory or Inventory()
    apps = {"0": "None was found"}
    for app in (*inventory.shared_apps, *inventory.enabled_apps):
        apps[str(app.pk)] = app_label(app)
    own = filters.values
    local = [f"{at.astimezone(filters.zone):%Y-%m-%dT%H:%M}" for at in (filters.start, filters.end)]
    kept = sorted(set(own) & {"code", "acked", "attribution"})
    return {
        "ranges": [
            Choice(RANGE_LABELS[name], f"?{filters.query(range=name)}", name == filters.span.range) for name in RANGES
        ],
        "own": not filters.span.range,
        "range": filters.span.range,
        "from": "" if filters.span.range else local[0],
        "to": "" if filters.span.range else local[1],
        "zone": str(filters.zone),
        "chips": [Chip(NAMES[name], value_label(filters, name), f"?{filters.query(**{name: None})}") for name in own],
        "server": filters.server.name if filters.server else "",
        "servers": [row.name for row in islice(inventory.servers.values(), OFFERED_MOST)],
        "fields": [
            _field(filters, "family", FAMILIES),
            _field(filters, "app", apps),
            _field(filters, "type", TYPE_LABELS),
            _field(filters, "outcome", OUTCOMES),
        ],
        "kept": [(name, own[name]) for name in kept],
    }


def app_label(app: PushApp) -> str:
    """What an app is called: its label, and the operator's as such."""
    return app.label if app.customer_id else f"{app.label} (the operator's)"


def value_label(filters: Filters, name: str) -> str:
    """The chosen value of a filter in words."""
    value = filters.values[name]
    if name == "server":
        return filters.server.name if filters.server else ""
    if name == "app":
        return app_label(filters.app) if filters.app else "none was found"
    words = {
        "family": FAMILIES,
        "type": TYPE_LABELS,
        "outcome": OUTCOMES,
        "attribution": ATTRIBUTIONS,
        "acked": ACKED,
    }
    return words[name][value] if name in words else value


def _field(filters: Filters, name: str, labels: dict[str, str]) -> Field:
    chosen = filters.values.get(name, "")
    options = [Choice("All", "", not chosen)]
    options += [Choice(label, value, value == chosen) for value, label in labels.items()]
    return Field(name, NAMES[name], options)
