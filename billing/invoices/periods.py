"""Billing periods and steps of a subscription: which day bills what. Pure.

A subscription has a step each month, on the day of the month on which it began (or on the month's last one). Every
`period_months`-th step bills the period that begins on it, in advance; each step bills what was used beyond the plan in
the calendar months that have ended since the step before, so that a step bills nothing that can still change.
"""

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from billing.facts import Basis, Month, Subscribed


class Step(NamedTuple):
    """A day on which something is billed. `period`: first and last day of the period that begins, if one does;
    `months`: those whose use is billed."""

    on: date
    period: tuple[date, date] | None
    months: tuple[Month, ...]


def add_months(day: date, months: int) -> date:
    """The same day some months later; the last of the month where it has no such day."""
    years, index = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, index + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def next_month(month: Month) -> Month:
    """The month after it."""
    later = add_months(month.first, 1)
    return Month(later.year, later.month)


def last_day(month: Month) -> date:
    """The month's last day."""
    return next_month(month).first - timedelta(days=1)


def month_of(day: date) -> Month:
    """The month of a day."""
    return Month(day.year, day.month)


def paid_from(subscribed: Subscribed) -> date | None:
    """The first day that is paid for; None for what is not paid by invoices of ours."""
    if subscribed.basis is not Basis.PAID:
        return None
    start = subscribed.starts_at
    if subscribed.trial_ends_at is not None:
        start = max(start, subscribed.trial_ends_at)
    return start.date()


def steps(subscribed: Subscribed, until: date, *, since: date | None = None) -> Iterator[Step]:
    """The steps of a paid subscription, the first one and those up to the first that is after `until`.

    After the day on which it is cancelled no period begins; the use until then is billed once more. `since`: the day of
    the step before the first one, where periods are counted anew: the first period is charged elsewhere then, and the
    first step bills the use since that day.
    """
    first = paid_from(subscribed)
    if first is None:
        return
    ends = subscribed.cancel_at.date() if subscribed.cancel_at else None
    before, number = since or first, 0
    while True:
        on = add_months(first, number)
        begins = number % subscribed.terms.period_months == 0 and (ends is None or on < ends)
        begins = begins and (number > 0 or since is None)
        last = add_months(first, number + subscribed.terms.period_months) - timedelta(days=1)
        yield Step(on, (on, last) if begins else None, tuple(months_between(before, on, ends)))
        # The month in which it ended has ended, too, and is billed.
        if on > until or (ends is not None and month_of(on) > month_of(ends)):
            return
        before, number = on, number + 1


def months_between(before: date, on: date, ends: date | None) -> Iterator[Month]:
    """The calendar months that ended after `before` and not after `on`, while the subscription ran."""
    month = month_of(before)
    while next_month(month).first <= on:
        if ends is None or month.first < ends:
            yield month
        month = next_month(month)
