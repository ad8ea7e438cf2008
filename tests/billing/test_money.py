"""Amounts of money are exact, and rounded half up where they cannot be."""

from decimal import Decimal

import pytest

from billing import money


@pytest.mark.parametrize(
    ("minor", "shown"), [(0, "0.00 EUR"), (5, "0.05 EUR"), (-5, "-0.05 EUR"), (123_450, "1,234.50 EUR")]
)
def test_an_amount_is_shown_with_its_currency(minor: int, shown: str) -> None:
    assert money.text(minor, "EUR") == shown


@pytest.mark.parametrize(("exact", "minor"), [("0.5", 1), ("-0.5", -1), ("1.49", 1), ("2.5", 3)])
def test_a_half_goes_away_from_zero(exact: str, minor: int) -> None:
    assert money.half_up(Decimal(exact)) == minor


def test_a_share_of_an_amount_is_rounded_once() -> None:
    assert money.share(1_000, 17, 30) == 567
    with pytest.raises(ValueError, match="a share of nothing"):
        money.share(1_000, 1, 0)
