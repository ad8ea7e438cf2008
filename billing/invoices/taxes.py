"""VAT treatment of a service to a business: domestic, reverse charge, or none; VAT ids are checked offline. Pure.

Council Directive 2006/112/EC, articles 44 (the place of a service to a business is where that business is) and 196 (the
recipient in another member state owes the tax). Categories are those of UNTDID 5305 as EN 16931 uses them. Whether a
VAT id is in force is known to the tax offices alone (VIES); what is checked here is its form and its check digits.
"""

from decimal import Decimal
from typing import Final, NamedTuple

from stdnum.eu import vat
from stdnum.exceptions import ValidationError

from billing.invoices.document import Party
from tenants.problem import ProblemError

EU: Final = frozenset(
    (
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    )
)
REVERSE_CHARGE: Final = "Reverse charge: VAT is owed by the recipient (Article 196 of Directive 2006/112/EC)."
OUTSIDE: Final = "Not subject to VAT: the place of supply is outside of the seller's tax territory."


class Treatment(NamedTuple):
    """How a document is taxed: category, rate in per cent, and the reason where there is no tax."""

    category: str
    rate: Decimal
    reason: str = ""


def normalised_vat_id(text: str, country: str) -> str:
    """A VAT id as it is written on documents: "DE136695976"; "" stays. `country`: the business's, ISO 3166.

    One of an EU member state is checked by its length and check digits. Raises ProblemError, which says what is wrong.
    """
    given = "".join(text.split()).upper()
    if not given:
        return ""
    if country not in EU:
        if len(given) > 20 or not given.isprintable():
            raise ProblemError("a tax id has at most 20 characters", field="vat_id")
        return given
    prefix = "EL" if country == "GR" else country
    if not given.startswith(prefix):
        raise ProblemError(
            f"the VAT id has to begin with {prefix}, as the address is in {country}: give the VAT id of that country, "
            "or leave it empty",
            field="vat_id",
        )
    try:
        return str(vat.validate(given))
    except ValidationError as error:
        raise ProblemError(
            f"{given[:20]} is no VAT id of {country}: a character is missing, too many or wrong. Compare it with your "
            "registration",
            field="vat_id",
        ) from error


def treatment(seller: Party, buyer: Party, domestic_rate: Decimal, exemption: str = "") -> Treatment:
    """How a service of the seller to the buyer is taxed. `exemption`: why the seller charges no VAT at home, if so."""
    elsewhere = buyer.country != seller.country
    if elsewhere and not (seller.country in EU and buyer.country in EU):
        return Treatment("O", Decimal(0), OUTSIDE)
    if elsewhere and buyer.vat_id and not exemption:
        return Treatment("AE", Decimal(0), REVERSE_CHARGE)
    # Also a buyer in another member state without a VAT id: it is not known to be a business.
    if exemption:
        return Treatment("E", Decimal(0), exemption)
    return Treatment("S", domestic_rate)
