"""What a trouble is, as pages say it: what happened, since when, whose it is, what to do, and where."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse

from delivery.insight import catalogue

# Where the pushes that a number counts are listed; of these the first that is there.
_LISTS: Final = ("delivery-pushes", "delivery", "customer")


class Severity(IntEnum):
    """How bad a trouble is."""

    WARNING = 1
    """Pushes go on."""
    FAILING = 2
    """Some pushes fail."""
    STOPPED = 3
    """No push gets through, of the customer, a server or an app."""


@dataclass(frozen=True)
class Trouble:
    """One trouble. It is read in this order: sentence "Apple refuses the key ABC123 of apple_rn", since "since 09:14",
    more ": 12 of 60 pushes failed (apns_...)", what to do "Upload a new key.".

    kind: a stable word of its own; sentence: without its full stop, good to be followed by "since 09:14"; since: None
    where it is not known; more: the end of the sentence, with what comes before it; what_to_do: whole sentences; link
    and action: one address of a page, and what is done there; attribution: as verdicts have it, "" for none, and
    `provider` the family that "provider" means, "" for either; count: the pushes or requests that it speaks of, 0 for
    none; app_id: of which app, 0 for no one's.
    """

    kind: str
    severity: Severity
    sentence: str
    since: datetime | None
    what_to_do: str
    link: str
    action: str
    attribution: str = "customer"
    provider: str = ""
    count: int = 0
    app_id: int = 0
    code: str = ""
    more: str = ""

    def told(self, since: str = "") -> str:
        """The whole sentence; since: its time in words."""
        return f"{self.sentence}{f' since {since}' if since else ''}{self.more}."

    @property
    def page(self) -> str:
        """The address of the page that its link leads to, without the part of it."""
        return self.link.partition("#")[0]

    @property
    def part(self) -> str:
        """The part of the page that its link leads to, "" for none."""
        return self.link.partition("#")[2]

    @property
    def mark(self) -> str:
        """The kind of its mark: "bad" or "warn"."""
        return "warn" if self.severity is Severity.WARNING else "bad"

    @property
    def whose(self) -> str:
        """Whose it is, in words."""
        return catalogue.whose(self.attribution, self.provider)


def pushes_link(slug: str, **filters: str) -> str:
    """The address of the pushes of the last 24 hours with these filters of delivery/pages/filters.py."""
    query = urlencode({"range": "24h", **{name: value for name, value in filters.items() if value}})
    for name in _LISTS:
        try:
            return f"{reverse(name, args=(slug,))}?{query}"
        except NoReverseMatch:
            continue
    raise NoReverseMatch(f"none of {_LISTS} is there")


def listed(names: list[str], most: int = 3) -> str:
    """Names as a sentence has them: "a", "a and b", "a, b, c and 37 more"."""
    shown, more = names[:most], len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
