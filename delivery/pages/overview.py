"""The delivery page of a customer: what was sent, what arrived, what did not, whose it is. /c/<slug>/delivery/"""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone

from delivery.insight import summary
from delivery.insight.charts import Chart
from delivery.insight.markers import markers
from delivery.insight.summary import Clock
from delivery.pages import figures, freshness, overview_charts, overview_tables
from delivery.pages.filter_bar import filter_bar
from delivery.pages.filters import Filters, parse
from delivery.pages.links import page_url
from tenants.pages.door import CustomerRequest, customer_page

# Ranges up to now that ask by themselves for what is new.
LIVE: Final = frozenset(("1h", "24h"))
NOT_MODIFIED: Final = 304


@customer_page("delivery.see")
def overview(request: CustomerRequest) -> HttpResponse:
    """The figures of the chosen filters. What htmx asks for is their part alone, 304 where nothing has changed."""
    now = timezone.now()
    filters = _counted_alone(parse(request, now=now))
    found = figures.read(filters)
    clock = Clock(now, filters.zone)
    links = overview_tables.Links(request.customer.slug, filters)
    context: dict[str, Any] = {
        "filters": filters,
        "figures": found,
        "summary": links.sentence(summary.summarise(found.counts, _when(filters.words), clock, filters.span.unit)),
        "stale": freshness.stale_since(clock),
        "rows_since": _rows_since(filters, now),
        "stats": overview_tables.stats(found, links),
        "before_words": overview_tables.BEFORE.get(filters.span.range, "the same length of time before"),
        "funnel": overview_tables.funnel(found, links),
        "reasons": overview_tables.reasons(found, links, clock),
        "gone": overview_tables.gone(found, links),
        "charts": _charts(request, found, links) if found.counts.pushes else [],
        "splits": overview_tables.splits(found, links),
        "latest": None if found.counts.pushes else overview_tables.latest(links, clock),
        "unfiltered": f"?{filters.query(**dict.fromkeys(filters.values))}",
        "test_url": page_url("test-push", request.customer.slug),
        "may_test": request.may("push.test"),
    }
    part = render_to_string("delivery/deliveries/figures.html", context, request)
    tag = hashlib.blake2b(part.encode(), digest_size=12).hexdigest()
    etag = f'"{tag}"'
    live = filters.span.range in LIVE
    context = {"part": part, "tag": tag, "live": live, "now": now, "poll": f"?{filters.query()}", "filters": filters}
    if request.headers.get("HX-Request"):
        if request.headers.get("If-None-Match") == etag:
            return HttpResponse(status=NOT_MODIFIED, headers={"ETag": etag})
        answer = render(request, "delivery/deliveries/live.html", context)
        answer["ETag"] = etag
        return answer
    csv = f"{page_url('delivery-csv', request.customer.slug)}?{filters.query()}"
    context |= {"bar": filter_bar(filters), "csv": csv if found.counts.pushes else "", "query": filters.query()}
    return render(request, "delivery/deliveries/overview.html", context)


def _counted_alone(filters: Filters) -> Filters:
    """The filters that counts know; a notice names the one that they do not."""
    if "acked" not in filters.values:
        return filters
    values = {name: value for name, value in filters.values.items() if name != "acked"}
    notice = "Counts are not told apart by their receipts: this page shows both, the list of pushes those alone."
    return replace(filters, values=values, notices=(*filters.notices, notice))


def _rows_since(filters: Filters, now: datetime) -> datetime | None:
    """Since when there are rows of single pushes, where the span begins before that."""
    oldest = now - timedelta(days=settings.RETENTION_DAYS)
    return oldest if filters.start < oldest else None


def _charts(request: CustomerRequest, found: figures.Figures, links: overview_tables.Links) -> list[Chart]:
    span = links.filters
    return overview_charts.charts(found, links, markers(request.customer, span.start, span.end, span.server))


def _when(words: str) -> str:
    return f"in {words}" if words.startswith("the last") else f"from {words}"
