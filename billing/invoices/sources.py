"""Where invoices get their facts from: the readers of the other parts of billing (billing/wiring.py).

Before any is wired nobody has agreed on anything, nothing was used, and nothing is owed.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from billing.facts import Credit, Month, PlanCharge, Subscribed, Usage
from tenants.models import Customer


class Sources(NamedTuple):
    """`subscribed`: what a customer has agreed on, if anything; `usage`: what it used in a month, as far as that is
    known; `credits`: what it is owed in all for each month whose promise was not kept; `changes`: its changes of plan,
    with what is due for each; `judged`: whether what a customer used in a month, and is owed for it, is final;
    `beside`: subscriptions that are paid beside that one; `reminded`: the subscription whose overdue invoices others
    remind of."""

    subscribed: Callable[[Customer], Subscribed | None]
    usage: Callable[[Customer, Month], Usage | None]
    credits: Callable[[Customer], list[Credit]]
    changes: Callable[[Customer], list[PlanCharge]] = lambda _customer: []
    judged: Callable[[Customer, Month], bool] = lambda _customer, _month: True
    beside: Callable[[Customer], list[Subscribed]] = lambda _customer: []
    reminded: Callable[[Customer, datetime], int | None] = lambda _customer, _now: None


_wired: Final[list[Sources]] = [Sources(lambda _customer: None, lambda _customer, _month: None, lambda _customer: [])]


def wire(sources: Sources) -> None:
    """Say where the facts come from, at the start of a process; the last word counts."""
    _wired[:] = [sources]


def _subscribed(customer: Customer) -> Subscribed | None:
    return _wired[-1].subscribed(customer)


def _usage(customer: Customer, month: Month) -> Usage | None:
    return _wired[-1].usage(customer, month)


def _credits(customer: Customer) -> list[Credit]:
    return _wired[-1].credits(customer)


def _changes(customer: Customer) -> list[PlanCharge]:
    return _wired[-1].changes(customer)


def _judged(customer: Customer, month: Month) -> bool:
    return _wired[-1].judged(customer, month)


def _beside(customer: Customer) -> list[Subscribed]:
    return _wired[-1].beside(customer)


def _reminded(customer: Customer, now: datetime) -> int | None:
    return _wired[-1].reminded(customer, now)


SOURCES: Final = Sources(_subscribed, _usage, _credits, _changes, _judged, _beside, _reminded)
"""What the timetable and commands use: those that are wired."""
