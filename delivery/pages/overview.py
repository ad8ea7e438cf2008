"""The delivery page of a customer: what was sent, what arrived, what did not, whose it is. /c/<slug>/delivery/"""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from delivery.insight import announced, summary, waiting
from delivery.insight.markers import markers, with_those_around
from delivery.insight.summary import Clock
from delivery.insight.trouble import Trouble
from delivery.insight.troubles import troubles
from delivery.pages import figures, freshness, overview_charts, overview_splits, overview_tables
from delivery.pages.filter_bar import filter_bar
from delivery.pages.filters import Filters, parse
from delivery.pages.links import page_url
from delivery.rollups.reading import MINUTE
from tenants.inventory import Inventory
from tenants.pages.door import CustomerRequest, customer_page

# Ranges up to now that ask by themselves for what is new.
LIVE: Final = frozenset(("1h", "24h"))
NOT_MODIFIED: Final = 304
# Filters that choose pushes by what became of them.
BY_OUTCOME: Final = frozenset(("outcome", "code", "attribution"))
# The kind of trouble that counts pushes by their code, as this page does.
COUNTED_TROUBLE: Final = "failures"


@customer_page("delivery.see")
def overview(request: CustomerRequest) -> HttpResponse:
    """The figures of the chosen filters. What htmx asks for is their part alone, 304 where nothing has changed."""
    now = timezone.now()
    filters = _counted_alone(parse(request, now=now))
    clock = Clock(now, filters.zone)
    said = cache(lambda: (freshness.stale_since(clock), waiting.sentence(request.customer.pk)))
    poll = bool(request.headers.get("HX-Request"))
    known = request.headers.get("If-None-Match", "") if poll else ""
    if known and known == (etag := _etag(filters, said(), figures.totals(filters))):
        return HttpResponse(status=NOT_MODIFIED, headers={"ETag": etag})
    links = overview_tables.Links(request.customer.slug, filters)
    inventory = Inventory()
    found = figures.read(filters, len(inventory.servers), now, meanwhile=said)
    stale, waits = said()
    etag = _etag(filters, (stale, waits), (found.counts.pushes, found.acked))
    context = _figures(request, found, links, clock, inventory)
    live = filters.span.range in LIVE
    context |= {"waits": waits if live else ""}
    context |= {"stale": stale, "tag": etag.strip('"'), "live": live, "now": now, "poll": f"?{filters.query()}"}
    if poll:
        answer = render(request, "delivery/deliveries/live.html", context)
        answer["ETag"] = etag
        return answer
    csv = f"{page_url('delivery-csv', request.customer.slug)}?{filters.query()}"
    context |= {
        "bar": filter_bar(filters, inventory),
        "csv": csv if found.counts.pushes else "",
        "query": filters.query(),
    }
    return render(request, "delivery/deliveries/overview.html", context)


def _etag(filters: Filters, said: tuple[str, str], totals: tuple[int, int]) -> str:
    """The ETag of the part with the figures: another where more was counted (see figures.totals), and in the next
    minute."""
    what = (filters.query(), str(filters.zone), filters.start, totals, said, settings.VERSION)
    return f'"{hashlib.blake2b(repr(what).encode(), digest_size=12).hexdigest()}"'


def _figures(
    request: CustomerRequest,
    found: figures.Figures,
    links: overview_tables.Links,
    clock: Clock,
    inventory: Inventory,
) -> dict[str, Any]:
    """What figures.html shows."""
    filters = links.filters
    chosen = not BY_OUTCOME.isdisjoint(filters.values)
    told = links.sentence(
        summary.summarise(found.counts, _when(filters.words), clock, filters.span.unit, chosen=chosen)
    )
    wrong = troubles(
        request.customer, server=filters.server, app=filters.app, day=found.day, now=clock.now, inventory=inventory
    )
    if wrong and told["kind"] == "good":
        # Nothing of what came failed; that says nothing of what does not come in, or is about to fail.
        told["kind"] = wrong[0].mark
    return {
        "troubles": _besides(wrong, found),
        "filters": filters,
        "figures": found,
        "summary": told,
        "rows_since": _rows_since(filters, clock.now),
        "stats": overview_tables.stats(found, links),
        "before_words": overview_tables.BEFORE.get(filters.span.range, "the same length of time before"),
        "funnel": overview_tables.funnel(found, links),
        "reasons": overview_tables.reasons(found, links, clock),
        "gone": overview_tables.gone(found, links),
        "one_sided": overview_splits.one_sided(found.splits.get("family", {})),
        "splits": overview_splits.splits(found, links, inventory),
        "latest": None if found.counts.pushes else overview_tables.latest(links, clock),
        "unfiltered": f"?{filters.query(**dict.fromkeys(filters.values))}",
        "test_url": page_url("test-push", request.customer.slug),
        "may_test": request.may("push.test"),
        **_over_time(request, found, links),
    }


def _over_time(request: CustomerRequest, found: figures.Figures, links: overview_tables.Links) -> dict[str, Any]:
    """The charts; and when the failure that the sentence speaks of began within the span, and what changed then."""
    span, customer = links.filters, request.customer
    if not found.counts.pushes:
        return {"charts": [], "began": {}}
    bands = announced.bands(span.start, span.end)
    run = found.counts.failures[0].run if found.counts.failures else None
    if run is None or run.from_the_start:
        changed = markers(customer, span.start, span.end, span.server)
        return {"charts": overview_charts.charts(found, links, changed, bands), "began": {}}
    # Of hours, the minute in which the first of them began to fail is known where minutes are kept.
    unit = MINUTE if run.first.minute else span.span.unit
    changed, near = with_those_around(customer, span.start, span.end, run.first, unit, span.server)
    return {
        "charts": overview_charts.charts(found, links, changed, bands),
        "began": {"at": run.first, "changes": near},
    }


def _besides(wrong: list[Trouble], found: figures.Figures) -> list[Trouble]:
    """Those that the sentence and the table of reasons do not tell themselves."""
    told = {failure.code for failure in found.counts.failures} | ({""} if found.counts.failed else set())
    return [each for each in wrong if each.kind != COUNTED_TROUBLE or each.code not in told]


def _counted_alone(filters: Filters) -> Filters:
    """The filters that counts know; a notice names the one that they do not."""
    if "acked" not in filters.values:
        return filters
    values = {name: value for name, value in filters.values.items() if name != "acked"}
    notice = "Counts are not told apart by their receipts: this page shows both, the list of pushes those alone."
    return replace(filters, values=values, notices=(*filters.notices, notice))


def _rows_since(filters: Filters, now: datetime) -> datetime | None:
    """Since when there are rows of single pushes, where the span begins before that."""
    # They leave by whole days, of UTC.
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    oldest = today - timedelta(days=settings.RETENTION_DAYS)
    return oldest if filters.start < oldest else None


def _when(words: str) -> str:
    return f"in {words}" if words.startswith("the last") else f"from {words}"
