"""The list of a customer's pushes: /c/<slug>/delivery/pushes/, and the whole of it as CSV."""

import zlib
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from delivery.pages import push_reading
from delivery.pages.filter_bar import filter_bar
from delivery.pages.filters import Filters, parse
from delivery.pages.push_reading import Window
from delivery.pages.push_rows import SENT, Names, milliseconds, names, push_rows
from tenants import keyset, scope
from tenants.keyset import Cursor
from tenants.pages.csv_lines import csv_answer, lines
from tenants.pages.door import CustomerRequest, customer_page

PAGE_SIZE: Final = 50
CHUNK_SIZE: Final = 5_000
DAY: Final = timedelta(days=1)
COLUMNS: Final = (
    *("time", "trace", "server", "app", "platform", "type", "outcome", "code", "attribution", "answer"),
    *("handed_off_after_ms", "acknowledged_after_ms", "pushes", "ack_id", "post_id"),
)
# What of the log a line is made of.
FIELDS: Final = (
    *("accepted_at", "trace", "server_id", "app_id", "platform", "type", "outcome", "code", "attribution", "answer"),
    *("ended_at", "count", "ack_id", "post_id"),
)
# One stream of gzip (RFC 1952): 16 more than the window's bits say that to zlib.
GZIP: Final = 16 + zlib.MAX_WBITS


@customer_page("delivery.see")
def listing(request: CustomerRequest) -> HttpResponse:
    """The pushes of the filters, the newest first: `?before=` the next page."""
    filters = parse(request)
    before = keyset.parse(request.GET.get("before", ""))
    found = push_reading.page(filters, before, PAGE_SIZE)
    query = filters.query()
    context = {
        "filters": filters,
        "bar": filter_bar(filters),
        "query": query,
        "rows": push_rows(found.rows),
        "found": found,
        "before": before,
        "seconds": f"{push_reading.SECONDS:g}",
        "newest": f"?{query}" if before else "",
        "older": f"?{query}&{urlencode({'before': str(found.next_cursor)})}" if found.next_cursor else "",
        "csv": f"{reverse('delivery-pushes-csv', args=(request.customer.slug,))}?{query}",
        "kept_since": _kept_since(filters),
        "retention": settings.RETENTION_DAYS,
    }
    return render(request, "delivery/deliveries/pushes.html", context)


def _kept_since(filters: Filters) -> Any:
    """Since when pushes are kept, where the filters reach further back; else None."""
    since = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    return since if filters.start < since else None


@customer_page("delivery.see")
def export(request: CustomerRequest) -> StreamingHttpResponse:
    """All pushes of the filters as CSV, the newest first."""
    filters = parse(request)
    places = push_reading.windows(filters, None, longest=DAY)
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    pieces = _pieces(request.customer.pk, filters, places, names())
    answer = csv_answer(_packed(pieces) if packed else pieces, f"{request.customer.slug}-pushes.csv")
    # A million rows are more than a download may take of the disk until they are packed (hpns/web/page_spool.py).
    if packed:
        answer["Content-Encoding"] = "gzip"
    patch_vary_headers(answer, ("Accept-Encoding",))
    return answer


async def _pieces(customer_id: int, filters: Filters, places: Iterable[Window], named: Names) -> AsyncIterator[bytes]:
    """Piece by piece, each in a scope of its own: a long list must not hold a transaction open."""
    yield lines([COLUMNS])
    for window in places:
        before: Cursor | None = None
        while True:
            piece, before = await sync_to_async(_piece)(customer_id, filters, window, before, named)
            if piece:
                yield piece
            if before is None:
                break


def _piece(
    customer_id: int, filters: Filters, window: Window, before: Cursor | None, named: Names
) -> tuple[bytes, Cursor | None]:
    with scope.customer(customer_id):
        # Tuples: a million objects of the model would take twice as long.
        rows = list(push_reading.of_window(filters, window, before).values_list(*FIELDS)[:CHUNK_SIZE])
        acked = push_reading.receipts(rows[-1][0], rows[0][0]) if rows else {}
    text = lines(_cells(row, named, acked.get(row[1])) for row in rows)
    return text, Cursor(rows[-1][0], rows[-1][1]) if len(rows) == CHUNK_SIZE else None


async def _packed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    async for piece in pieces:
        yield await sync_to_async(packer.compress)(piece)
    yield packer.flush()


def _cells(row: tuple[Any, ...], named: Names, acked_at: datetime | None) -> tuple[object, ...]:
    at, trace, server, app, *words, ended_at, count, ack_id, post_id = row
    took = milliseconds(at, ended_at) if words[2] == SENT else "", milliseconds(at, acked_at) if acked_at else ""
    who = named.servers.get(server, "removed"), named.apps.get(app, "removed") if app else "none"
    return at.isoformat(), trace, *who, *words, *took, count, ack_id, post_id
