"""A customer's audit log: to be read, and to be taken along as CSV."""

import json
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any, Final
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django import forms
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse

from tenants import keyset, scope
from tenants.audit import reading, recording
from tenants.audit.reading import Page
from tenants.keyset import Cursor
from tenants.models import AuditEvent, audit_words
from tenants.pages.csv_lines import csv_answer, lines
from tenants.pages.door import CustomerRequest, customer_page

PAGE_SIZE: Final = 50
CHUNK_SIZE: Final = 1_000
COLUMNS: Final = ("time", "by", "capacity", "address", "action", "target", "details", "words")


class FilterForm(forms.Form):
    """What of the log is shown."""

    action = forms.ChoiceField(label="What happened", required=False)

    def __init__(self, *args: Any, actions: list[tuple[str, str]], **kwargs: Any) -> None:
        """`actions`: those to choose from, with their words."""
        super().__init__(*args, **kwargs)
        self.fields["action"].choices = [("", "Everything"), *actions]  # type: ignore[attr-defined]


@customer_page("audit.see")
def listing(request: CustomerRequest) -> HttpResponse:
    """Who did what, the newest first: `?action=` one action or noun, `?before=` the next page."""
    action = request.GET.get("action", "")
    before = keyset.parse(request.GET.get("before", ""), number=True)
    found = reading.page(before=before, action=action, size=PAGE_SIZE)
    chosen = {"action": action} if action else {}
    caption = f"Only: {audit_words.description(action)}" if action else "All entries"
    context = {
        "columns": [{"label": label} for label in ("Time", "By", "What", "On", "Details")],
        "rows": [_row(event) for event in found.events],
        "caption": f"{caption}, before {before.at.astimezone(UTC):%-d %b %Y, %H:%M} UTC" if before else caption,
        "form": FilterForm(initial=chosen, actions=reading.actions(action)),
        "newest": f"?{urlencode(chosen)}" if before else "",
        "older": f"?{urlencode({**chosen, 'before': str(found.next_cursor)})}" if found.next_cursor else "",
        "csv": f"{reverse('audit-csv', args=(request.customer.slug,))}?{urlencode(chosen)}",
        "before": before,
        "action_words": audit_words.description(action),
        # Where there is something to be had: beyond the last page there is.
        "may_export": request.may("audit.export") and bool(found.events or before),
    }
    return render(request, "tenants/audit/events.html", context)


@customer_page("audit.export")
def export(request: CustomerRequest) -> StreamingHttpResponse:
    """The whole log as CSV, the newest first, of one action with `?action=`."""
    action = request.GET.get("action", "")
    recording.record("audit.export", customer=request.customer, target=request.customer.name)
    return csv_answer(_chunks(request.customer.pk, action), f"{request.customer.slug}-audit.csv")


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


def _row(event: AuditEvent) -> list[Any]:
    """An event as a row of parts/table.html."""
    capacity = " (staff)" if event.actor_kind == "staff" else ""
    address = f" from {event.address}" if event.address else ""
    details = ", ".join(f"{name}: {value}" for name, value in event.given_details)
    return [{"at": event.at, "exact": True}, f"{event.actor}{capacity}{address}", event.what, event.target, details]


def _cells(event: AuditEvent) -> tuple[object, ...]:
    details = json.dumps(event.details, ensure_ascii=False) if event.details else ""
    who = event.at.isoformat(), event.actor, event.actor_kind, event.address
    return *who, event.action, event.target, details, event.what
