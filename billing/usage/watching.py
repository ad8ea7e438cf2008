"""Looks after the running month of all customers: counts it, sends the mails about quotas, and limits who is to be.

Each mail goes out once a month: it is noted in the transaction that sends it, under a lock that others do not wait for.
Killed in between, it is sent once more rather than never, for limits may begin only after they were announced.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import BigIntegerField, DateField

from billing.facts import Terms
from billing.models import UsageNotice, UsageRunning
from billing.rounds import Isolation, Round
from billing.usage import closing, counting, limiting, months, telling
from billing.usage.counting import Figures
from billing.usage.quotas import NEAR_PERCENT, Due, Measure, Notice, QuotaState, Step, quota
from billing.usage.sources import Sources
from delivery.selectors.usage import Pushes
from tenants.audit import recording
from tenants.models import Customer
from tenants.prepared import Given, Prepared

log = logging.getLogger(__name__)

_TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('billing quotas'), %s)"
# The second half of the lock's number has 31 bits.
_LOCKS: Final = 2**31
YESTERDAY: Final = timedelta(days=1)


def watch_all(now: datetime, known: Sources) -> int:
    """Count the running month of all customers and do what follows; how many were counted. What fails for one customer
    is logged, shown to staff and tried the next time."""
    isolation = Isolation(Round.USAGE, now)
    customers = Customer.objects.exclude(pk__in=set(known.left_out())).order_by("pk")
    return sum(isolation.attempt(each.pk, partial(watch, each, now, known)) or 0 for each in customers)


def watch(customer: Customer, now: datetime, known: Sources) -> bool:
    """Count the running month of one customer, send the mail that is due, and put limits in force or end them. False
    where another process is at it. Raises MailError, django.db.Error."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TRY_LOCK, [customer.pk % _LOCKS])
        (held,) = cursor.fetchone()
        if not held:
            return False
        found, by_day_and_server = counting.count_with_pushes(customer, months.month_of(now), now, known)
        terms = known.terms(customer)
        _keep(customer, found, by_day_and_server, now, known)
        state = quota(now, found.usage, terms, notices(customer)) if terms is not None else QuotaState(())
    if terms is not None and state.limited:
        limiting.lower(customer, terms, _devices(customer, found), now, known)
    else:
        # Also of the month before, whose limits end with it.
        limiting.lift(customer, now, known)
    if terms is not None and state.due:
        _tell(customer, found, terms, now, known)
    return True


def notices(customer: Customer) -> list[Notice]:
    """The mails that went out to a customer."""
    rows = UsageNotice.objects.filter(customer=customer).values_list("month", "measure", "step", "at")
    return [Notice(months.month_of(month), Measure(measure), Step(step), at) for month, measure, step, at in rows]


def state_of(customer: Customer, now: datetime, found: Figures, terms: Terms | None) -> QuotaState:
    """What follows from figures that were counted, for pages; without terms nothing does."""
    return QuotaState(()) if terms is None else quota(now, found.usage, terms, notices(customer))


_RUNNING: Final = Prepared(
    lambda: UsageRunning.objects.filter(
        customer_id=Given("customer", BigIntegerField()), month=Given("month", DateField())
    ).order_by()[:1]
)


def kept_state(customer: Customer, now: datetime, known: Sources) -> QuotaState:
    """How the running month stands by what was counted last: one query where nothing is near its end."""
    row = next(iter(_RUNNING.rows(customer=customer.pk, month=months.month_of(now).first)), None)
    if row is None or row.percent is None or row.percent < NEAR_PERCENT:
        return QuotaState(())
    return state_of(customer, now, closing.figures_of(row), known.terms(customer))


def _devices(customer: Customer, found: Figures) -> int:
    """The devices that may have to be wiped: active ones of this month or the one before, whichever are more."""
    before = closing.stated(customer, months.moved(found.month, -1))
    return max(found.devices or 0, (before.devices or 0) if before is not None else 0)


def _tell(customer: Customer, found: Figures, terms: Terms, now: datetime, known: Sources) -> None:
    to = telling.readers(customer, known)
    if not to:
        log.warning("nobody is told by e-mail about the quota of the customer %d: it has no owner", customer.pk)
        return
    for due in quota(now, found.usage, terms, notices(customer)).due:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_TRY_LOCK, [customer.pk % _LOCKS])
            (held,) = cursor.fetchone()
            # Judged again: whoever held the lock before may have told them.
            state = quota(now, found.usage, terms, notices(customer))
            if held and due in state.due:
                telling.send(customer, state, due, terms, to, now)
                _note(customer, found, due, now, to)


def _note(customer: Customer, found: Figures, due: Due, now: datetime, to: Sequence[str]) -> None:
    UsageNotice.objects.create(
        customer=customer, month=found.month.first, measure=due.measure.value, step=due.step.value, at=now
    )
    recording.record(
        "quota.tell",
        customer=customer,
        target=f"{due.measure} {due.step}",
        month=months.text(found.month),
        pushes=found.pushes,
        devices=found.devices,
        readers=len(to),
    )


def _keep(customer: Customer, found: Figures, by_day_and_server: Pushes, now: datetime, known: Sources) -> None:
    # Yesterday's last rows may still come within minutes.
    until = max(found.month.first, (now - YESTERDAY).date())
    settled = list(counting.settle(by_day_and_server, until).items())
    nothing: dict[str, Any] = dict.fromkeys(("included_pushes", "included_devices", "included_servers", "percent"))
    values = {**closing.columns(found), **nothing, **closing.included(found, now, customer, known)}
    UsageRunning.objects.update_or_create(
        customer=customer,
        defaults={
            **values,
            "month": found.month.first,
            "at": now,
            "settled_until": until,
            "settled_by_server": settled,
        },
    )
