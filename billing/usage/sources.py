"""What usage needs of the other parts of billing, as functions, so that it is judged without them; wired here alone.

Each is asked in the scope in force: in a customer's page it sees that customer's rows.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

from billing import entitlements
from billing.facts import Terms
from tenants.models import Customer


def _no_ids(_customer: Customer) -> Collection[str]:
    return ()


def _no_seats(_customer: Customer) -> int | None:
    return None


def _no_terms(_customer: Customer) -> Terms | None:
    return None


def _no_contacts(_customer: Customer) -> Sequence[str]:
    return ()


def _nobody() -> Collection[int]:
    return ()


class Sources(NamedTuple):
    """proven_ids: the server_ids that are proven for a customer (none: those that were seen are counted); seats: the
    users of its licence, None without one; terms: what is included, None where nothing is bounded; contacts: who gets
    mails about money, besides the owners; left_out: the ids of customers whose pushes are nobody's usage, such as the
    canary's; change_limits: as entitlements.change()."""

    proven_ids: Callable[[Customer], Collection[str]] = _no_ids
    seats: Callable[[Customer], int | None] = _no_seats
    terms: Callable[[Customer], Terms | None] = _no_terms
    contacts: Callable[[Customer], Sequence[str]] = _no_contacts
    left_out: Callable[[], Collection[int]] = _nobody
    change_limits: Callable[..., Any] = entitlements.change


_wired: Final[list[Sources]] = [Sources()]


def wire(sources: Sources) -> None:
    """Say where the facts come from, at the start of a process (billing/wiring.py); the last word counts."""
    _wired[:] = [sources]


def current() -> Sources:
    """The functions of the running service."""
    return _wired[-1]
