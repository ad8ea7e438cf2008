"""A seller, a customer that can be billed, and documents for tests."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from billing.facts import Basis, Subscribed, Terms
from billing.invoices import drafting, issuing, profiles
from billing.invoices.document import Bank, Document, Line, Party, tax
from billing.models import Invoice
from tenants.models import Customer

SELLER: Final[dict[str, str]] = {
    "name": "Push GmbH",
    "address": "Hauptstr. 1",
    "postcode": "10115",
    "city": "Berlin",
    "country": "DE",
    "email": "billing@push.example",
    "phone": "+49 30 1234567",
    "vat_id": "DE136695976",
    "tax_number": "27/123/45678",
    "registration": "HRB 1, Berlin",
    "iban": "DE02120300000000202051",
    "bic": "BYLADEM1001",
    "vat_rate": "19",
}
SELLER_JSON: Final = json.dumps(SELLER)
NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
TERMS: Final = Terms("HPNS Standard", 1, "hpns", "EUR", 49_900, 1, 2_000, None, None, 25, sla=True)
BUYERS: Final = {
    "DE": {"country": "DE", "vat_id": "DE136695976"},
    "BE": {"country": "BE", "vat_id": "BE0428759497"},
    "FR": {"country": "FR", "vat_id": ""},
    "US": {"country": "US", "vat_id": ""},
}


def at(year: int, month: int, day: int) -> datetime:
    """Noon of a day."""
    return datetime(year, month, day, 12, tzinfo=UTC)


def billed(customer: Customer, **more: Any) -> Customer:
    """Enter who is billed; at home unless said otherwise."""
    values: dict[str, Any] = {
        "name": customer.name,
        "address": "Ring 2",
        "postcode": "20095",
        "city": "Hamburg",
        "country": "DE",
        "vat_id": "",
        "reference": "",
        "emails": ["books@acme.example"],
    }
    profiles.change(customer=customer, **{**values, **more})
    return customer


def subscribed(customer: Customer, start: datetime, **more: Any) -> Subscribed:
    """A paid subscription, monthly unless said otherwise."""
    values: dict[str, Any] = {"basis": Basis.PAID, "terms": TERMS, "trial_ends_at": None, "cancel_at": None}
    return Subscribed(id=7, customer_id=customer.pk, starts_at=start, override_until=None, **{**values, **more})


def issued(customer: Customer, unit_minor: int = 10_000, *, now: datetime = NOW, currency: str = "EUR") -> Invoice:
    """An invoice of one line."""
    draft = drafting.make(customer, currency=currency, lines=[Line("Set-up", unit_minor)], now=now)
    return issuing.issue(draft, now=now)


def document(lines: list[Line], country: str = "DE", **more: Any) -> Document:
    """A document that was never kept."""
    category, rate, reason = {
        "DE": ("S", Decimal(19), ""),
        "BE": ("AE", Decimal(0), "Reverse charge"),
        "US": ("O", Decimal(0), "Outside"),
    }[country]
    seller = Party(**{name: value for name, value in SELLER.items() if name not in ("iban", "bic", "vat_rate")})
    values: dict[str, Any] = {
        "kind": "invoice",
        "number": "INV-2026-00042",
        "issued_on": date(2026, 11, 30),
        "due_on": date(2026, 12, 30),
        "currency": "EUR",
        "seller": seller,
        "bank": Bank(SELLER["iban"], "", ""),
        "buyer": Party("Acme", "Ring 2", "20095", "Hamburg", country, vat_id=BUYERS[country]["vat_id"]),
        "lines": tuple(lines),
        "taxes": (tax(lines, category, rate, reason),),
        "customer": "acme",
    }
    return Document(**{**values, **more})
