"""E-mail about the standing of subscriptions: which step is due (`due`, pure), and sending it once (`send_due`).

Of several steps that have come since the last run, the latest alone is sent: after a pause nobody gets five. A step is
known by its kind, the date that it is about and its days, so that a clock that was set back sends nothing again.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from django.conf import settings
from django.urls import reverse

from billing.dates import day, last_day
from billing.facts import REMINDER_DAYS, State
from billing.models import Subscription, SubscriptionMail
from billing.money import text
from billing.rounds import Isolation, Round
from billing.subscriptions import reading, words
from billing.subscriptions.reading import Judged
from billing.subscriptions.sources import SOURCES, Sources
from billing.subscriptions.standing import Condition, ahead, condition
from billing.subscriptions.words import Cause
from tenants import mail
from tenants.models import Customer, Membership, Role

log = logging.getLogger(__name__)

TRIAL_DAYS: Final = (7, 1)
LICENCE_DAYS: Final = (60, 30, 14, 7, 1)
SUSPENSION_DAYS: Final = 7
_OWED: Final = (Cause.INVOICE, Cause.LICENCE_OVER, Cause.NO_LICENCE)
DAY: Final = timedelta(days=1)


class Step(NamedTuple):
    """One e-mail: since when it is due, its kind, the date that it is about and the days before or after that."""

    at: datetime
    kind: str
    about: datetime
    days: int


def steps(found: Condition, suspended_after: int) -> Iterator[Step]:
    """All steps of a condition. The first day after a due date is that which begins at it."""
    state, cause, about = found
    if about is None:
        return
    if cause is Cause.TRIAL:
        yield from (Step(about - days * DAY, "trial", about, days) for days in TRIAL_DAYS)
    elif cause is Cause.LICENCE:
        yield from (Step(about - days * DAY, "licence", about, days) for days in LICENCE_DAYS)
    elif cause in _OWED and state in (State.PAST_DUE, State.RESTRICTED):
        yield from (Step(about + (days - 1) * DAY, "past_due", about, days) for days in REMINDER_DAYS)
        end = about + suspended_after * DAY
        yield Step(end - SUSPENSION_DAYS * DAY, "suspension", end, SUSPENSION_DAYS)


def due(judged: Judged, now: datetime) -> Step | None:
    """The step that it is time for; None: none is. What began just now to be so (restricted, suspended) is one, too."""
    value = judged.subscribed
    found = condition(now, value, judged.invoices, judged.proofs)
    rows = [step for step in steps(found, value.terms.suspended_after) if step.at <= now]
    state, since = judged.standing.state, judged.standing.since
    if state in (State.RESTRICTED, State.SUSPENDED) and since is not None:
        rows.append(Step(since, state.value, since, 0))
    return max(rows, default=None)


def send_due(now: datetime, sources: Sources = SOURCES) -> int:
    """Send what is due, of the subscription that counts of each customer; how many steps."""
    isolation = Isolation(Round.MAILS, now)
    customers = Customer.objects.filter(pk__in=Subscription.objects.values("customer_id")).order_by("pk")
    return sum(isolation.attempt(each.pk, partial(_send_one, each, now, sources)) or 0 for each in customers)


def _send_one(customer: Customer, now: datetime, sources: Sources) -> bool:
    found = reading.current(customer, now, sources)
    step = due(found, now) if found is not None else None
    return found is not None and step is not None and _send_once(found, step, now, sources)


def reminded(customer: Customer, now: datetime, sources: Sources = SOURCES) -> int | None:
    """The subscription, by its number, whose overdue invoices are reminded of by its standing, or by agreement are not:
    of the others' the invoices remind themselves (billing/invoices/reminding.py). None: of none."""
    found = reading.current(customer, now, sources)
    if found is None:
        return None
    cause = condition(now, found.subscribed, found.invoices, found.proofs).cause
    return found.row.pk if cause in (Cause.INVOICE, Cause.OVERRIDE) else None


def readers(customer: Customer, sources: Sources = SOURCES) -> list[str]:
    """Who hears of it: the owners, and who is billed; each address once."""
    owners = Membership.objects.filter(customer=customer, role=Role.OWNER, user__is_active=True)
    found = [*owners.order_by("pk").values_list("user__email", flat=True), *sources.billing_contacts(customer)]
    return list({address.lower(): address for address in found if address}.values())


def _send_once(found: Judged, step: Step, now: datetime, sources: Sources) -> bool:
    """Claimed first, by a row that only one of several processes can add; given back where nobody could be told."""
    row, created = SubscriptionMail.objects.get_or_create(
        subscription=found.row, kind=step.kind, about=step.about, days=step.days, defaults={"sent_at": now}
    )
    if not created:
        return False
    told, failed = 0, False
    for address in readers(found.row.customer, sources):
        try:
            mail.send("billing/mail/subscription", to=address, context=_context(found, step, now))
            told += 1
        except mail.MailError:
            failed = True  # logged there
    if failed and not told:
        row.delete()
        return False
    if not told:
        log.warning("nobody is told by e-mail about the subscription %d: it has no owner", found.row.pk)
    return bool(told)


def _context(found: Judged, step: Step, now: datetime) -> dict[str, object]:
    path = reverse("subscription", args=(found.row.customer.slug,))
    return {
        "customer": found.row.customer,
        "plan": found.row.version.plan,
        "kind": step.kind,
        "left": max(0, -(-(step.about - now) // DAY)),
        "last_day": last_day(step.about),
        "day": day(step.about),
        "standing": found.standing,
        "dates": [
            (day(at), words.NAMES[then.state], words.means(then.state))
            for at, then in ahead(now, found.subscribed, found.invoices, found.proofs, most=4)
        ],
        "owed": _owed(found, now),
        "address": mail.link(path) if settings.PUBLIC_URL else "",
    }


def _owed(found: Judged, now: datetime) -> list[tuple[str, str, str]]:
    """The invoices of the subscription that are overdue: number, what is open, and the page that says how to pay."""
    slug = found.row.customer.slug
    return [
        (
            row.number,
            text(row.open_minor, row.currency),
            mail.link(reverse("invoice", args=(slug, row.number))) if settings.PUBLIC_URL else "",
        )
        for row in found.invoices
        if row.subscription_id == found.subscribed.id and row.due_at <= now
    ]
