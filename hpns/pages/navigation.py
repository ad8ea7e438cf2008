"""The pages that a customer's navigation names, in its order: one table."""

from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


class Item(NamedTuple):
    """An entry: what it is called, the name of its URL (by the customer's slug), the action that seeing it needs, and
    the names of other pages whose tabs are beside its own."""

    label: str
    url_name: str
    action: str
    beside: tuple[str, ...] = ()


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
    leads = {url: url for _, url in found}
    leads |= {there: url for item, url in found for name in item.beside if (there := _url(name, customer))}
    current = leads.get(_current([*leads], request.path))
    return [Link(item.label, url, url == current) for item, url in found]


def _url(name: str, customer: Any) -> str:
    try:
        return reverse(name, args=[customer.slug])
    except NoReverseMatch:  # that page is not built yet
        return ""


def _current(urls: list[str], path: str) -> str:
    """The entry that a path is below of, the longest one; the home, which all are below of, for itself alone."""
    below = [url for url in urls if path == url or (path.startswith(url) and url != urls[0])]
    return max(below, key=len, default="")
