"""The pages that a customer's navigation names, in its order: one table."""

from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


class Item(NamedTuple):
    """An entry: what it is called, the name of its URL (by the customer's slug), the action that seeing it needs, and
    the names of other URLs whose pages are of its section, with all that is below them."""

    label: str
    url_name: str
    action: str
    also: tuple[str, ...] = ()


ITEMS: Final = (
    Item("Home", "customer", "see"),
    Item("Delivery", "delivery", "delivery.see"),
    Item("Servers & keys", "servers", "server.see"),
    Item("Apps & credentials", "apps", "app.see"),
    Item("People", "people", "member.see"),
    Item("Subscription & SLA", "subscription", "subscription.see", ("licence", "usage", "sla", "invoices")),
    Item("Audit", "audit", "audit.see"),
    Item("Settings", "settings", "settings.see"),
)


class Link(NamedTuple):
    """An entry as it is shown."""

    label: str
    url: str
    current: bool


def links(request: HttpRequest) -> list[Link]:
    """The entries for whoever asks: those whose page exists and which this person may see.

    None outside of a customer's pages: `customer` and `may` are put on the request by customer_page, and without them
    nothing is known to be allowed.
    """
    customer, may = getattr(request, "customer", None), getattr(request, "may", None)
    if customer is None or may is None:
        return []
    found = [(item, url) for item in ITEMS if may(item.action) and (url := _url(item.url_name, customer))]
    home = found[0][1] if found else ""
    current = max(
        ((url, at) for item, at in found for url in _section(item, customer) if _is_in(request.path, url, home)),
        key=lambda each: len(each[0]),
        default=("", ""),
    )
    return [Link(item.label, url, url == current[1]) for item, url in found]


def _section(item: Item, customer: Any) -> list[str]:
    return [url for name in (item.url_name, *item.also) if (url := _url(name, customer))]


def _url(name: str, customer: Any) -> str:
    try:
        return reverse(name, args=[customer.slug])
    except NoReverseMatch:  # that page is not built yet
        return ""


def _is_in(path: str, url: str, home: str) -> bool:
    """Whether a page is an entry's or below it; the home, which all are below of, is for itself alone."""
    return path == url or (path.startswith(url) and url != home)
