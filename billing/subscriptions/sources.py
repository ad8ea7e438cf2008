"""Where the facts come from that a standing is made of besides the subscription: invoices, licences, and who is billed.

Functions of other parts of billing (billing/wiring.py); each takes the customer and reaches that customer's rows alone.
Before any is wired there are no invoices, no licences and no contacts.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from billing.facts import OpenInvoice, Proof
from tenants.models import Customer


class Sources(NamedTuple):
    """open_invoices: issued ones of which something is to be paid; proofs: licences that the customer has proven, or
    that staff vouch for; billing_contacts: the addresses to which invoices go, besides the owners'."""

    open_invoices: Callable[[Customer], list[OpenInvoice]]
    proofs: Callable[[Customer], list[Proof]]
    billing_contacts: Callable[[Customer], list[str]]


def _nothing(_customer: Customer) -> list[object]:
    return []


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


SOURCES: Final = Sources(_open_invoices, _proofs, _contacts)
"""Those that are wired, as an argument."""
