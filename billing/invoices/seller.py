"""Who issues invoices: settings.SELLER, a JSON object, read and judged.

What is wrong or missing is said by the system check (checks.py) and by whoever is about to issue, in the same words.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from django.conf import settings
from stdnum import iban
from stdnum.exceptions import ValidationError

from billing.invoices import taxes
from billing.invoices.document import Bank, Party
from tenants.problem import ProblemError

_NEEDED: Final = ("name", "address", "postcode", "city", "country", "email", "iban")
_OPTIONAL: Final = (
    *("vat_id", "tax_number", "registration", "phone", "website"),
    *("bic", "bank", "vat_rate", "vat_exempt", "footer"),
)
_KNOWN: Final = frozenset((*_NEEDED, *_OPTIONAL))
# No member state's is higher than 27 %; what is above this is a slip of the pen.
_HIGHEST_RATE: Final = Decimal(50)


class Seller(NamedTuple):
    """Who issues: as a party of a document, where money goes, and the VAT at home (or why there is none)."""

    party: Party
    bank: Bank
    vat_rate: Decimal
    vat_exempt: str
    footer: str


def seller() -> Seller:
    """The seller. Raises ProblemError, which says all that is missing."""
    found = problems()
    if found:
        raise ProblemError(f"nothing can be issued: {'; '.join(found)}")
    given = _given()
    fields = ("name", "address", "postcode", "city", "country", "tax_number", "registration", "email", "phone")
    party = Party(
        **{name: given.get(name, "") for name in (*fields, "website")},
        vat_id=taxes.normalised_vat_id(given.get("vat_id", ""), given["country"]),
    )
    return Seller(
        party,
        Bank(iban.compact(given["iban"]), given.get("bic", ""), given.get("bank", "")),
        Decimal(given.get("vat_rate") or 0),
        given.get("vat_exempt", ""),
        given.get("footer", ""),
    )


def problems() -> list[str]:
    """What is wrong or missing, each in words; nothing: documents can be issued."""
    if not settings.SELLER:
        return ["SELLER is not set: the operator has to say who issues invoices"]
    try:
        given = _given()
    except ValueError:
        return ['SELLER is no JSON object of texts, such as {"name": "Push GmbH", ...}']
    found = [f"SELLER has no {name}" for name in _NEEDED if not given.get(name)]
    found += [f"SELLER has {name[:20]!r}, which is no field of it" for name in sorted(set(given) - _KNOWN)]
    if not (given.get("vat_id") or given.get("tax_number")):
        found.append("SELLER has neither vat_id nor tax_number")
    return [*found, *_wrong(given)]


def _wrong(given: dict[str, str]) -> list[str]:
    found = []
    country = given.get("country", "")
    if country and not (len(country) == 2 and country.isalpha() and country.isupper()):
        found.append("SELLER's country is no code of two capitals, such as DE")
    try:
        taxes.normalised_vat_id(given.get("vat_id", ""), country)
    except ProblemError as problem:
        found.append(f"SELLER's vat_id: {problem}")
    try:
        iban.validate(given.get("iban") or "DE02120300000000202051")
    except ValidationError:
        found.append("SELLER's iban is no IBAN: compare it with your bank's")
    if bool(given.get("vat_rate")) == bool(given.get("vat_exempt")):
        found.append("SELLER needs either vat_rate or vat_exempt")
    try:
        rate = Decimal(given.get("vat_rate") or 1)
    except InvalidOperation:
        rate = Decimal(-1)
    if not 0 < rate < _HIGHEST_RATE:
        found.append("SELLER's vat_rate is no rate in per cent, such as 19")
    return found


def _given() -> dict[str, str]:
    given = json.loads(settings.SELLER)
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise ValueError("no object of texts")
    return {name: value.strip() for name, value in given.items()}
