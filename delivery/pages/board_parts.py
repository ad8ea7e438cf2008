"""What the staff's boards are put together of: columns, ways to customers, choices and pages of rows."""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from delivery.pages.filters import FAILURES
from tenants.models import Customer

# Rows of a page.
SHOWN: Final = 50
NUMBERS: Final = frozenset(
    (
        *("Pushes", "By us", "By provider", "By customer", "Failed", "Customers", "Before", "Change", "Acked"),
        *("Of all", "Pushes in 30 days", "Handed off", "p50", "p95", "Held back"),
    )
)


def columns(*labels: str) -> list[dict[str, Any]]:
    """Columns of parts/table.html."""
    return [{"label": label, "number": label in NUMBERS} for label in labels]


def customers(keys: Iterable[int]) -> dict[int, Customer]:
    """Customers by their ids."""
    return Customer.objects.in_bulk(list(keys))


def link(customer: Customer | None, key: int, query: str = "range=24h") -> Any:
    """The way to a customer's delivery page, as the customer sees it."""
    if customer is None:
        return f"Erased ({key})"
    try:
        href = f"{reverse('delivery', args=(customer.slug,))}?{query}"
    except NoReverseMatch:
        href = reverse("customer", args=(customer.slug,))
    return {"href": href, "text": customer.name}


def failed(customer: Customer | None, attribution: str, count: int) -> Any:
    """How many pushes of a customer failed by somebody's fault, with the way to them."""
    if customer is None or not count:
        return count
    query = urlencode({"range": "24h", "outcome": FAILURES, "attribution": attribution})
    return {"href": f"{reverse('delivery-pushes', args=(customer.slug,))}?{query}", "text": f"{count:,}"}


def choices(request: HttpRequest, name: str, words: dict[str, str], chosen: str) -> list[dict[str, Any]]:
    """Links that choose one of several, of which one is the present one."""
    return [
        {"href": f"?{name}={key}" if key else request.path, "text": text, "current": key == chosen}
        for key, text in words.items()
    ]


def page(request: HttpRequest, found: list[Any], most: int = SHOWN) -> tuple[list[Any], dict[str, str]]:
    """The rows of the page that is asked for, and the ways to the first and the next one. A page of no number, or
    behind the last one, is the first."""
    asked = request.GET.get("page", "")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1
    start = most * (max(number, 1) - 1)
    if start >= len(found):
        number, start = 1, 0
    query = request.GET.copy()
    ways = {}
    for name, there, page in (("newest", start > 0, 1), ("older", start + most < len(found), number + 1)):
        query["page"] = str(page)
        ways[name] = f"?{query.urlencode()}" if there else ""
    return found[start : start + most], ways
