"""A customer's audit log: to be read, and to be taken along as CSV."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable
from typing import Final

from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from tenants import scope
from tenants.audit import reading, recording
from tenants.audit.reading import Cursor, Page
from tenants.models import AuditEvent, audit_words
from tenants.pages.door import CustomerRequest, customer_page

PAGE_SIZE: Final = 50
CHUNK_SIZE: Final = 1_000
COLUMNS: Final = ("time", "by", "capacity", "address", "action", "target", "details", "words")
# What a spreadsheet would take for a formula. https://owasp.org/www-community/attacks/CSV_Injection
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@customer_page("audit.see")
def listing(request: CustomerRequest) -> HttpResponse:
    """Who did what, the newest first: `?action=` one action or noun, `?before=` the next page."""
    action = request.GET.get("action", "")
    before = reading.parse_cursor(request.GET.get("before", ""))
    found = reading.page(before=before, action=action, size=PAGE_SIZE)
    context = {
        "customer": request.customer,
        "events": found.events,
        "following": found.next_cursor,
        "before": before,
        "action": action,
        "action_words": audit_words.description(action),
        "actions": reading.actions(action),
        # Where there is something to be had: beyond the last page there is.
        "may_export": request.may("audit.export") and bool(found.events or before),
    }
    return render(request, "tenants/audit/events.html", context)


@customer_page("audit.export")
def export(request: CustomerRequest) -> StreamingHttpResponse:
    """The whole log as CSV, the newest first, of one action with `?action=`."""
    action = request.GET.get("action", "")
    recording.record("audit.export", customer=request.customer, target=request.customer.name)
    answer = StreamingHttpResponse(_chunks(request.customer.pk, action), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{request.customer.slug}-audit.csv"'
    # Django's GZipMiddleware packs each piece apart, and browsers read the first of such packs alone.
    answer["Content-Encoding"] = "identity"
    return answer


async def _chunks(customer_id: int, action: str) -> AsyncIterator[bytes]:
    """Piece by piece, each in a scope of its own: a long log must not hold a transaction open."""
    before: Cursor | None = None
    yield lines([COLUMNS])
    while True:
        found = await sync_to_async(_chunk)(customer_id, before, action)
        yield lines(map(_cells, found.events))
        before = found.next_cursor
        if before is None:
            return


def _chunk(customer_id: int, before: Cursor | None, action: str) -> Page:
    with scope.customer(customer_id):
        return reading.page(before=before, action=action, size=CHUNK_SIZE)


def _cells(event: AuditEvent) -> tuple[object, ...]:
    details = json.dumps(event.details, ensure_ascii=False) if event.details else ""
    who = event.at.isoformat(), event.actor, event.actor_kind, event.address
    return *who, event.action, event.target, details, event.what


def lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as lines of CSV. What a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    csv.writer(out).writerows(map(_escape_formula, row) for row in rows)
    return out.getvalue().encode()


def _escape_formula(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text
