"""The document model of an invoice, credit note or statement: what stands on it, and its totals. Pure.

Amounts are integer minor units, rates and quantities Decimal. Lines are rounded half up each; VAT is computed for each
rate on the sum of its lines (EN 16931, BR-CO-17 and BR-S-08), so that the total is what a reader's own sum gives. As
JSON a document is kept for ever: a field that is added later needs a default.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from billing import money

HUNDRED: Final = Decimal(100)


class Line(msgspec.Struct, frozen=True):
    """One line. `unit_minor`: the price of one; a reduction has a quantity below zero, as EN 16931 has no negative
    prices. `month` ("2026-10") and `root` (hex): the month of the SLA's ledger that a credit is for; `change`: the
    number of the change of plan that it is for."""

    text: str
    unit_minor: int
    quantity: Decimal = Decimal(1)
    start: date | None = None
    end: date | None = None
    detail: str = ""
    month: str = ""
    root: str = ""
    change: int = 0

    @property
    def amount_minor(self) -> int:
        """The amount before tax."""
        return money.half_up(self.quantity * self.unit_minor)


class Party(msgspec.Struct, frozen=True):
    """The seller or the buyer. `country`: ISO 3166; `tax_number`, `registration`: as the seller's country has them."""

    name: str
    address: str
    postcode: str
    city: str
    country: str
    vat_id: str = ""
    tax_number: str = ""
    registration: str = ""
    email: str = ""
    phone: str = ""
    website: str = ""
    reference: str = ""


class Tax(msgspec.Struct, frozen=True):
    """The VAT of all lines of one category (UNTDID 5305) and rate in per cent. `reason`: why there is none."""

    category: str
    rate: Decimal
    net_minor: int
    tax_minor: int
    reason: str = ""


class Bank(msgspec.Struct, frozen=True):
    """Where a transfer goes."""

    iban: str = ""
    bic: str = ""
    name: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """All that stands on an issued document. `kind` is one of DocumentKind; `corrects`: the invoice that a credit note
    is for; `credit_minor`, `balance_minor`: the customer's SLA credit and balance after it, for statements; `roots`: of
    each month of that credit ("2026-10") the last root of the SLA's ledger."""

    kind: str
    number: str
    issued_on: date
    due_on: date | None
    currency: str
    seller: Party
    buyer: Party
    bank: Bank
    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    customer: str = ""
    corrects: str = ""
    corrects_on: date | None = None
    reason: str = ""
    credit_minor: int = 0
    balance_minor: int = 0
    footer: str = ""
    roots: tuple[tuple[str, str], ...] = ()

    @property
    def net_minor(self) -> int:
        """The sum of the lines."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        """The sum of the taxes."""
        return sum(tax.tax_minor for tax in self.taxes)

    @property
    def gross_minor(self) -> int:
        """What it comes to."""
        return self.net_minor + self.tax_minor

    @property
    def title(self) -> str:
        """What it is called."""
        return {"invoice": "Invoice", "credit_note": "Credit note", "statement": "Statement"}[self.kind]

    @property
    def period(self) -> tuple[date, date] | None:
        """The first and the last day that its lines are for, those of SLA credits left out."""
        starts = [line.start for line in self.lines if line.start and not line.month]
        ends = [line.end for line in self.lines if line.end and not line.month]
        return (min(starts), max(ends)) if starts and ends else None


def tax(lines: Iterable[Line], category: str, rate: Decimal, reason: str) -> Tax:
    """The VAT of lines that share category and rate: on their sum, rounded half up once."""
    net = sum(line.amount_minor for line in lines)
    return Tax(category, rate, net, money.half_up(net * rate / HUNDRED), reason)


def to_json(document: "Document | Line") -> dict[str, Any]:
    """A document, or a line of a draft, as JSON values."""
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built


def from_json(value: object) -> Document:
    """A kept document. Raises msgspec.ValidationError for what is none."""
    return msgspec.convert(value, Document)


def lines_from_json(values: Iterable[object]) -> tuple[Line, ...]:
    """Kept lines of a draft. Raises as above."""
    return tuple(msgspec.convert(value, Line) for value in values)


def day_before(day: date) -> date:
    """The day before."""
    return day - timedelta(days=1)
