"""Amounts of money: integer minor units and a currency code, rounded half up. Pure.

Currencies with two decimals only (ISO 4217), which are those that a plan can be priced in.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

CURRENCIES: Final = ("EUR", "USD", "GBP", "CHF", "CAD", "AUD")
"""What a price may be in."""


def text(minor: int, currency: str) -> str:
    """An amount as pages and mails show it: "1,234.50 EUR", "-0.05 EUR"."""
    sign, units = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{units // 100:,}.{units % 100:02d} {currency}"


def half_up(amount: Decimal) -> int:
    """Minor units out of an exact amount of them; a half goes away from zero."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def share(minor: int, part: int, whole: int) -> int:
    """`part` / `whole` of an amount, rounded half up. Raises ValueError for a whole of nothing."""
    if whole <= 0:
        raise ValueError("a share of nothing cannot be told")
    return half_up(Decimal(minor) * part / whole)
