"""The page of a customer's subscription: /c/<slug>/subscription/..., how it stands, what is in it, what comes when.

Everybody sees how it stands; prices are for those who may read what is billed, and changes for owners.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from billing.facts import Basis, State
from billing.money import text
from billing.pages.subscription_forms import CancelForm, ConfirmPlanForm, end_of_day
from billing.subscriptions import changing, plan_changes, reading, words
from billing.subscriptions.plan_changes import Quote
from billing.subscriptions.reading import Judged
from billing.subscriptions.standing import ahead
from tenants.changes import Changed
from tenants.models import Customer
from tenants.pages.door import CustomerRequest, customer_page
from tenants.problem import ProblemError

AHEAD_SHOWN: Final = 6
TICK: Final = timedelta(microseconds=1)


@customer_page("subscription.see")
def subscription(request: CustomerRequest) -> HttpResponse:
    """How it stands."""
    return _page(request, timezone.now())


@customer_page("subscription.change", change="subscription.change")
def cancel(request: CustomerRequest) -> HttpResponse:
    """Ask for the date; by POST, let it end then. Of the one that counts, or of ?subscription=."""
    now = timezone.now()
    rows = reading.judged(request.customer, now)
    found = _asked(rows, request.GET.get("subscription", ""))
    if found is None or found.standing.state is State.ENDED:
        return redirect("subscription", request.customer.slug)
    # What serves the customer all the same, once this one has ended.
    stays = next((each for each in rows if each is not found and _goes_on(each)), None)
    earliest = reading.period_of(found.row, now).end if found.row.version.price_minor else None
    suggested = (earliest - TICK if earliest else now).date()
    form = CancelForm(request.POST or None, expected=request.customer.slug, today=now.date(), suggested=suggested)
    if stays is not None:
        form.fields["on"].help_text = "Its last day (UTC)."
    if request.method == "POST" and form.is_valid():
        # With the period where it ends on that day: nobody pays for the hours of another one.
        at = earliest if earliest and form.cleaned_data["on"] == suggested else end_of_day(form.cleaned_data["on"])
        if _done(request, lambda: changing.cancel(subscription=found.row, at=at, now=now), form.add_error_of):
            return redirect("subscription", request.customer.slug)
    context = {"form": form, "found": found, "stays": stays, "paid_until": earliest, "tab": "subscription"}
    return render(request, "billing/subscriptions/cancel.html", context)


@customer_page("subscription.change", methods=("POST",))
def keep(request: CustomerRequest) -> HttpResponse:
    """Take a cancellation back: of the one that counts, or of `subscription`."""
    now = timezone.now()
    found = _asked(reading.judged(request.customer, now), request.POST.get("subscription", ""))
    if found is not None:
        _done(request, lambda: changing.keep(subscription=found.row, now=now))
    return redirect("subscription", request.customer.slug)


@customer_page("subscription.change", change="subscription.change")
def change(request: CustomerRequest) -> HttpResponse:
    """Show what a plan (`?plan=`) would come to; by POST, change to it for just that amount."""
    now = timezone.now()
    code = request.POST.get("plan") or request.GET.get("plan", "")
    offered = _offered(request.customer, code, now)
    if offered is None:
        messages.error(request, "This plan cannot be chosen now. Nothing was changed.")
        return redirect("subscription", request.customer.slug)
    form = ConfirmPlanForm(request.POST or None, initial={"plan": code, "amount": offered.amount_minor})
    if request.method == "POST" and form.is_valid():
        amount = form.cleaned_data["amount"]

        def make() -> Changed[Any]:
            return plan_changes.change(
                customer=request.customer, code=code, now=now, confirmed_minor=amount, listed_only=True
            )

        if _done(request, make):
            return redirect("subscription", request.customer.slug)
        form = ConfirmPlanForm(initial={"plan": code, "amount": offered.amount_minor})
    context = {"form": form, "quote": _shown(offered), "tab": "subscription"}
    return render(request, "billing/subscriptions/change.html", context)


def _done(
    request: CustomerRequest, make: Callable[[], Changed[Any]], failed: Callable[[str], None] | None = None
) -> bool:
    """Make a change, with a message on the next page; False: it was not made, and why is said."""
    try:
        changed = make().changed
    except ProblemError as problem:
        if failed is not None:
            failed(problem.sentence)
        else:
            messages.error(request, problem.sentence)
        return False
    messages.success(request, "Saved." if changed else "Nothing to change: it was so already.")
    return True


def _asked(rows: list[Judged], number: str) -> Judged | None:
    """The customer's subscription of this number; without one, the one that counts."""
    if not number:
        return next(iter(rows), None)
    return next((each for each in rows if str(each.row.pk) == number), None)


def _goes_on(each: Judged) -> bool:
    """Whether it serves the customer, and is not cancelled."""
    return each.standing.serves and each.row.cancel_at is None


def _can_be_kept(each: Judged, now: datetime) -> bool:
    """Whether its cancellation can be taken back."""
    return each.row.cancel_at is not None and each.row.cancel_at > now


def _offered(customer: Customer, code: str, now: datetime) -> Quote | None:
    rows = plan_changes.choices(reading.current(customer, now), now)
    return next((row for row in rows if row.version.plan.code == code), None)


def _page(request: CustomerRequest, now: datetime) -> HttpResponse:
    rows = reading.judged(request.customer, now)
    found = rows[0] if rows else None
    may_change = request.may("subscription.change")
    context: dict[str, Any] = {
        "tab": "subscription",
        "found": found,
        "others": [_line(each, now) for each in rows[1:]],
        "paid_beside": _paid_beside(rows),
        "may_change": may_change,
        "sees_prices": request.may("billing.read"),
        "can_cancel": found is not None and _goes_on(found),
        "can_be_kept": found is not None and _can_be_kept(found, now),
        "choices": [_shown(row) for row in plan_changes.choices(found, now)] if may_change else [],
    }
    if found is not None:
        context |= {
            "kind": words.KINDS[found.standing.state],
            "state": words.NAMES[found.standing.state],
            "means": words.means(found.standing.state),
            "included": _included(found),
            "price": _price(found) if request.may("billing.read") else None,
            "dates": _dates(found, now),
            "override": next((each for each in found.row.overrides.all() if _open(each, now)), None),
        }
    return render(request, "billing/subscriptions/subscription.html", context)


def _open(override: Any, now: datetime) -> bool:
    return override.withdrawn_at is None and override.until > now


def _line(each: Judged, now: datetime) -> dict[str, Any]:
    """Another subscription of the customer's, in a line."""
    state = each.standing.state
    return {
        "plan": each.row.version.plan,
        "kind": words.KINDS[state],
        "state": words.NAMES[state],
        "row": each,
        "price": _price(each) if each.row.version.price_minor else "",
        "can_cancel": _goes_on(each),
        "can_be_kept": _can_be_kept(each, now),
    }


def _paid_beside(rows: list[Judged]) -> list[Any]:
    """The plans that are paid for, and go on, beside a licence that includes the service."""
    if not rows or rows[0].subscribed.basis is not Basis.LICENCE:
        return []
    return [each.row.version.plan for each in rows[1:] if each.subscribed.basis is Basis.PAID and _goes_on(each)]


def _included(found: Judged) -> list[tuple[str, str]]:
    """What the plan includes, by name."""
    version = found.row.version
    return [
        ("Active devices a month", _bound(version.included_devices)),
        ("Pushes a month", _bound(version.included_pushes)),
        ("Servers", _bound(version.included_servers)),
        ("SLA", "99.9 % a month, with credits that come by themselves" if version.sla else "none"),
    ]


def _bound(most: int | None) -> str:
    return "no bound" if most is None else f"{most:,}"


def _devices(most: int | None) -> str:
    """What a plan includes, as a sentence."""
    return "Active devices without a bound." if most is None else f"{most:,} active devices a month."


def _per(months: int) -> str:
    return "a year" if months == 12 else "a month"


def _price(found: Judged) -> str:
    """The price in words."""
    version = found.row.version
    if not version.price_minor:
        return "Nothing to pay"
    beyond = ""
    if version.included_devices is not None and version.device_price_minor:
        beyond = f", and {text(version.device_price_minor, version.currency)} a month for each active device beyond"
    return f"{text(version.price_minor, version.currency)} {_per(version.period_months)}{beyond}; without tax"


def _dates(found: Judged, now: datetime) -> list[dict[str, Any]]:
    """What was and what comes, as a timeline."""
    value = found.subscribed
    begun = "Begins" if value.starts_at > now else "Began"
    shown: list[dict[str, Any]] = [{"at": found.row.starts_at, "text": begun, "kind": "quiet"}]
    if found.standing.since is not None and found.standing.since > value.starts_at:
        state = found.standing.state
        since = {"at": found.standing.since, "text": words.NAMES[state], "kind": words.KINDS[state]}
        shown.append({**since, "note": words.means(state)})
    if found.row.version.price_minor and found.standing.state is not State.ENDED:
        end = reading.period_of(found.row, now).end
        shown.append({"at": end, "text": "The billing period ends", "kind": "quiet", "ahead": True})
    for at, then in ahead(now, value, found.invoices, found.proofs, most=AHEAD_SHOWN):
        note = then.sentence if then.state is State.ACTIVE else words.means(then.state)
        line = {"at": at, "text": words.NAMES[then.state], "kind": words.KINDS[then.state], "note": note}
        shown.append({**line, "ahead": True})
    return sorted(shown, key=lambda each: each["at"])


def _shown(offered: Quote) -> dict[str, Any]:
    """A plan that can be chosen, with its amounts in words."""
    version = offered.version
    money = version.currency
    return {
        "plan": version.plan,
        "price": f"{text(version.price_minor, money)} {_per(version.period_months)}",
        "starts": offered.starts,
        "unused": text(offered.unused_minor, money),
        "due": text(offered.due_minor, money),
        "amount": text(abs(offered.amount_minor), money),
        "amount_minor": offered.amount_minor,
        "period": offered.period,
        "included": _bound(version.included_devices),
        "devices": _devices(version.included_devices),
        "sla": version.sla,
    }
