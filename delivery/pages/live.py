"""The live tail of a customer's pushes: /c/<slug>/delivery/live/, which asks for its rows every few seconds."""

import hashlib
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags, quote_etag

from delivery.insight import waiting
from delivery.pages import push_reading, spans
from delivery.pages.filter_bar import filter_bar
from delivery.pages.filters import parse
from delivery.pages.push_rows import PushRow, push_rows
from tenants.pages.door import CustomerRequest, customer_page

SIZE: Final = 50
SECONDS: Final = 2.0
# With the worker's second until a row is written, and a request's time, a push is seen within five.
EVERY: Final = 3


@customer_page("delivery.see")
def live(request: CustomerRequest) -> HttpResponse:
    """The latest pushes of the filters, of the last 24 hours. The script is given the rows alone, or 304 where they are
    those that it has (If-None-Match, RFC 9110, 13.1.2)."""
    now = timezone.now()
    filters = replace(parse(request, now=now), span=spans.last(spans.DEFAULT, now))
    found = push_reading.page(filters, None, SIZE, SECONDS, with_total=False)
    rows = push_rows(found.rows)
    waits = waiting.sentence(request.customer.pk)
    etag = _etag(rows, waits, complete=found.complete)
    part = bool(request.headers.get("HX-Request"))
    bar = {} if part else filter_bar(filters)
    context = {
        "filters": filters,
        "bar": bar,
        "fields": [field for field in bar.get("fields", ()) if field.name in ("app", "outcome")],
        "rows": rows,
        "found": found,
        "waits": waits,
        "at": now,
        "etag": etag,
        "every": EVERY,
    }
    if part and etag in parse_etags(request.headers.get("If-None-Match", "")):
        answer = HttpResponse(status=HTTPStatus.NOT_MODIFIED)
    else:
        answer = render(request, f"delivery/deliveries/{'tail_rows' if part else 'tail'}.html", context)
    if part:
        answer["ETag"] = etag
    patch_vary_headers(answer, ("HX-Request",))
    return answer


def _etag(rows: list[PushRow], waits: str, *, complete: bool) -> str:
    """A digest of what is shown: which pushes, and what of them can change. Names are few, and seen at a reload."""
    shown = "\n".join(f"{row.push.trace} {row.state}" for row in rows)
    return quote_etag(hashlib.sha256(f"{complete}\n{waits}\n{shown}".encode()).hexdigest()[:32])
