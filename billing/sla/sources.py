"""What the SLA is told by billing's other parts: the canary, maintenance, prices. Functions that are passed in.

Invariant: none of them looks at a clock: asked twice about the same span they say the same, so that a timetable that
was dead for weeks comes to what daily runs had come to.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from billing.facts import Month
from billing.sla.judging import Window
from tenants.models import Customer


class Price(NamedTuple):
    """The fee of a month in minor units, of a plan that has the SLA."""

    minor: int
    currency: str


class Sources(NamedTuple):
    """canary: the verdicts (good, bad, or off before there was one) by minute from the first to before the second
    moment, a minute that is not in it is missing; None where none has run. windows: maintenance that overlaps the span.
    price: of a customer's month; None without the SLA. left_out: the ids of customers that are no customers, such as
    the canary's own. contacts: whom a customer has named for billing, by e-mail address."""

    canary: Callable[[datetime, datetime], Mapping[datetime, str] | None]
    windows: Callable[[datetime, datetime], Iterable[Window]]
    price: Callable[[Customer, Month], Price | None]
    left_out: Callable[[], set[int]]
    contacts: Callable[[Customer], Sequence[str]]


_wired: list[Sources] = []


def wire(sources: Sources) -> None:
    """Say where the facts come from, at the start of a process; the last word counts."""
    _wired[:] = [sources]


def wired() -> Sources:
    """The sources in force: before any is wired there is no canary, no maintenance, and no plan with the SLA."""
    return _wired[-1] if _wired else NOTHING


def _no_canary(start: datetime, end: datetime) -> None:
    return None


def _no_windows(start: datetime, end: datetime) -> tuple[Window, ...]:
    return ()


def _no_price(customer: Customer, month: Month) -> None:
    return None


def _nobody() -> set[int]:
    return set()


def _no_contacts(customer: Customer) -> tuple[str, ...]:
    return ()


NOTHING = Sources(_no_canary, _no_windows, _no_price, _nobody, _no_contacts)
