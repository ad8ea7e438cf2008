"""Where invoices get their facts from: the readers of the other parts of billing, in one place."""

from collections.abc import Callable
from typing import Final, NamedTuple

from billing.facts import Credit, Month, Subscribed, Usage
from tenants.models import Customer


class Sources(NamedTuple):
    """`subscribed`: what a customer has agreed on, if anything; `usage`: what it used in a month, as far as that is
    known; `credits`: what it is owed for all months whose promise was not kept."""

    subscribed: Callable[[Customer], Subscribed | None]
    usage: Callable[[Customer, Month], Usage | None]
    credits: Callable[[Customer], list[Credit]]


def _nobody(customer: Customer) -> Subscribed | None:
    return None


def _nothing(customer: Customer, month: Month) -> Usage | None:
    return None


def _none(customer: Customer) -> list[Credit]:
    return []


SOURCES: Final = Sources(subscribed=_nobody, usage=_nothing, credits=_none)
"""What the timetable and commands use."""
