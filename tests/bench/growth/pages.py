"""How long pages take on a grown database: the whole of Django's handler, middleware and templates, as the pages' role.

A page that this tree does not have is left out with a note.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from delivery.models import Delivery
from hpns.pages_process import collect_seldom
from tenants import scope
from tests.bench.growth import people
from tests.bench.growth.report import Page, percentile

# Pushes that are looked at, one after the other: none is in a cache because it has just been there.
SAMPLES: Final = 40


class Push(NamedTuple):
    """Ids of a push."""

    trace: str
    ack: str
    post: str
    device: str


class Ask(NamedTuple):
    """A page: what it is called, the name of its URL, and for the n-th time its arguments, query and form."""

    what: str
    url: str
    arguments: Callable[[int], tuple[Any, ...]]
    query: str = ""
    form: Callable[[int], dict[str, str]] | None = None


def pushes_of(slug: str) -> list[Push]:
    """Some pushes of a customer's from all of its days."""
    now, found = timezone.now(), []
    with scope.staff():
        rows = Delivery.objects.filter(customer__slug=slug, accepted_at__lt=now)
        for back in range(SAMPLES):
            before = now - timedelta(hours=26 * back % (24 * 28))
            row = rows.filter(accepted_at__lt=before).exclude(post_id=None).order_by("-accepted_at").first()
            if row is not None:
                found.append(Push(row.trace, row.ack_id, row.post_id, row.device))
    return found


def of_customer(slug: str, pushes: list[Push]) -> Iterator[Ask]:
    """The pages of a customer."""

    def at(number: int) -> Push:
        return pushes[number % len(pushes)]

    def here(_: int) -> tuple[Any, ...]:
        return (slug,)

    for span in ("24h", "30d", "90d"):
        yield Ask(f"delivery, {span}", "delivery", here, f"range={span}")
    for span in ("24h", "30d"):
        yield Ask(f"list of pushes, {span}", "delivery-pushes", here, f"range={span}")
    yield Ask("list of failed pushes, 30d", "delivery-pushes", here, "range=30d&outcome=refused")
    yield Ask("live tail", "delivery-live", here)
    yield Ask("one push", "push", lambda number: (slug, at(number).trace))
    yield Ask("one post", "post", lambda number: (slug, at(number).post))
    yield Ask("search by ack", "search", here, form=lambda number: {"q": at(number).ack})
    yield Ask("search by post", "search", here, form=lambda number: {"q": at(number).post})
    yield Ask("search by trace", "search", here, form=lambda number: {"q": at(number).trace})
    # Of a phone that nobody has: what is looked for is its fingerprint, and rows have nothing else.
    yield Ask("search by device id", "search", here, form=lambda number: {"q": f"{number:064x}"})
    yield Ask("devices, silent for 7 d, removed in 30 d", "devices", here)
    yield Ask("devices, silent for 30 d, removed in 90 d", "devices", here, "days=30&range=90d")
    yield Ask("devices, by device id", "devices", here, form=lambda number: {"device_id": f"{number:064x}"})
    yield Ask("one device", "device", lambda number: (slug, at(number).device))
    yield Ask("providers", "providers", here)
    yield Ask("home", "customer", here)
    yield Ask("servers", "servers", here)
    yield Ask("apps", "apps", here)
    yield Ask("usage", "usage", here)
    yield Ask("SLA", "sla", here)


def of_staff(slug: str, pushes: list[Push]) -> Iterator[Ask]:
    """The pages of the staff."""

    def nothing(_: int) -> tuple[Any, ...]:
        return ()

    for board in ("boards", "boards-volume", "boards-silent", "boards-unknown", "boards-providers"):
        yield Ask(f"staff: {board}", f"admin:{board}", nothing)
    yield Ask("staff: a customer's delivery page", "delivery", lambda _: (slug,), "range=24h")
    yield Ask("admin: deliveries", "admin:delivery_delivery_changelist", nothing)
    yield Ask("admin: deliveries that were refused", "admin:delivery_delivery_changelist", nothing, "outcome=refused")
    yield Ask(
        "admin: one delivery", "admin:delivery_delivery_change", lambda number: (pushes[number % len(pushes)].trace,)
    )
    yield Ask("admin: customers", "admin:tenants_customer_changelist", nothing)
    yield Ask("admin: servers", "admin:tenants_server_changelist", nothing)


def measure(
    visitor: people.Visitor, who: str, asks: Iterator[Ask], times: int, say: Callable[[str], None]
) -> list[Page]:
    """Ask for each page so many times."""
    # As the process of the pages does once it has started: else the bench measures how long its own modules are
    # looked through for garbage.
    collect_seldom()
    found = []
    for ask in asks:
        page = _measured(visitor, who, ask, times)
        say(
            f"{page.what:<40} {page.who:<6} "
            + (
                page.skipped
                or f"p50 {page.p50:5.0f} p95 {page.p95:5.0f} ms, {page.queries} queries, {page.kilobytes:.0f} KB"
            )
        )
        found.append(page)
    return found


def _measured(visitor: people.Visitor, who: str, ask: Ask, times: int) -> Page:
    page = Page(ask.what, who)
    took = []
    for number in range(times + 1):
        try:
            address = reverse(ask.url, args=ask.arguments(number)) + (f"?{ask.query}" if ask.query else "")
        except NoReverseMatch:
            page.skipped = "there is no such page"
            return page
        form = ask.form(number) if ask.form else None
        began = time.perf_counter()
        answer: Any = visitor.get(address) if form is None else visitor.post(address, form)
        body = answer.getvalue()
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code not in (200, 302, 303):
            page.skipped = f"it answers {answer.status_code}"
            return page
        page.kilobytes = max(page.kilobytes, len(body) / 1000)
    with CaptureQueriesContext(connection) as queries:
        visitor.get(address) if form is None else visitor.post(address, form)
    page.times, page.queries = times, len(queries)
    # The first one has loaded templates and made plans.
    page.p50, page.p95 = percentile(took[1:], 0.5), percentile(took[1:], 0.95)
    return page
