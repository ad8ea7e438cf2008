"""The counts of the delivery page as CSV: per step and all that pushes are told apart by, the whole of them."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from delivery.insight.catalogue import entry, whose
from delivery.pages import spans
from delivery.pages.figures import percentiles
from delivery.pages.filter_bar import app_label
from delivery.pages.filters import Filters, parse
from delivery.rollups.reading import Counted, counted
from tenants import scope
from tenants.models import PushApp, Server
from tenants.pages.csv_lines import csv_answer, lines
from tenants.pages.door import CustomerRequest, customer_page

BY: Final = ("server_id", "app_id", "family", "type", "outcome", "code", "attribution")
LATENCIES: Final = tuple(f"{name}_p{share}_ms" for name in ("handoff", "receipt") for share in (50, 95, 99))
COLUMNS: Final = (
    *("from", "to", "server", "app", "platform", "type", "outcome", "code", "cause", "whose", "pushes", "acked"),
    *LATENCIES,
)


@customer_page("delivery.see")
def export(request: CustomerRequest) -> StreamingHttpResponse:
    """The counts of the chosen filters, the earliest step first; times with the offset of the viewer's zone."""
    filters = parse(request)
    return csv_answer(_chunks(request.customer.pk, filters), f"{request.customer.slug}-delivery.csv")


async def _chunks(customer_id: int, filters: Filters) -> AsyncIterator[bytes]:
    """Step by step, each in a scope of its own: a long download must not hold a transaction open."""
    yield lines([COLUMNS])
    begins = [max(at, filters.start) for at in spans.steps(filters.span, filters.zone)]
    for start, end in zip(begins, [*begins[1:], filters.end], strict=True):
        if chunk := await sync_to_async(_chunk)(customer_id, filters, start, end):
            yield chunk


def _chunk(customer_id: int, filters: Filters, start: datetime, end: datetime) -> bytes:
    with scope.customer(customer_id):
        unit = filters.span.unit
        rows = counted(start, end, by=BY, latencies=True, unit=unit, **filters.lookups)
        servers = dict(Server.objects.filter(pk__in={row.of["server_id"] for row in rows}).values_list("pk", "name"))
        wanted = {row.of["app_id"] for row in rows}
        apps = [*PushApp.objects.filter(pk__in=wanted), *scope.shared_apps().filter(pk__in=wanted)]
        names = {app.pk: app_label(app) for app in apps}
    times = [at.astimezone(filters.zone).isoformat(timespec="minutes") for at in (start, end)]
    return lines((*times, *_cells(row, servers, names)) for row in _in_order(rows, servers))


def _in_order(rows: list[Counted], servers: dict[int, str]) -> list[Counted]:
    return sorted(rows, key=lambda row: (servers.get(row.of["server_id"], ""), *map(str, row.of.values())))


def _cells(row: Counted, servers: dict[int, str], apps: dict[int, str]) -> Iterator[Any]:
    of = row.of
    meaning = entry(of["code"])
    yield servers.get(of["server_id"], "")
    yield apps.get(of["app_id"], "")
    yield from (of["family"], of["type"], of["outcome"], of["code"], meaning.cause if meaning else "")
    yield whose(of["attribution"], meaning.provider if meaning else "")
    yield from (row.pushes, row.acked, *percentiles(row.handoff), *percentiles(row.receipt))
