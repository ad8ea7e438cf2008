"""The components of the status page: what of the service can be well by itself. One table."""

from typing import Final, NamedTuple

from billing.models import PAGES
from tenants.providers.table import PROVIDERS

ACCEPTING: Final = "accepting"


class Component(NamedTuple):
    """key: its name in rows; name: for people; of: which rows of the canary speak of it, "" for all of its pushes."""

    key: str
    name: str
    of: str


COMPONENTS: Final = (
    Component(ACCEPTING, "Accepting pushes", ""),
    *(Component(family, f"Pushes to {row.name}", family) for family, row in PROVIDERS.items()),
    Component(PAGES, "Pages", PAGES),
)
NAMES: Final = {each.key: each.name for each in COMPONENTS}


def choices() -> list[tuple[str, str]]:
    """Keys with their names."""
    return list(NAMES.items())


def named(keys: list[str]) -> str:
    """What a list of keys is called; one that is none any more as it is."""
    return ", ".join(NAMES.get(key, key) for key in keys)
