"""Applies standings: writes what follows from them into the entitlement, and keeps the last one in a row.

Done when a next change has come (`run`, by the timetable) and at every event (`apply`: an upload, a payment, an
override, a change of plan). Invariants: one at a time for a customer; a fault of billing leaves the last entitlement in
force; a customer without any subscription keeps what it has.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import connection, transaction
from django.db.models import F, Q

from billing import entitlements, locks
from billing.facts import Standing, State
from billing.models import LastStanding, Subscription
from billing.rounds import Isolation, Round
from billing.subscriptions import reading
from billing.subscriptions.sources import SOURCES, Sources
from tenants import fence
from tenants.audit import recording
from tenants.models import Customer
from tenants.problem import ProblemError

# An event that nobody told us of is noticed after so long.
AGE_MAX: Final = timedelta(hours=1)
_WHOSE_TURN: Final = "SELECT coalesce(current_setting('hpns.turn', true), '')"
_TURN: Final = "SELECT set_config('hpns.turn', %s, true)"


@contextmanager
def turn(customer: Customer) -> Iterator[None]:
    """A transaction in which no other process changes this customer's subscriptions or their standing.

    The lock is the entitlement's (billing/locks.py). Nowhere else does the database let a page of the customer's change
    them. Raises ProblemError for a customer that was erased meanwhile.
    """
    with transaction.atomic():
        if locks.entitlement(customer.pk) is None:
            raise ProblemError(f"{customer.slug} has no entitlement: it was erased in the meantime")
        with connection.cursor() as cursor:
            cursor.execute(_WHOSE_TURN)
            (before,) = cursor.fetchone()
            cursor.execute(_TURN, [str(customer.pk)])
            yield
            # After an error the transaction goes back to where it was, and the setting with it.
            cursor.execute(_TURN, [before])


def apply(customer: Customer, now: datetime, sources: Sources = SOURCES) -> Standing | None:
    """Evaluate all subscriptions of a customer, and let the one that counts be in force; its standing.

    None, and nothing changes: the customer has no subscription. Raises what the sources raise, before anything changes.
    """
    with turn(customer):
        found = reading.judged(customer, now, sources)
        for each in found:
            _keep(each.row, each.standing, now)
        if not found or found[0].standing.state is State.SCHEDULED:
            return found[0].standing if found else None
        best = found[0]
        entitlements.change(customer=customer, refusal=best.standing.refusal, may_grow=best.standing.may_grow)
        if best.row.offer_pending and best.standing.serves and _may_give_offers():
            entitlements.to_offer(customer=customer, offer=best.row.version.plan.offer)
            Subscription.objects.filter(pk=best.row.pk).update(offer_pending=False)
        return best.standing


def run(now: datetime, sources: Sources = SOURCES) -> int:
    """Apply whatever is due, of all customers; of how many. One that fails is logged, and tried again the next time."""
    isolation = Isolation(Round.STANDING, now)
    due = _due(now)
    for customer in due:
        isolation.attempt(customer.pk, partial(apply, customer, now, sources))
    return len(due) - isolation.failed


def _due(now: datetime) -> list[Customer]:
    """Customers of whom a change has come, whose offer waits, or who were not looked at for long; or at a time that has
    not come yet, for then the clock was set back."""
    rows = Subscription.objects.filter(
        Q(last_standing=None)
        | Q(last_standing__next_change_at__lte=now)
        | Q(last_standing__evaluated_at__lte=now - AGE_MAX)
        | Q(last_standing__evaluated_at__gt=now)
        | Q(offer_pending=True, last_standing__serves=True)
        & ~Q(last_standing__state=State.SCHEDULED)
        & ~Q(customer__offer=F("version__plan__offer"))
    )
    return list(Customer.objects.filter(pk__in=rows.values("customer_id")).order_by("pk"))


def _may_give_offers() -> bool:
    """Not a page of the customer's own: what an offer entitles to is given by staff, or by the timetable."""
    active = fence.active_scope()
    return active is None or active.kind is fence.ScopeKind.EVERYTHING


def _keep(row: Subscription, found: Standing, now: datetime) -> None:
    """Keep the standing; a change of state is noted in the audit log."""
    before = LastStanding.objects.filter(subscription=row).first()
    values = {**found._asdict(), "state": found.state.value, "evaluated_at": now}
    LastStanding.objects.update_or_create(subscription=row, defaults=values)
    if before is None or before.state != found.state:
        recording.record(
            "subscription.standing",
            customer=row.customer_id,
            target=row.version.plan,
            target_id=row.pk,
            before=before.state if before else None,
            after=found.state.value,
            since=found.since,
            reason=found.sentence,
        )
