"""A customer's home page: what is wrong, the last day in a sentence, the steps up to the first push. /c/<slug>/"""

from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from delivery import selectors
from delivery.insight import day as days
from delivery.insight import summary
from delivery.insight.day import Day
from delivery.insight.summary import Clock, percent
from delivery.insight.troubles import troubles
from delivery.pages.filters import FAILURES, Filters, parse
from delivery.pages.links import page_url
from delivery.pages.overview_tables import Links, Stat
from delivery.pages.push_rows import PushRow, push_rows
from hpns.pages import checklist
from tenants.pages.door import CustomerRequest, customer_page

# How far back the last pushes are looked for.
RECENT: Final = checklist.RECENT
SHOWN: Final = 10
# What the checklist says with a button of its own.
OF_CHECKLIST: Final = frozenset(("never_a_key", "no_app", "no_credential"))


@customer_page("see")
def home(request: CustomerRequest) -> HttpResponse:
    """What needs doing first, the figures of 24 hours, the checklist until all of it is done, and the last pushes."""
    now = timezone.now()
    filters = parse(request, now=now)
    day = days.read(now)
    pushes = list(selectors.since(now - RECENT)[:SHOWN])
    items = checklist.of(request)
    still_open = [each for each in items if not each.done]
    wrong = troubles(request.customer, day=day, now=now)
    if still_open:
        wrong = [trouble for trouble in wrong if trouble.kind not in OF_CHECKLIST]
    links = Links(request.customer.slug, filters)
    sentence = links.sentence(summary.summarise(day.counts, "in the last 24 hours", Clock(now, filters.zone)))
    context = {
        "items": items,
        "open": still_open,
        "troubles": wrong,
        "refused": any(trouble.kind in ("suspended", "not_entitled", "subscription") for trouble in wrong),
        "day": day,
        "summary": sentence,
        "stats": _stats(day, links, filters),
        "delivery_url": page_url("delivery", request.customer.slug),
        "pushes": pushes,
        "columns": [{"label": label} for label in ("Came", "Server", "App", "Type", "What became of it")],
        "rows": [_cells(request, row) for row in push_rows(pushes)],
    }
    return render(request, "hpns/home.html", context)


def _stats(day: Day, links: Links, filters: Filters) -> list[Stat]:
    """The day's figures; each leads to its pushes, or to the delivery page as long as there is no list of them."""
    counts, overview = day.counts, page_url("delivery", links.slug)

    def stat(label: str, number: int, share: str = "", **changes: str) -> Stat:
        address = links.pushes(**changes) or (f"{overview}?{filters.query(**changes)}" if overview else "")
        return Stat(label, f"{number:,}", share, address)

    return [
        stat("Pushes", counts.pushes),
        stat("Handed off", counts.sent, percent(counts.sent, counts.pushes), outcome="sent"),
        stat("Acknowledged by a phone", day.acked, f"{percent(day.acked, counts.sent, 1)} of them", acked="yes"),
        stat("Failed", counts.failed, percent(counts.failed, counts.pushes), outcome=FAILURES),
    ]


def _cells(request: CustomerRequest, row: PushRow) -> list[Any]:
    """A push as a row of parts/table.html, in the words of the list of pushes."""
    push = row.push
    became = {
        "kind": row.kind,
        "text": row.outcome,
        "code": row.code,
        "note": f"({push.count:,} pushes)" if push.count > 1 else "",
    }
    url = page_url("push", request.customer.slug, push.trace)
    came: dict[str, Any] = {"at": push.accepted_at, **({"href": url} if url else {})}
    return [came, row.server, row.app, row.type, became]
