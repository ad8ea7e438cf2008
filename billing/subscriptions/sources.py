"""Where the facts come from that a standing is made of besides the subscription: invoices, licences, and who is billed.

Functions of other parts of billing (billing/wiring.py); each takes the customer and reaches that customer's rows alone.
Before any is wired there are no invoices, no licences and no contacts.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final, NamedTuple

from billing.facts import OpenInvoice, Proof
from tenants.models import Customer


def _nothing(_customer: Customer) -> list[object]:
    return []


def _nobody(_now: datetime) -> Collection[int]:
    return ()


class Sources(NamedTuple):
    """open_invoices: issued ones of which something is to be paid; proofs: licences that the customer has proven, or
    that staff vouch for; billing_contacts: the addresses to which invoices go, besides the owners'; with_proofs: the
    ids of the customers who have a licence that holds at a moment, so that the others are not asked for theirs."""

    open_invoices: Callable[[Customer], list[OpenInvoice]]
    proofs: Callable[[Customer], list[Proof]]
    billing_contacts: Callable[[Customer], list[str]]
    with_proofs: Callable[[datetime], Collection[int]] = _nobody


_wired: Final[list[Sources]] = [Sources(_nothing, _nothing, _nothing)]  # type: ignore[arg-type]


def wire(sources: Sources) -> None:
    """Say where the facts come from, at the start of a process; the last word counts."""
    _wired[:] = [sources]


def _open_invoices(customer: Customer) -> list[OpenInvoice]:
    return _wired[-1].open_invoices(customer)


def _proofs(customer: Customer) -> list[Proof]:
    return _wired[-1].proofs(customer)


def _contacts(customer: Customer) -> list[str]:
    return _wired[-1].billing_contacts(customer)


def _with_proofs(now: datetime) -> Collection[int]:
    return _wired[-1].with_proofs(now)


SOURCES: Final = Sources(_open_invoices, _proofs, _contacts, _with_proofs)
"""Those that are wired, as an argument."""
