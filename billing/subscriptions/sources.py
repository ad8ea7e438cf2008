"""Where the facts come from that a standing is made of besides the subscription: invoices, licences, and who is billed.

Functions of other parts of billing; each takes the customer and reaches that customer's rows alone.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from billing.facts import OpenInvoice, Proof
from tenants.models import Customer


def open_invoices(customer: Customer) -> list[OpenInvoice]:
    """Issued invoices of which something is to be paid: none, as long as none are issued."""
    return []


def proofs(customer: Customer) -> list[Proof]:
    """The licences that the customer has proven, or that staff vouch for: none, as long as none are taken."""
    return []


def billing_contacts(customer: Customer) -> list[str]:
    """The e-mail addresses to which invoices go, besides the owners': none, as long as none are kept."""
    return []


class Sources(NamedTuple):
    """The three together, as an argument."""

    open_invoices: Callable[[Customer], list[OpenInvoice]]
    proofs: Callable[[Customer], list[Proof]]
    billing_contacts: Callable[[Customer], list[str]]


SOURCES: Final = Sources(open_invoices, proofs, billing_contacts)
