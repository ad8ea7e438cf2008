"""Begins the subscriptions that proven licences bring with them: HPNS is included in E1, so nobody has to order it.

By the timetable, for pages of customers may start listed plans alone. Invariants: one subscription however often and by
how many processes at once it runs; what a customer or staff have cancelled begins again only with a later licence.
"""

from datetime import datetime
from functools import partial
from typing import Final

from billing.facts import Basis, Proof
from billing.models import Subscription
from billing.rounds import Isolation, Round
from billing.subscriptions import applying, changing, reading
from billing.subscriptions.sources import SOURCES, Sources
from tenants.models import Customer

PLAN: Final = "e1"


def run(now: datetime, sources: Sources = SOURCES) -> int:
    """Begin what is to begin, of all customers; of how many. One that fails is logged, and tried the next time."""
    held = Subscription.objects.filter(basis=Basis.LICENCE.value, starts_at__lte=now).exclude(cancel_at__lte=now)
    lacking = Customer.objects.filter(pk__in=sources.with_proofs(now)).exclude(pk__in=held.values("customer_id"))
    isolation = Isolation(Round.LICENCES, now)
    found = lacking.order_by("pk")
    return sum(isolation.attempt(each.pk, partial(begin, each, now, sources)) or 0 for each in found)


def begin(customer: Customer, now: datetime, sources: Sources = SOURCES) -> bool:
    """Begin one customer's, from now on; False where there is nothing to begin. Raises ProblemError."""
    with applying.turn(customer):
        if not is_coming(customer, now, sources):
            return False
        changing.start(customer=customer, version=reading.version(PLAN), now=now, sources=sources)
    return True


def is_coming(customer: Customer, now: datetime, sources: Sources = SOURCES) -> bool:
    """Whether the next run begins one: a licence that includes the service holds, and no subscription rests on it."""
    rows = list(Subscription.objects.filter(customer=customer, basis=Basis.LICENCE.value))
    if any(row.cancel_at is None or row.cancel_at > now for row in rows):
        return False
    cancelled = max((row.cancel_at for row in rows if row.cancel_at is not None), default=None)
    return any(_holds(proof, now, cancelled) for proof in sources.proofs(customer))


def _holds(proof: Proof, now: datetime, cancelled: datetime | None) -> bool:
    """Whether a licence is in force, and was not when its subscription was cancelled."""
    return proof.starts_at <= now < proof.expires_at and (cancelled is None or proof.starts_at >= cancelled)
