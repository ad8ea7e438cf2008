"""The staff's board of the SLA: all customers worst first, credits to come, and minutes with who and why."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db.models import Case, Count, IntegerField, Sum, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone

from billing import money
from billing.facts import Month, SlaMonth
from billing.models import SlaCorrection, SlaKey, SlaLedger, SlaMinute
from billing.pages.sla_words import REASONS, name, number, percent
from billing.sla import judging, keeping, months, reading
from billing.sla.credits import credit
from billing.sla.judging import MINUTE
from billing.sla.sources import wired
from tenants.models import Customer
from tenants.staff_roles import MONEY

View = Callable[[HttpRequest], HttpResponse]
SHOWN: Final = 50
MINUTES: Final = 100
# Customers named beside a minute.
NAMED: Final = 3
_SHOWN: Final = ("Customer", "Uptime", "By time", "By requests", "Pushes", "Failed by us", "Budget left")
_NUMBERS: Final = ("Uptime", "By time", "By requests", "Pushes", "Failed by us", "Budget left", "Customers")


def board(request: HttpRequest) -> HttpResponse:
    """This month's customers, the worst first."""
    now = timezone.now()
    money_too = request.user.has_perm(MONEY)
    month = judging.month_of(now.date())
    ends = judging.midnight(judging.days_of(month)[-1]) + 1_440 * MINUTE
    ahead = max(0, int((ends - reading.known_until(now)) / MINUTE))
    found = sorted(_figures(month, now), key=lambda each: (each[1].uptime, -each[1].failed_ours))
    shown, pages = _page(request, found)
    context = {
        "board": "boards-sla",
        "board_title": "SLA of all customers",
        "answer": _answer(found, month),
        "columns": _columns(*_SHOWN, *(("Credit",) if money_too else ())),
        "rows": [
            [*_cells(customer, told, ahead), *([_credit(customer, told)] if money_too else [])]
            for customer, told in shown
        ],
        "minute_columns": _columns("Minute (UTC)", "Customers", "Who", "Why", "Failed by us"),
        "minute_rows": _minutes(month),
        "nothing": "No customer has a ledger",
        "sealed_to": keeping.sealed_to(),
        "key": SlaKey.objects.order_by("-made_at").first(),
        "canary_off": wired().canary(now - 2 * MINUTE, now - MINUTE) is None,
        **pages,
    }
    return render(request, "billing/sla/board.html", context)


def urls(guarded: Callable[[View], View]) -> list[Any]:
    """The board's URL; `guarded` makes a page of the staff's of a view."""
    return [path("boards/sla/", guarded(board), name="boards-sla")]


def _figures(month: Month, now: Any) -> list[tuple[Customer, SlaMonth]]:
    """The month so far of each customer: by sums in the database, corrected months by their rows."""
    start, until = judging.midnight(month.first), reading.known_until(now)
    bad, excluded = (_count(verdict) for verdict in (judging.BAD, judging.EXCLUDED))
    summed = SlaMinute.objects.filter(minute__gte=start, minute__lt=until).values("customer_id").order_by()
    names = ("valid", "failed_ours", "le_1s", "le_3s")
    sums = {
        row["customer_id"]: row
        for row in summed.annotate(bad=bad, excluded=excluded, **{f"{n}_": Sum(n) for n in names})
    }
    corrected = set(SlaCorrection.objects.filter(minute__gte=start).values_list("customer_id", flat=True))
    found = []
    for of in SlaLedger.objects.select_related("customer"):
        minutes = int((until - max(start, judging.midnight(of.begins))) / MINUTE)
        row = sums.get(of.customer_id)
        told = months.figures(of, month, until) if of.customer_id in corrected else _told(row or {}, month, minutes)
        if told is not None:
            found.append((of.customer, told))
    return found


def _count(verdict: str) -> Sum:
    return Sum(Case(When(verdict=verdict, then=Value(1)), default=Value(0), output_field=IntegerField()))


def _told(row: Mapping[str, Any], month: Month, minutes: int) -> SlaMonth | None:
    if minutes <= 0:
        return None
    figures = row or dict.fromkeys(("valid_", "failed_ours_", "le_1s_", "le_3s_", "bad", "excluded"), 0)
    return judging.of_sums(
        month,
        minutes=minutes,
        bad=int(figures["bad"]),
        excluded=int(figures["excluded"]),
        valid=int(figures["valid_"]),
        failed=int(figures["failed_ours_"]),
        le_1s=int(figures["le_1s_"]),
        le_3s=int(figures["le_3s_"]),
    )


def _answer(found: list[tuple[Customer, SlaMonth]], month: Month) -> str:
    """The service-wide figure, and how many promises are broken."""
    if not found:
        return "Nothing has been measured yet."
    valid, failed = sum(told.valid for _, told in found), sum(told.failed_ours for _, told in found)
    whole = judging.percent(valid - failed, valid)
    broken = sum(told.credit_percent > 0 for _, told in found)
    share = (
        f"We failed {failed:,} of {number(valid, 'push', 'pushes')} of all customers ({whole} % went well)"
        if whole is not None
        else "No push came"
    )
    below = number(broken, "customer is", "customers are") if broken else "no customer is"
    return f"{share} in {name(month)} so far; {below} below the promise."


def _cells(customer: Customer, told: SlaMonth, ahead: int) -> list[Any]:
    minutes, requests = judging.budget(told, ahead)
    left = f"{minutes:,} min" + (f", {requests:,} pushes" if requests is not None else "")
    return [
        {"href": reverse("sla", args=(customer.slug,)), "text": customer.name},
        {"kind": "bad" if told.credit_percent else "good", "text": percent(told.uptime)},
        percent(told.by_time),
        percent(told.by_requests),
        told.valid,
        told.failed_ours,
        left,
    ]


def _credit(customer: Customer, told: SlaMonth) -> str:
    price = wired().price(customer, told.month)
    if price is None:
        return "no SLA"
    owed = credit(customer.pk, told, price, "")
    return f"{owed.percent} %, {money.text(owed.amount_minor, owed.currency)}" if owed else "none"


def _minutes(month: Month) -> list[list[Any]]:
    """The latest bad minutes, with their customers."""
    rows = SlaMinute.objects.filter(minute__gte=judging.midnight(month.first), verdict=judging.BAD).order_by()
    latest = (
        rows.values("minute", "reason").annotate(customers=Count("id"), failed=Sum("failed_ours")).order_by("-minute")
    )
    found = list(latest[:MINUTES])
    who: dict[tuple[Any, str], list[str]] = {}
    wanted = rows.filter(minute__in={each["minute"] for each in found})
    for minute, reason, whose in wanted.values_list("minute", "reason", "customer__name")[: MINUTES * SHOWN]:
        who.setdefault((minute, reason), []).append(whose)
    return [
        [
            f"{each['minute']:%-d %b, %H:%M}",
            each["customers"],
            _named(who.get((each["minute"], each["reason"]), []), each["customers"]),
            REASONS.get(each["reason"], each["reason"]),
            int(each["failed"]),
        ]
        for each in found
    ]


def _named(names: list[str], count: int) -> str:
    more = count - NAMED
    return ", ".join(sorted(names)[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _columns(*labels: str) -> list[dict[str, Any]]:
    return [{"label": label, "number": label in _NUMBERS} for label in labels]


def _page(request: HttpRequest, found: list[Any]) -> tuple[list[Any], dict[str, str]]:
    asked = request.GET.get("page", "")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1
    start = SHOWN * (max(number, 1) - 1)
    if start >= len(found):
        number, start = 1, 0
    older = f"?page={number + 1}" if start + SHOWN < len(found) else ""
    return found[start : start + SHOWN], {"newest": "?" if start else "", "older": older}
