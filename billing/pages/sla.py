"""A customer's SLA: /c/<slug>/sla/. A month in a sentence, its figures, its bad minutes, its files."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from billing import money
from billing.facts import Month, SlaMonth
from billing.models import SlaCorrection, SlaDay, SlaLedger
from billing.pages import sla_words as words
from billing.sla import breaks, judging, months, packing, reading, telling
from billing.sla.credits import credit, given
from billing.sla.judging import MINUTE, Row
from billing.sla.sources import wired
from tenants.models import Customer
from tenants.pages.door import CustomerRequest, customer_page
from tenants.problem import ProblemError

# Minutes in the list; all of them are in the files.
LISTED: Final = 25
MINUTE_COLUMNS: Final = (
    {"label": "Minute (UTC)"},
    {"label": "Verdict", "word": True},
    {"label": "Pushes", "number": True},
    {"label": "Failed by us", "number": True},
    {"label": "Why"},
)
MONTH_COLUMNS: Final = (
    {"label": "Month"},
    {"label": "Uptime", "number": True},
    {"label": "By time", "number": True},
    {"label": "By requests", "number": True},
    {"label": "Within 3 s", "number": True},
    {"label": "Credit"},
    {"label": "Files"},
)


@customer_page("subscription.see")
def sla(request: CustomerRequest) -> HttpResponse:
    """This month so far, or the one of ?month=2026-10."""
    now = timezone.now()
    current = judging.month_of(now.date())
    month = asked_month(request, current)
    customer, of = request.customer, reading.ledger_of(request.customer)
    told = reading.month(customer, month, now) if of else None
    context: dict[str, Any] = {
        "month": month.first,
        "so_far": month == current,
        "canary_off": wired().canary(now - 2 * MINUTE, now - MINUTE) is None,
        "has_sla": wired().price(customer, month) is not None,
        "published": settings.PUBLIC_URL,
    }
    if of is None or told is None:
        return render(request, "billing/sla/sla.html", context)
    rows = reading.rows(customer, month)
    troubled = [row for row in rows if row.verdict != judging.OK]
    last = reading.sealed_to_of(customer)
    ahead = months.ahead(of, month, reading.known_until(now)) if month == current else 0
    context |= {
        "told": told,
        "summary": words.sentence(told, so_far=month == current, has_sla=context["has_sla"], ahead=ahead),
        "stats": words.stats(told, ahead),
        "grid": _grid(customer, rows, month, of.begins, now),
        "hours": range(24),
        "minute_columns": MINUTE_COLUMNS,
        "minute_rows": [_minute(customer, row, now) for row in reversed(troubled[-LISTED:])],
        "troubled": len(troubled),
        "listed": LISTED,
        "credit": _credit(request, told, month == current),
        "month_columns": MONTH_COLUMNS,
        "month_rows": [_month(request, each, last) for each in reading.past_months(customer)],
        "corrections": SlaCorrection.objects.filter(
            customer=customer, minute__year=month.year, minute__month=month.month
        ),
        "ledger": of,
        "broken": _broken(of),
        "breaks": _breaks(customer, last),
        "sealed_to": last,
        "has_files": last is not None and max(of.begins, month.first) <= last,
    }
    return render(request, "billing/sla/sla.html", context)


@customer_page("subscription.see")
def files(request: CustomerRequest, year: int, number: int) -> HttpResponse:
    """The sealed files of a month as a zip."""
    if not (2000 <= year < 3000 and 1 <= number <= 12):
        raise Http404
    month = Month(year, number)
    try:
        package = reading.package(request.customer, month)
    except ProblemError as error:
        raise Http404(str(error)) from error
    roots = f"{settings.PUBLIC_URL.rstrip('/')}{reverse('sla-roots')}"
    known = {
        "month": month.first,
        "roots": roots,
        "verifier": roots.replace(reverse("sla-roots"), reverse("sla-verifier")),
    }
    readme = render(request, "billing/sla/readme.txt", {**known, "sealed_to": package.sealed_to}).content
    answer = HttpResponse(packing.archive({"README.txt": readme, **package.files}), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{request.customer.slug}-sla-{month.first:%Y-%m}.zip"'
    return answer


def asked_month(request: HttpRequest, current: Month) -> Month:
    """The month in the address; the current one where there is none, or none that could be."""
    text = request.GET.get("month", "")
    try:
        found = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        return current
    return min(Month(found.year, found.month), current)


def pushes_url(customer: Customer, start: datetime, end: datetime, now: datetime, **filters: str) -> str:
    """The way to the pushes of a span; "" where the log has none of that time any more."""
    if start < now - timedelta(days=settings.RETENTION_DAYS):
        return ""
    span = {"from": f"{start:%Y-%m-%dT%H:%M}Z", "to": f"{end:%Y-%m-%dT%H:%M}Z"}
    return f"{reverse('delivery-pushes', args=(customer.slug,))}?{urlencode({**span, **filters})}"


def _broken(of: SlaLedger) -> str:
    """What is said of a broken chain; "" of one that goes on."""
    if not breaks.all_broken().filter(pk=of.pk).exists():
        return ""
    since = breaks.broke_on(of)
    missing = not SlaDay.objects.filter(customer_id=of.customer_id, day=since).exists()
    return words.broken(since, of.begins, missing=missing)


def _breaks(customer: Customer, last: date | None) -> list[dict[str, Any]]:
    """The breaks after which the chain is begun anew. last: the last day with a file."""
    return [
        {
            "one": each,
            "months": telling.months_of(each.broke_on, each.begins),
            "begun": last is not None and each.begins <= last,
        }
        for each in breaks.renewals(customer.pk)
    ]


def _grid(customer: Customer, rows: list[Row], month: Month, begins: Any, now: datetime) -> list[words.Day]:
    days = words.grid(rows, month, judging.midnight(begins), reading.known_until(now))
    return [
        day._replace(
            cells=[
                cell._replace(href=pushes_url(customer, cell.at, cell.at + words.HOUR, now)) if cell.bad else cell
                for cell in day.cells
            ]
        )
        for day in days
    ]


def _minute(customer: Customer, row: Row, now: datetime) -> list[Any]:
    """A line of the list of minutes."""
    href = pushes_url(customer, row.minute, row.minute + MINUTE, now) if row.valid else ""
    bad = row.verdict == judging.BAD
    verdict = {"kind": "bad" if bad else "info", "text": "bad" if bad else "excluded"}
    why = words.REASONS.get(row.reason, row.reason)
    text = f"{row.minute:%-d %b %Y, %H:%M}"
    return [{"href": href, "text": text} if href else text, verdict, row.valid, row.failed_ours, why]


def _credit(request: CustomerRequest, told: SlaMonth, so_far: bool) -> str:
    """What is credited for a month, as far as the reader may know."""
    price = wired().price(request.customer, told.month)
    if price is None:
        return "none: the plan has no SLA"
    if so_far:
        owed = credit(request.customer.pk, told, price, "")
        if owed is None:
            return "none"
        amount = money.text(owed.amount_minor, owed.currency)
        return f"{owed.percent} %" + (f", {amount}" if request.may("billing.read") else "")
    return _given(request, told.month) or "none"


def _given(request: CustomerRequest, month: Month) -> str:
    rows = given(request.customer.pk, month)
    if not rows:
        return ""
    amount = money.text(sum(row.amount_minor for row in rows), rows[-1].currency)
    return f"{rows[-1].percent} %" + (f", {amount}" if request.may("billing.read") else "")


def _month(request: CustomerRequest, told: SlaMonth, sealed_to: date | None) -> list[Any]:
    """A line of the past months."""
    month, slug = told.month, request.customer.slug
    page = f"{reverse('sla', args=(slug,))}?month={month.first:%Y-%m}"
    zipped = reverse("sla-files", args=(slug, month.year, month.month))
    return [
        {"href": page, "text": words.name(month)},
        words.percent(told.uptime),
        words.percent(told.by_time),
        words.percent(told.by_requests),
        words.percent(told.within_3s) if told.valid else "no push",
        _given(request, month) or "none",
        {"href": zipped, "text": f"{month.first:%Y-%m}.zip"}
        if sealed_to and month.first <= sealed_to
        else "not sealed",
    ]
