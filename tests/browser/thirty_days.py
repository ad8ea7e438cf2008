"""Thirty days of a subscription by a clock that a test sets, run in a stage's own environment (Stage.run).

Each day the timetable's functions are called with that day's time; the log has rows of each day, and on one of them
fifty minutes in which three of four pushes were lost by us.
"""

from datetime import date, datetime, timedelta
from typing import Any, Final

from billing.facts import Month
from billing.invoices import daily, issuing, mails, profiles
from billing.invoices.sources import SOURCES
from billing.models import DocumentKind, InvoiceDraft
from billing.sla import judging, keys, running
from billing.sla import sources as sla
from billing.subscriptions import applying, by_licence, changing, mailing, reading
from billing.usage import closing, watching
from billing.usage import sources as usage
from delivery.devices import rebuilding as devices
from delivery.outcomes import judge
from delivery.rollups import rebuilding
from tenants.models import Customer, Membership
from tests.delivery.rollups.pushes import HOUR, SENT, write

DAY: Final = timedelta(days=1)
RUNS_AT: Final = timedelta(hours=5, minutes=17)
OUTAGE_ON, OUTAGE_MINUTES, LOST_EACH = 10, 50, 3
QUIET_MINUTES: Final = 6
PAYER: Final = "Fabrikam"
ADDRESS: Final = {
    "address": "Ring 2",
    "postcode": "20095",
    "city": "Hamburg",
    "country": "DE",
    "vat_id": "",
    "reference": "PO 4711",
}


def tour_month(today: date) -> Month:
    """The last month that was over, and could be sealed, by `today`."""
    last = (today - 4 * DAY).replace(day=1) - DAY
    return Month(last.year, last.month)


def begin(slug: str, month: Month) -> dict[str, Any]:
    """The first day: the timetable begins what the licence of `slug` includes; another customer, whom the same people
    own, pays. Both have been customers since then."""
    now = judging.midnight(month.first)
    included, payer = Customer.objects.get(slug=slug), Customer.objects.get(slug=PAYER.lower())
    Customer.objects.filter(pk__in=(included.pk, payer.pk)).update(created_at=now)
    for each in Membership.objects.filter(customer=included):
        Membership.objects.create(user=each.user, customer=payer, role=each.role)
    for each in (included, payer):
        profiles.change(customer=each, name=f"{each.name} GmbH", emails=[f"books@{each.slug}.example"], **ADDRESS)
    changing.start(customer=payer, version=reading.version("hpns"), now=now)
    begun = [by_licence.run(now + timedelta(minutes=minute)) for minute in range(2)]
    found = reading.current(included, now)
    assert found is not None
    return {"begun": begun, "plan": found.row.version.plan.code, "state": found.standing.state.value}


def run(slug: str, month: Month) -> dict[str, Any]:
    """The days until the month is sealed, each by its own time; what came of them."""
    both = [Customer.objects.get(slug=each) for each in (slug, PAYER.lower())]
    first, days = judging.midnight(month.first), judging.days_of(month)
    number = 0
    for customer in both:
        server = customer.servers.get().pk
        for day in days:
            number = _pushes(customer.pk, server, judging.midnight(day), number)
    keys.new(now=first)
    invoices = []
    for day in range(len(days) + 3):
        now = first + day * DAY + RUNS_AT
        _timetable(now)
        if day == 0:  # staff issue what the paying customer owes for the month, as it begins
            draft = InvoiceDraft.objects.get(customer=both[1], kind=DocumentKind.INVOICE, ready_on=now.date())
            invoices.append(issuing.issue(draft, now=now).number)
    return {"invoices": invoices, "pushes": number}


def _timetable(now: datetime) -> None:
    by_licence.run(now)
    applying.run(now)
    running.round_(now, sla.wired())
    watching.watch_all(now, usage.current())
    closing.close_all(now, usage.current())
    daily.run(SOURCES, now)
    mailing.send_due(now)
    mails.send_pending(now)


def _pushes(customer: int, server: int, midnight: datetime, number: int) -> int:
    """A day's rows of the log, counted in the rollups; the number of the last one."""
    outage = midnight.day == OUTAGE_ON
    hour = midnight + timedelta(hours=14 if outage else 9)
    since = (hour - HOUR).total_seconds()
    for minute in range(OUTAGE_MINUTES if outage else QUIET_MINUTES):
        for verdict in (SENT, *([judge.refusal("lost")] * LOST_EACH if outage else ())):
            number += 1
            who = {"customer": customer, "server": server}
            write(f"{number:032x}", since + 60 * minute, verdict, device=f"{number % 7:032x}", **who)
    rebuilding.rebuild(hour, hour + timedelta(hours=1))
    devices.rebuild(midnight.date())
    return number
