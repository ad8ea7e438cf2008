"""Changes of plan: what one would cost (`quote`, `choices`), and making it (`change`, `choose`).

What is shown before is what is charged after: the share of a period is counted in whole days of UTC, and a change is
made for the amount that was confirmed or not at all.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from billing.facts import Basis, State
from billing.models import PlanChange, PlanVersion, Subscription
from billing.money import text
from billing.subscriptions import applying, changing, reading
from billing.subscriptions.periods import Period, period, pro_rata
from billing.subscriptions.reading import Judged
from billing.subscriptions.sources import SOURCES, Sources
from tenants.audit import recording
from tenants.changes import Changed
from tenants.models import Customer
from tenants.problem import ProblemError


class Quote(NamedTuple):
    """What another plan would come to. `starts`: it would be a subscription of its own, from now on; else the one there
    is changes. `unused_minor` comes off, `due_minor` is added; `period`: what is charged for, None: nothing yet."""

    version: PlanVersion
    starts: bool
    unused_minor: int
    due_minor: int
    period: Period | None

    @property
    def amount_minor(self) -> int:
        """To be paid; negative: a credit."""
        return self.due_minor - self.unused_minor


def choices(found: Judged | None, now: datetime) -> list[Quote]:
    """The listed plans that an owner may change to by themselves, with their amounts; none where staff have to help."""
    if found is None or _hindrance(found, now):
        return []
    listed = PlanVersion.objects.filter(plan__listed=True).select_related("plan")
    return [
        quote(found, row, now)
        for row in reading.latest(listed)
        if _starts(found) or row.plan_id != found.row.version.plan_id
        if _starts(found) or row.currency == found.row.version.currency or not found.row.version.price_minor
    ]


def quote(found: Judged, version: PlanVersion, now: datetime) -> Quote:
    """What a plan would come to for whoever has `found`. Raises ProblemError where it cannot be changed to."""
    row, old = found.row, found.row.version
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if _starts(found):
        return Quote(version, True, 0, version.price_minor, period(now, version.period_months, now))
    if version.pk == old.pk:
        raise ProblemError(f"the plan is {version.plan} already")
    if version.currency != old.currency and old.price_minor:
        raise ProblemError(f"{version.plan} is priced in {version.currency}: ask for a new agreement")
    if Basis(version.plan.basis) is not Basis.PAID:
        raise ProblemError(f"{version.plan} is no paid plan: it is begun as a subscription of its own, by staff")
    if now < row.anchor_at or Basis(row.basis) is not Basis.PAID:
        return Quote(version, False, 0, 0, None)  # the first period is ahead, and is charged as the plan is by then
    same = version.period_months == old.period_months
    amounts = pro_rata(
        old.price_minor,
        version.price_minor,
        reading.period_of(row, now),
        version.period_months,
        max(today, reading.period_of(row, now).start),
        same_length=same,
    )
    return Quote(version, False, amounts.unused_minor, amounts.due_minor, amounts.period)


def change(
    *,
    customer: Customer,
    code: str,
    now: datetime,
    confirmed_minor: int | None = None,
    listed_only: bool = False,
    sources: Sources = SOURCES,
) -> Changed[Subscription]:
    """Change a customer to the latest version of a plan; from a subscription that has ended or was on trial, start it.

    `confirmed_minor`: the amount that was shown; raises ProblemError if it is another one by now. `listed_only`: for
    owners, who choose of listed plans.
    """
    version = reading.version(code)
    if listed_only and not version.plan.listed:
        raise ProblemError(f"{version.plan} is given by staff: ask for it")
    with applying.turn(customer):
        found = reading.current(customer, now, sources)
        if found is None:
            raise ProblemError(f"{customer.name} has no subscription: staff start the first one")
        if hindrance := _hindrance(found, now):
            raise ProblemError(hindrance)
        offered = quote(found, version, now)
        if confirmed_minor is not None and confirmed_minor != offered.amount_minor:
            amount = text(offered.amount_minor, version.currency)
            raise ProblemError(f"the amount is {amount} by now, since days are counted: look at it again")
        if offered.starts:
            return _start_anew(found, version, now, sources)
        return Changed(_change(found.row, offered, now, sources), changed=True)


def _start_anew(found: Judged, version: PlanVersion, now: datetime, sources: Sources) -> Changed[Subscription]:
    """A subscription of its own; one that goes on for nothing ends with it."""
    if found.row.basis == Basis.FREE.value and found.standing.state is not State.ENDED:
        changing.cancel(subscription=found.row, at=now, now=now, sources=sources)
    return changing.start(customer=found.row.customer, version=version, now=now, sources=sources)


def _change(row: Subscription, offered: Quote, now: datetime, sources: Sources) -> Subscription:
    before, after = row.version, offered.version
    row.version, row.basis, row.offer_pending = after, after.plan.basis, True
    if offered.period is not None:
        row.anchor_at = row.anchor_at if after.period_months == before.period_months else offered.period.start
    row.save(update_fields=["version", "basis", "offer_pending", "anchor_at"])
    PlanChange.objects.create(
        subscription=row,
        before=before,
        after=after,
        at=now,
        period_start=offered.period.start if offered.period else None,
        period_end=offered.period.end if offered.period else None,
        amount_minor=offered.amount_minor,
        currency=after.currency,
        actor=recording.actor().name[:254],
    )
    recording.record(
        "subscription.change",
        customer=row.customer_id,
        target=after,
        target_id=row.pk,
        before=before,
        after=after,
        amount_minor=offered.amount_minor,
        currency=after.currency,
    )
    applying.apply(row.customer, now, sources)
    return reading.subscriptions().get(pk=row.pk)


def _starts(found: Judged) -> bool:
    """Whether another plan is a subscription of its own: what there is has stopped, or is nothing to change."""
    basis, state = Basis(found.row.basis), found.standing.state
    return state in (State.ENDED, State.SUSPENDED) or basis is Basis.FREE or basis is Basis.LICENCE


def _hindrance(found: Judged, now: datetime) -> str:
    """Why the plan cannot be changed now; "" if it can."""
    if any(row.due_at <= now and row.open_minor > 0 for row in found.invoices):
        return "an invoice is past due: the plan can be changed once it is paid"
    in_force = found.standing.state in (State.SCHEDULED, State.TRIAL, State.ACTIVE)
    if Basis(found.row.basis) is Basis.LICENCE and in_force:
        return "the subscription is included in the Mattermost licence: there is nothing to pay for"
    return ""
