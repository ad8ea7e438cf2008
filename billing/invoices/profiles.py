"""Billing profiles: who is billed and who gets documents by e-mail. Sole writer of BillingProfile."""

from collections.abc import Iterable
from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from billing.invoices import taxes
from billing.invoices.countries import NAMES
from billing.invoices.document import Party
from billing.models import BillingProfile
from tenants.audit import recording
from tenants.changes import Changed
from tenants.models import Customer
from tenants.problem import ProblemError

_LENGTHS: Final = {"name": 200, "address": 300, "postcode": 20, "city": 100, "reference": 100}
_NEEDED: Final = ("name", "address", "city", "country")
MOST_ADDRESSES: Final = 10


def profile(customer: Customer) -> BillingProfile | None:
    """Who is billed; None while nobody has entered it."""
    return BillingProfile.objects.filter(customer=customer).first()


def party(customer: Customer, *, needed: bool) -> Party:
    """The customer as the buyer of a document. Raises ProblemError where the address is needed and missing."""
    row = profile(customer)
    if row is None:
        if needed:
            raise ProblemError(
                f"{customer.slug} has no billing address: an owner enters it on the page of invoices, or you do"
            )
        return Party(customer.name, "", "", "", "")
    return Party(row.name, row.address, row.postcode, row.city, row.country, row.vat_id, reference=row.reference)


def printed(row: BillingProfile) -> tuple[str, ...]:
    """What of it stands on documents."""
    return row.name, row.address, row.postcode, row.city, row.vat_id, row.reference


def contacts(customer: Customer) -> list[str]:
    """Who gets documents by e-mail."""
    row = profile(customer)
    return list(row.emails) if row else []


def change(
    *,
    customer: Customer,
    name: str,
    address: str,
    postcode: str,
    city: str,
    country: str,
    vat_id: str,
    reference: str,
    emails: Iterable[str],
) -> Changed[BillingProfile]:
    """Set who is billed; it stands on documents that are issued from now on. Raises ProblemError with its field."""
    given = {"name": name, "postcode": postcode, "city": city, "reference": reference}
    values: dict[str, object] = {field: " ".join(value.split()) for field, value in given.items()}
    values["address"] = "\n".join(filter(None, (" ".join(line.split()) for line in address.splitlines())))
    values["country"] = country.strip().upper()
    for field in _NEEDED:
        if not values[field]:
            raise ProblemError(f"a billing address needs a {field}", field=field)
    if values["country"] not in NAMES:
        raise ProblemError("the country is given by its code of two letters, such as DE", field="country")
    for field, most in _LENGTHS.items():
        value = str(values[field])
        if len(value) > most or not value.replace("\n", "").isprintable():
            raise ProblemError(f"the {field} has at most {most} printable characters", field=field)
    if str(values["address"]).count("\n") > 3:
        raise ProblemError("the address has at most four lines", field="address")
    values["vat_id"] = taxes.normalised_vat_id(vat_id, str(values["country"]))
    values["emails"] = _emails(emails)
    with transaction.atomic():
        row = BillingProfile.objects.select_for_update().filter(customer=customer).first()
        if row is not None and all(getattr(row, field) == value for field, value in values.items()):
            return Changed(row, changed=False)
        row = row or BillingProfile(customer=customer)
        for field, new in values.items():
            setattr(row, field, new)
        row.save()
        recording.record(
            "billing.change",
            customer=customer,
            target=row.name,
            country=row.country,
            vat_id=row.vat_id,
            contacts=len(row.emails),
        )
    return Changed(row, changed=True)


def _emails(given: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(filter(None, (address.strip().lower() for address in given))))
    for address in found:
        try:
            validate_email(address)
        except ValidationError as error:
            raise ProblemError(f"{address[:60]!r} is no e-mail address", field="emails") from error
    if len(found) > MOST_ADDRESSES:
        raise ProblemError(f"at most {MOST_ADDRESSES} people get invoices by e-mail", field="emails")
    return found
