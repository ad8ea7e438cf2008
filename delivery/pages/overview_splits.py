"""The pushes of the delivery page by platform, server, app and type, each as a table."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from delivery.insight.summary import percent
from delivery.pages.figures import GROUPS_SHOWN, Figures, Totals
from delivery.pages.filter_bar import NAMES, TYPE_LABELS, app_label
from delivery.pages.filters import FAILURES, FAMILIES
from delivery.pages.links import page_url
from delivery.pages.overview_tables import Links
from tenants.inventory import Inventory
from tenants.providers.table import PROVIDERS

_TITLES: Final = {"family": "By platform", "server_id": "By server", "app_id": "By app", "type": "By type"}
# From how many failed pushes and which share on one provider's phones are concerned, and up to which share others not.
ENOUGH: Final = 3
MANY, FEW = 0.05, 0.005
_FILTERS: Final = {"family": "family", "server_id": "server", "app_id": "app", "type": "type"}


class Group(NamedTuple):
    """A row of a split."""

    name: str
    url: str
    totals: Totals
    pushes_url: str
    failed_url: str
    handed_off: str
    acked: str


class Split(NamedTuple):
    """The pushes by one dimension, those with most failures first; `more` groups are not shown."""

    title: str
    column: str
    groups: list[Group]
    more: int
    more_url: str


def splits(figures: Figures, links: Links, inventory: Inventory) -> list[Split]:
    """The splits by platform, server, app and type."""
    found = []
    for name, parts in figures.splits.items():
        shown = dict(list(parts.items())[:GROUPS_SHOWN])
        names = _names(name, shown, inventory)
        groups = [_group(links, _FILTERS[name], *names[key], totals) for key, totals in shown.items()]
        more = len(parts) - len(shown)
        more_url = page_url("servers", links.slug) if name == "server_id" else ""
        found.append(Split(_TITLES[name], NAMES[_FILTERS[name]], groups, more, more_url))
    return found


def one_sided(families: Mapping[Any, Totals]) -> str:
    """The sentence that pushes to one provider's phones alone fail; "" where that is not so."""
    parts = {name: part for name, part in families.items() if name in PROVIDERS}
    stopped = [name for name, part in parts.items() if part.failed >= max(ENOUGH, MANY * part.pushes)]
    well = [name for name, part in parts.items() if part.sent and part.failed <= FEW * part.pushes]
    if len(stopped) != 1 or len(stopped) + len(well) != len(parts) or not well:
        return ""
    (name,) = stopped
    bad = parts[name]
    failed = f"all {bad.pushes:,}" if bad.failed == bad.pushes else f"{bad.failed:,} of {bad.pushes:,}"
    others = " and ".join(f"{_few(parts[each])} to {_phones(each)}" for each in well)
    return f"Only pushes to {_phones(name)} fail: {failed} failed, and {others}."


def _few(part: Totals) -> str:
    return f"{part.failed:,} of {part.pushes:,}" if part.failed else f"none of {part.pushes:,}"


def _phones(family: str) -> str:
    provider = PROVIDERS[family]
    return provider.phones or f"phones of {provider.name}"


def _group(links: Links, filter_name: str, label: str, value: str, totals: Totals) -> Group:
    chosen = {filter_name: value} if value else {}
    return Group(
        label,
        links.here(**chosen) if value else "",
        totals,
        links.pushes(**chosen),
        links.pushes(**chosen, outcome=FAILURES),
        percent(totals.sent, totals.pushes),
        percent(totals.acked, totals.sent, 1),
    )


def _names(dimension: str, shown: Mapping[Any, Totals], inventory: Inventory) -> dict[Any, tuple[str, str]]:
    """For each group what it is called, and the value of its filter."""
    if dimension == "server_id":
        return {key: _server(key, inventory) for key in shown}
    if dimension == "app_id":
        apps = {app.pk: app_label(app) for app in (*inventory.shared_apps, *inventory.apps)}
        return {key: _app(key, apps) for key in shown}
    labels = FAMILIES if dimension == "family" else TYPE_LABELS
    return {key: (labels.get(key, key), key) for key in shown}


def _server(key: int, inventory: Inventory) -> tuple[str, str]:
    row = inventory.servers.get(key)
    return (row.name, str(row.public_id)) if row else ("A server that is gone", "")


def _app(key: int, apps: Mapping[int, str]) -> tuple[str, str]:
    if not key:
        return "No app was found", "0"
    return (apps[key], str(key)) if key in apps else ("An app that is gone", "")
