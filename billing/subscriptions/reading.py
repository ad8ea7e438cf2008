"""Reads subscriptions as plain values, and finds the one of a customer that counts: the readers for other parts.

A customer may have several, one after the other or beside each other; what one of them is refused for takes nothing
from another that is paid for. So the best one counts, and of equals the one that began last.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db.models import BigIntegerField, QuerySet
from django.utils import timezone

from billing.facts import Basis, OpenInvoice, PlanCharge, Proof, Standing, State, Subscribed, Terms
from billing.models import LastStanding, PlanChange, PlanVersion, Subscription
from billing.subscriptions.periods import Period, period
from billing.subscriptions.sources import SOURCES, Sources
from billing.subscriptions.standing import standing
from tenants.models import Customer
from tenants.prepared import Given, Prepared
from tenants.problem import ProblemError

# What one would rather have, the best first; what has not begun serves nobody.
_PREFERENCE: Final = (
    State.ACTIVE,
    State.TRIAL,
    State.PAST_DUE,
    State.RESTRICTED,
    State.SUSPENDED,
    State.ENDED,
    State.SCHEDULED,
)


class Judged(NamedTuple):
    """A subscription with its standing, and the facts that this was made of."""

    row: Subscription
    subscribed: Subscribed
    standing: Standing
    invoices: list[OpenInvoice]
    proofs: list[Proof]


def judged(customer: Customer, now: datetime, sources: Sources = SOURCES) -> list[Judged]:
    """All of a customer's subscriptions as they stand at `now`, the one that counts first."""
    rows = list(subscriptions().filter(customer=customer))
    if not rows:
        return []
    invoices, proofs = sources.open_invoices(customer), sources.proofs(customer)
    found = [judge(row, now, invoices, proofs) for row in rows]
    found.sort(key=lambda each: (each.row.starts_at, each.row.pk), reverse=True)
    found.sort(key=lambda each: _PREFERENCE.index(each.standing.state))
    return found


def judge(row: Subscription, now: datetime, invoices: list[OpenInvoice], proofs: list[Proof]) -> Judged:
    """One of them."""
    value = as_value(row)
    return Judged(row, value, standing(now, value, invoices, proofs), invoices, proofs)


def current(customer: Customer, now: datetime | None = None, sources: Sources = SOURCES) -> Judged | None:
    """The one that counts; None for a customer without any, who is served as its offer says."""
    return next(iter(judged(customer, now or timezone.now(), sources)), None)


_STANDINGS: Final = Prepared(
    lambda: LastStanding.objects.filter(subscription__customer_id=Given("customer", BigIntegerField())).order_by(
        "-subscription__starts_at", "-id"
    )
)


def last(customer: Customer) -> LastStanding | None:
    """The standing that counts as it was applied last: for every page, which needs none of the sources."""
    rows: list[LastStanding] = _STANDINGS.rows(customer=customer.pk)
    return min(rows, key=lambda row: _PREFERENCE.index(State(row.state)), default=None)


def subscribed(customer: Customer, now: datetime | None = None) -> Subscribed | None:
    """The subscription that counts; None: there is none."""
    found = current(customer, now)
    return found.subscribed if found else None


def terms(customer: Customer, now: datetime | None = None) -> Terms | None:
    """The terms of the subscription that counts; None: there is none."""
    found = current(customer, now)
    return found.subscribed.terms if found else None


def changes(customer: Customer, start: datetime, end: datetime) -> list[PlanChange]:
    """Changes of plan in a span of time, the oldest first: each is an amount to be invoiced, or (negative) a credit."""
    found = PlanChange.objects.filter(subscription__customer=customer, at__gte=start, at__lt=end)
    return list(found.select_related("before__plan", "after__plan").order_by("at", "id"))


def beside(customer: Customer, now: datetime | None = None) -> list[Subscribed]:
    """What is billed besides the subscription that counts: those that are paid beside it, or were until their end."""
    others = judged(customer, now or timezone.now())[1:]
    paid = (each for each in others if each.subscribed.basis is Basis.PAID)
    return [each.subscribed for each in paid if each.standing.serves or each.row.cancel_at is not None]


def charges(customer: Customer) -> list[PlanCharge]:
    """All changes of plan of a customer as plain values, the oldest first, with what is due for each."""
    found = PlanChange.objects.filter(subscription__customer=customer).select_related("before__plan", "after__plan")
    return [
        PlanCharge(
            id=row.pk,
            subscription_id=row.subscription_id,
            at=row.at,
            before=row.before.terms,
            text=f"Change from {row.before.plan} to {row.after.plan}",
            amount_minor=row.amount_minor,
            currency=row.currency,
            until=(row.period_end - timedelta(days=1)).date() if row.period_end else None,
            resets=row.period_end is not None and row.before.period_months != row.after.period_months,
        )
        for row in found.order_by("at", "id")
    ]


def subscriptions() -> "QuerySet[Subscription]":
    """Subscriptions with what as_value() needs."""
    return Subscription.objects.select_related("version__plan", "customer").prefetch_related("overrides")


def as_value(row: Subscription) -> Subscribed:
    """A subscription as a plain value."""
    overrides = [each.until for each in row.overrides.all() if each.withdrawn_at is None]
    return Subscribed(
        id=row.pk,
        customer_id=row.customer_id,
        basis=Basis(row.basis),
        terms=row.version.terms,
        starts_at=row.starts_at,
        trial_ends_at=row.trial_ends_at,
        cancel_at=row.cancel_at,
        override_until=max(overrides, default=None),
    )


def period_of(row: Subscription, now: datetime) -> Period:
    """The billing period that a moment is in; the first one before it has begun."""
    return period(row.anchor_at, row.version.period_months, now)


def version(code: str) -> PlanVersion:
    """The latest version of a plan. Raises ProblemError for a code that no plan has."""
    found = PlanVersion.objects.filter(plan__code=code).select_related("plan").order_by("-version").first()
    if found is None:
        raise ProblemError(f"there is no plan {code!r}: see `subscription plans`")
    return found


def latest(rows: Iterable[PlanVersion]) -> list[PlanVersion]:
    """Of each plan the version with the highest number, by the plans' codes."""
    found: dict[str, PlanVersion] = {}
    for row in rows:
        if row.plan.code not in found or found[row.plan.code].version < row.version:
            found[row.plan.code] = row
    return [found[code] for code in sorted(found)]
