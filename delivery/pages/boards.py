"""The staff's boards: all customers side by side, what providers answer, and what nobody knows. They change nothing.

Below /admin/boards/, in the look of customers' pages; hpns/pages/staff_site.py lets staff in, with a second factor
alone, and puts them into the scope of everything. From a customer's name they lead to its delivery page, where looking
on is noted in the customer's audit log.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone

from delivery.insight import announced, credentials, customers, providers, refusing, unknown
from delivery.insight.customers import Health, Silent
from delivery.insight.standing import Figures, Standing, milliseconds, percent
from delivery.pages import board_parts as parts
from delivery.pages import breaker_rows, dead_letters
from tenants.models import Customer

View = Callable[[HttpRequest], HttpResponse]

# Orders of the board of troubles: whose fault counts; "" is everybody's.
WHOSE: Final = {"": "All failures", "ours": "By us", "provider": "By a provider", "own": "By the customer"}
# What the log calls them.
ATTRIBUTIONS: Final = {"ours": "ours", "provider": "provider", "own": "customer"}
SPANS: Final = {"6h": timedelta(hours=6), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
SPAN_WORDS: Final = {"6h": "6 hours", "24h": "24 hours", "7d": "7 days"}
TITLES: Final = {
    "boards": "Customers in trouble",
    "boards-volume": "Customers by volume",
    "boards-silent": "Silent customers",
    "boards-unknown": "Answers that nobody knows",
    "boards-providers": "Providers and credentials",
    "boards-dead-letters": "Dead letters",
}
STANDINGS: Final = ("Provider", "Last", "State", "Handed off", "By provider", "By us", "Pushes", "p50", "p95")
# Credentials of a page, besides the providers and their chart.
CREDENTIALS: Final = 25
ANSWERS: Final = ("Answer", "Host", "Code", "Pushes", "Customers", "First", "Last", "Latest push")


def trouble(request: HttpRequest) -> HttpResponse:
    """All customers with failed pushes in 24 hours, the worst first."""
    whose = request.GET.get("by", "")
    whose = whose if whose in WHOSE else ""
    found = [each for each in customers.health() if each.failed_by(whose)]
    found.sort(key=lambda each: each.failed_by(whose) * each.failed_by(whose) / max(each.pushes, 1), reverse=True)
    shown, pages = parts.page(request, found)
    names, since = parts.customers(each.customer for each in shown), customers.troubled_since(e.customer for e in shown)
    context = {
        "board": "boards",
        "answer": _trouble_sentence(found, whose),
        "note": announced.line(timezone.now()),
        "choices": parts.choices(request, "by", WHOSE, whose),
        "rows": [_trouble_cells(each, names.get(each.customer), since.get(each.customer)) for each in shown],
        "columns": parts.columns(
            "Customer", "Pushes", "By us", "By provider", "By customer", "Failed", "Most often", "In each hour since"
        ),
        "nothing": "No push of any customer has failed in the last 24 hours",
        **pages,
    }
    return _shown(request, "board", context)


def _trouble_cells(each: Health, customer: Customer | None, since: datetime | None) -> list[Any]:
    return [
        parts.link(customer, each.customer, "outcome=failures"),
        each.pushes,
        *(parts.failed(customer, whose, each.failed_by(name)) for name, whose in ATTRIBUTIONS.items()),
        percent(each.share, up=True),
        {"code": each.worst} if each.worst else "",
        {"at": since, "exact": True} if since else "Under 5 % now",
    ]


def _trouble_sentence(found: list[Health], whose: str) -> str:
    if not found:
        return "No customer has failed pushes."
    ours = sum(1 for each in found if each.ours)
    by = "" if not whose else f" {WHOSE[whose].lower()}"
    return (
        f"{len(found):,} customer{'s have' if len(found) > 1 else ' has'} pushes that failed{by} in the last 24 hours; "
        + (f"{ours:,} of them because of us." if ours else "none because of us.")
    )


def volume(request: HttpRequest) -> HttpResponse:
    """All customers with pushes in 48 hours, those with the most first."""
    found = sorted(customers.health(), key=lambda each: (each.pushes, each.before), reverse=True)
    total = sum(each.pushes for each in found)
    shown, pages = parts.page(request, found)
    names = parts.customers(each.customer for each in shown)
    context = {
        "board": "boards-volume",
        "answer": _volume_sentence(total, sum(1 for each in found if each.pushes)),
        "rows": [
            [
                parts.link(names.get(each.customer), each.customer),
                each.pushes,
                percent(each.pushes / total) if total else "",
                each.before,
                _change(each),
                percent(each.acked / each.sent) if each.sent else "",
                percent(each.share, up=True),
            ]
            for each in shown
        ],
        "columns": parts.columns("Customer", "Pushes", "Of all", "Before", "Change", "Acked", "Failed"),
        "nothing": "Nobody has pushed in the last 48 hours",
        **pages,
    }
    return _shown(request, "board", context)


def _volume_sentence(pushes: int, count: int) -> str:
    who = "1 customer" if count == 1 else f"{count:,} customers"
    return f"{pushes:,} {'push' if pushes == 1 else 'pushes'} of {who} in the last 24 hours, counted by whole hours."


def _change(each: Health) -> str:
    if not each.before:
        return "new"
    return f"{100 * (each.pushes - each.before) / each.before:+,.0f} %".replace("-", "\N{MINUS SIGN}")


def silent(request: HttpRequest) -> HttpResponse:
    """The customers that have pushed, and do not any more; who fell silent last comes first."""
    span = request.GET.get("for", "24h")
    span = span if span in SPANS else "24h"
    found = customers.silent(SPANS[span])
    shown, pages = parts.page(request, found)
    context = {
        "board": "boards-silent",
        "answer": _silent_sentence(found, SPAN_WORDS[span]),
        "choices": parts.choices(request, "for", {key: f"For {words}" for key, words in SPAN_WORDS.items()}, span),
        "rows": [_silent_cells(each) for each in customers.in_detail(shown)],
        "columns": parts.columns("Customer", "Last push", "Pushes in 30 days", "State"),
        "nothing": "Nobody who has pushed in the last 30 days is silent",
        **pages,
    }
    return _shown(request, "board", context)


def _silent_cells(each: Silent) -> list[Any]:
    suspended = each.customer.status == Customer.Status.SUSPENDED
    return [
        parts.link(each.customer, each.customer.pk, "range=30d"),
        {"at": each.last_at},
        each.before,
        {"kind": "warn", "text": "Suspended"} if suspended else "Active",
    ]


def _silent_sentence(found: list[Silent], words: str) -> str:
    if not found:
        return f"Every customer of the last 30 days has pushed in the last {words}."
    who = (
        "1 customer of the last 30 days has"
        if len(found) == 1
        else f"{len(found):,} customers of the last 30 days have"
    )
    return f"{who} sent nothing for {words}."


def unknown_answers(request: HttpRequest) -> HttpResponse:
    """What providers have answered that no table of ours knows."""
    found = unknown.work_list()
    total = sum(found.totals.values())
    context = {
        "board": "boards-unknown",
        "answer": _unknown_sentence(total, len(found.answers)),
        "note": f"Of {', '.join(found.cut)} only the latest {unknown.ROWS:,} are grouped here." if found.cut else "",
        "rows": [
            [
                f"{each.said.status or 'none:'} {each.said.reason}".strip(),
                each.said.host,
                {"code": each.said.code},
                each.count,
                len(each.customers),
                {"at": each.first_at},
                {"at": each.last_at},
                {"href": reverse("admin:delivery_delivery_change", args=(each.trace,)), "text": each.trace},
            ]
            for each in found.answers[: 2 * parts.SHOWN]
        ],
        "columns": parts.columns(*ANSWERS),
        "nothing": "Nothing is to be done",
    }
    return _shown(request, "board", context)


def _unknown_sentence(pushes: int, answers: int) -> str:
    if not pushes:
        return "Every answer of the last 7 days is known."
    what, ways = f"{pushes:,} {'push' if pushes == 1 else 'pushes'}", f"{answers:,} answer{'' if answers == 1 else 's'}"
    return f"{what} of the last 7 days ended in a way that nobody knows, by {ways}."


def provider_panel(request: HttpRequest) -> HttpResponse:
    """Apple and Google with the counts behind the customers' panel, and the credentials, the worst first."""
    rows = []
    for span in providers.SPANS:
        counts = providers.service_figures(span)
        rows += [_provider_cells(each, counts[each.family]) for each in providers.provider_standings(span)]
    now = timezone.now()
    shown, pages = parts.page(request, credentials.states(now), CREDENTIALS)
    context = {
        "board": "boards-providers",
        "answer": " ".join(each.sentence for each in providers.provider_standings()),
        "note": announced.line(now),
        "refusing": refusing.sentences(with_counts=True),
        "breakers": breaker_rows.sentence(),
        "breaker_rows": breaker_rows.rows(),
        "breaker_columns": breaker_rows.COLUMNS,
        "rows": rows,
        "columns": parts.columns(
            "Provider", "Last", "State", "Handed off", "By provider", "By us", "Pushes", "p50", "p95"
        ),
        "chart": providers.day_chart(),
        "credential_rows": [_credential_cells(each) for each in credentials.counted_for(shown, now)],
        "credential_columns": parts.columns("Customer", "App", "Key", "State", "Since", "Ends", "Pushes", "Failed"),
        **pages,
    }
    return _shown(request, "providers", context)


def _provider_cells(standing: Standing, counts: Figures) -> list[Any]:
    return [
        standing.name,
        standing.span,
        {"kind": standing.kind, "text": standing.word},
        percent(counts.taken / counts.total) if counts.total else "",
        counts.theirs,
        counts.ours,
        counts.total,
        milliseconds(standing.p50),
        milliseconds(standing.p95),
    ]


def _credential_cells(each: credentials.State) -> list[Any]:
    row, owner = each.credential, each.credential.app.customer
    return [
        parts.link(owner, owner.pk) if owner else "Shared",
        {"href": reverse("admin:tenants_pushapp_change", args=(row.app_id,)), "text": row.app.label},
        {"code": row.key_id},
        {"kind": each.kind, "text": each.word, "code": each.code},
        {"at": each.since} if each.since else "",
        {"at": row.expires_at} if row.expires_at else "Never",
        "" if each.pushes is None else each.pushes,
        "" if each.refused is None else each.refused,
    ]


def _shown(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """A board."""
    title = TITLES[context["board"]]
    return render(request, f"delivery/boards/{template}.html", {**context, "board_title": title})


# Path below /admin/boards/, view, and name in the admin's namespace. Their tabs: templates/delivery/boards/base.html.
BOARDS: Final[tuple[tuple[str, View, str], ...]] = (
    ("", trouble, "boards"),
    ("volume/", volume, "boards-volume"),
    ("silent/", silent, "boards-silent"),
    ("unknown/", unknown_answers, "boards-unknown"),
    ("providers/", provider_panel, "boards-providers"),
    ("dead-letters/", dead_letters.board, "boards-dead-letters"),
)


def urls(guarded: Callable[[View], View]) -> list[Any]:
    """The boards' URLs; `guarded` makes a page of the staff's of a view."""
    return [path(f"boards/{below}", guarded(view), name=name) for below, view, name in BOARDS]
