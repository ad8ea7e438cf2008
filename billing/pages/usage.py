"""The usage of a customer: /c/<slug>/usage/: a month in a sentence, by day and by server, seats, and all months.

Months are those of UTC, whatever the viewer's zone, because bills are made by them.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from billing.facts import Month, Terms
from billing.pages import usage_words as words
from billing.pages.day_charts import DayChart, DaySeries
from billing.usage import months, reading, sources, watching
from billing.usage.counting import Figures
from tenants.models import Server
from tenants.pages.door import CustomerRequest, customer_page
from tenants.problem import ProblemError

# Servers in the table; all of them are in the figures and in the customer's export.
SERVERS: Final = 25
# Months that are listed at once; the others are folded up.
MONTHS: Final = 13


@customer_page("subscription.see")
def usage(request: CustomerRequest) -> HttpResponse:
    """The running month; `?month=2026-10` leads to another one."""
    now = timezone.now()
    asked = request.GET.get("month", "")
    if not asked:
        return _page(request, months.month_of(now), now)
    try:
        month = months.parse(asked, now)
    except ProblemError as problem:
        return _page(request, months.month_of(now), now, problem.sentence, HTTPStatus.BAD_REQUEST)
    return redirect("usage-month", request.customer.slug, months.text(month))


@customer_page("subscription.see")
def usage_month(request: CustomerRequest, month: str) -> HttpResponse:
    """A month, as its address names it. What is none is said, above the running one."""
    now = timezone.now()
    try:
        wanted = months.parse(month, now)
    except ProblemError as problem:
        return _page(request, months.month_of(now), now, problem.sentence, HTTPStatus.NOT_FOUND)
    return _page(request, wanted, now)


def _page(
    request: CustomerRequest, month: Month, now: datetime, wrong: str = "", status: int = HTTPStatus.OK
) -> HttpResponse:
    customer, known = request.customer, sources.current()
    detail = reading.detail(customer, month, now, known)
    found, terms = detail.figures, known.terms(customer)
    state = watching.state_of(customer, now, found, terms)
    history = _since_first_use(reading.history(customer, now))
    listed = [_history_row(request, each, changed=changed) for each, changed in history]
    names = _servers(found)
    context = {
        "wrong": wrong,
        "month": months.words(month),
        "running": not months.over(month, now),
        "detail": detail,
        "summary": words.sentence(found, detail.forecast, terms, state, now),
        "forecast": detail.forecast,
        "stats": _stats(found, terms),
        "doubled": (found.devices or 0) - (found.phones or 0),
        "found": found,
        "charts": _charts(found) if found.pushes or found.devices else [],
        "server_columns": _columns("Server", "*Pushes", "*Of all", "*Active devices"),
        "server_rows": [_server_row(request, found, each, names) for each in found.by_server[:SERVERS]],
        "more_servers": len(found.by_server) - SERVERS,
        "history_columns": _columns("Month", "*Pushes", "*Active devices", "*Servers", "*Seats", "Counted"),
        "history_rows": listed[:MONTHS],
        "older_rows": listed[MONTHS:],
        "correction_columns": _columns("Counted", "*Pushes before", "*Pushes", "*Devices before", "*Devices", "Why"),
        "correction_rows": [
            [{"at": row.at}, row.pushes_before, row.pushes, row.devices_before, row.devices, row.reason]
            for row in detail.corrections
        ],
        "month_csv": reverse("usage-month-csv", args=(customer.slug, months.text(month))),
        "history_csv": reverse("usage-csv", args=(customer.slug,)) if history else "",
        **_neighbours(request, month, now),
    }
    return render(request, "billing/usage/usage.html", context, status=status)


def _stats(found: Figures, terms: Terms | None) -> list[dict[str, str]]:
    def stat(label: str, value: int | None, included: int | None, change: str = "") -> dict[str, str]:
        shown = "not counted yet" if value is None else f"{value:,}"
        return {"label": label, "value": shown, "change": words.share_words(value, included) or change, "url": ""}

    seats = "" if found.seats is None else "users of the licence"
    return [
        stat("Pushes", found.pushes, terms.included_pushes if terms else None),
        stat("Active devices", found.devices, terms.included_devices if terms else None),
        stat("Servers", found.servers, terms.included_servers if terms else None),
        {"label": "Seats", "value": "–" if found.seats is None else f"{found.seats:,}", "change": seats, "url": ""},
    ]


def _charts(found: Figures) -> list[DayChart]:
    first = found.month.first
    dates = [first + timedelta(days=day) for day in range(len(found.by_day))]
    devices = found.devices_by_day if found.devices is not None else [None] * len(dates)
    return [
        DayChart("pushes", "Pushes by day (UTC)", "pushes", dates, [DaySeries("Pushes", found.by_day)]),
        DayChart(
            "devices",
            "Active devices by day (UTC)",
            "devices",
            dates,
            [DaySeries("Active devices", devices)],
            "Active devices are counted once an hour: they have not been yet.",
        ),
    ]


def _servers(found: Figures) -> dict[int, Server]:
    ids = [each.server for each in found.by_server[:SERVERS]]
    return {row.pk: row for row in Server.objects.filter(pk__in=ids)} if ids else {}


def _server_row(request: CustomerRequest, found: Figures, each: Any, names: dict[int, Server]) -> list[Any]:
    server = names.get(each.server)
    share = f"{100 * each.pushes / found.pushes:.1f} %" if found.pushes else ""
    devices = "–" if found.devices is None else each.devices
    if server is None:
        return ["A server that is no more", each.pushes, share, devices]
    url = _delivery(request, found.month, server)
    name = {"text": server.name, "href": url} if url else server.name
    return [name, each.pushes, share, devices]


def _delivery(request: CustomerRequest, month: Month, server: Server) -> str:
    """The delivery page of this server and month; "" where there is none."""
    try:
        page = reverse("delivery", args=(request.customer.slug,))
    except NoReverseMatch:
        return ""
    bounds = {"from": months.begins(month), "to": min(months.ends(month), datetime.now(UTC))}
    spelt = {name: f"{at:%Y-%m-%dT%H:%M}Z" for name, at in bounds.items()}
    return f"{page}?{urlencode({**spelt, 'server': str(server.public_id)})}"


def _since_first_use(history: list[tuple[Figures, bool]]) -> list[tuple[Figures, bool]]:
    """The closed months, the latest first, without those before the first one in which anything was used."""
    used = [place for place, (found, changed) in enumerate(history) if found.pushes or found.devices or changed]
    return history[: max(used) + 1] if used else history[:1]


def _history_row(request: CustomerRequest, found: Figures, *, changed: bool) -> list[Any]:
    url = reverse("usage-month", args=(request.customer.slug, months.text(found.month)))
    return [
        {"text": months.words(found.month), "href": url},
        found.pushes,
        "–" if found.devices is None else found.devices,
        found.servers,
        "–" if found.seats is None else found.seats,
        {"kind": "warn", "text": "Corrected"} if changed else {"kind": "good", "text": "Closed"},
    ]


def _neighbours(request: CustomerRequest, month: Month, now: datetime) -> dict[str, Any]:
    """The ways to the month before and after, where there are any."""
    present, slug = months.month_of(now), request.customer.slug
    before, after = months.moved(month, -1), months.moved(month, 1)
    earliest = max(months.moved(present, -months.KEPT), months.month_of(request.customer.created_at))

    def way(to: Month) -> dict[str, str]:
        url = reverse("usage", args=(slug,)) if to == present else reverse("usage-month", args=(slug, months.text(to)))
        return {"url": url, "text": months.words(to)}

    return {
        "before": way(before) if before >= earliest else None,
        "after": way(after) if after <= present else None,
    }


def _columns(*labels: str) -> list[dict[str, Any]]:
    """Columns of parts/table.html; a star before its label makes one of numbers."""
    return [{"label": label.removeprefix("*"), "number": label.startswith("*")} for label in labels]
