"""Changes to subscriptions: start, cancel and take back, override. Keywords; raises ProblemError with what to do.

Each is one transaction with its audit event, and is in force when it ends (applying.py). Invariant: what was agreed on
is added to, never taken away: a subscription is cancelled, not deleted.
"""

from datetime import datetime, timedelta
from typing import Final

from billing.dates import last_day
from billing.facts import Basis, State
from billing.models import Override, PlanVersion, Subscription
from billing.subscriptions import applying, reading
from billing.subscriptions.periods import add_months
from billing.subscriptions.sources import SOURCES, Sources
from tenants.audit import recording
from tenants.changes import Changed
from tenants.models import Customer
from tenants.problem import ProblemError

TRIAL_DAYS_MAX: Final = 365
YEARS_AHEAD: Final = 10
OVERRIDE_MAX: Final = timedelta(days=366)


def start(
    *,
    customer: Customer,
    version: PlanVersion,
    now: datetime,
    starts_at: datetime | None = None,
    trial_days: int | None = None,
    sources: Sources = SOURCES,
) -> Changed[Subscription]:
    """Give a customer a plan, from now on or from another moment; on trial for so many days first.

    A trial has those of its version if none are said; other plans have none then. Raises ProblemError where the
    customer has this plan at that time already.
    """
    begins = starts_at or now
    if abs(begins - now) > timedelta(days=366 * YEARS_AHEAD):
        raise ProblemError(f"a subscription begins at most {YEARS_AHEAD} years from now", field="starts_at")
    basis = Basis(version.plan.basis)
    days = version.trial_days if trial_days is None and basis is Basis.TRIAL else trial_days or 0
    if not 0 <= days <= TRIAL_DAYS_MAX or (basis is Basis.TRIAL and not days):
        raise ProblemError(f"a trial lasts from 1 to {TRIAL_DAYS_MAX} days", field="trial_days")
    if basis is Basis.FREE and days:
        raise ProblemError("a free subscription has no trial", field="trial_days")
    trial_ends_at = begins + timedelta(days=days) if days else None
    with applying.turn(customer):
        for each in reading.judged(customer, now, sources):
            end = each.row.cancel_at
            same = each.row.version.plan_id == version.plan_id and each.standing.state is not State.ENDED
            if same and (end is None or end > begins):
                raise ProblemError(
                    f"{customer.name} has the plan {version.plan} at that time already: cancel that one first, or let "
                    "this one begin when it ends"
                )
        row = Subscription.objects.create(
            customer=customer,
            version=version,
            basis=basis.value,
            starts_at=begins,
            trial_ends_at=trial_ends_at,
            anchor_at=trial_ends_at or begins,
        )
        recording.record(
            "subscription.start",
            customer=customer,
            target=version,
            target_id=row.pk,
            starts=begins,
            trial_ends=trial_ends_at,
            price_minor=version.price_minor,
            currency=version.currency,
        )
        applying.apply(customer, now, sources)
    return Changed(_fresh(row), changed=True)


def cancel(
    *, subscription: Subscription, at: datetime, now: datetime, sources: Sources = SOURCES
) -> Changed[Subscription]:
    """Let a subscription end at a moment, now at the earliest; it can be taken back until then (`keep`)."""
    if at < now:
        raise ProblemError("the end must be ahead: what was, stays", field="at")
    if at > add_months(now, 12 * YEARS_AHEAD):
        raise ProblemError(f"the end must be within {YEARS_AHEAD} years", field="at")
    with applying.turn(subscription.customer):
        row = _fresh(subscription)
        if row.cancel_at is not None and row.cancel_at <= now:
            raise ProblemError(f"the subscription has ended with {last_day(row.cancel_at)} already")
        before, row.cancel_at = row.cancel_at, at
        if before == at:
            return Changed(row, changed=False)
        row.save(update_fields=["cancel_at"])
        recording.record(
            "subscription.cancel",
            customer=row.customer_id,
            target=row.version.plan,
            target_id=row.pk,
            before=before,
            after=at,
        )
        applying.apply(row.customer, now, sources)
    return Changed(_fresh(row), changed=True)


def keep(*, subscription: Subscription, now: datetime, sources: Sources = SOURCES) -> Changed[Subscription]:
    """Take a cancellation back, before its date. `changed`: whether there was one."""
    with applying.turn(subscription.customer):
        row = _fresh(subscription)
        if row.cancel_at is None:
            return Changed(row, changed=False)
        if row.cancel_at <= now:
            raise ProblemError(f"the subscription ended with {last_day(row.cancel_at)}: start another one")
        before, row.cancel_at = row.cancel_at, None
        row.save(update_fields=["cancel_at"])
        recording.record(
            "subscription.keep", customer=row.customer_id, target=row.version.plan, target_id=row.pk, before=before
        )
        applying.apply(row.customer, now, sources)
    return Changed(_fresh(row), changed=True)


def override(
    *, subscription: Subscription, until: datetime, reason: str, now: datetime, sources: Sources = SOURCES
) -> Changed[Override]:
    """Have a subscription served until a moment whatever its standing; for staff, who say why. Audited."""
    reason = " ".join(reason.split())
    if not reason or len(reason) > 300:
        raise ProblemError("say in at most 300 characters why: the customer can read it", field="reason")
    if not now < until <= now + OVERRIDE_MAX:
        raise ProblemError("the end must be ahead, and within a year", field="until")
    with applying.turn(subscription.customer):
        row = Override.objects.create(
            subscription=subscription, until=until, reason=reason, actor=recording.actor().name[:254]
        )
        recording.record(
            "subscription.override",
            customer=subscription.customer_id,
            target=subscription.version.plan,
            target_id=subscription.pk,
            until=until,
            reason=reason,
        )
        applying.apply(subscription.customer, now, sources)
    return Changed(row, changed=True)


def withdraw_overrides(
    *, subscription: Subscription, now: datetime, sources: Sources = SOURCES
) -> Changed[Subscription]:
    """End the overrides of a subscription before their time. `changed`: whether there was one."""
    with applying.turn(subscription.customer):
        open_ = Override.objects.filter(subscription=subscription, withdrawn_at=None, until__gt=now)
        changed = open_.update(withdrawn_at=now)
        if changed:
            recording.record(
                "subscription.override_end",
                customer=subscription.customer_id,
                target=subscription.version.plan,
                target_id=subscription.pk,
            )
            applying.apply(subscription.customer, now, sources)
    return Changed(_fresh(subscription), changed=bool(changed))


def _fresh(row: Subscription) -> Subscription:
    """The row as it is now: somebody else may have had their turn before."""
    return reading.subscriptions().get(pk=row.pk)
