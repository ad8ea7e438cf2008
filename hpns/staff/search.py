"""One search for the staff: by company, licence id, server_id, invoice number, key prefix, server, or e-mail address.

It looks only where the reader's role looks. Invariant: of a server key nothing but its prefix is looked for or kept.
In the scope of everything. Raises django.db.Error.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet
from django.urls import reverse

from billing.models import BillingProfile, Invoice, LicenceCase, LicenceProof
from tenants import keys, staff_roles
from tenants.models import Customer, Server, ServerId, ServerKey, Sighting

LONGEST: Final = 200
# Of each kind.
MOST: Final = 20


class Hit(NamedTuple):
    """Something that was found: what it is, its name, whose it is, and where it stands in the admin."""

    kind: str
    text: str
    note: str
    url: str


def cleaned(text: str) -> str:
    """What is looked for: of a key, or of an address with one in it, the prefix alone."""
    text = " ".join(text.replace("\0", " ").split())[:LONGEST]
    begin = text.find(keys.MARK)
    prefix = keys.prefix(text[begin:]) if begin >= 0 else ""
    return f"{keys.MARK}{prefix}" if prefix else text


def find(text: str, may: Callable[[str], bool]) -> list[Hit]:
    """What a cleaned text names, for a reader who `may` see it by Django's names of permissions; each once."""
    if not text:
        return []
    if text.startswith(keys.MARK):
        return list(dict.fromkeys(_keys(text.removeprefix(keys.MARK)))) if may(staff_roles.KEYS) else []
    found = (hit for permission, look in LOOKS if may(permission) for hit in look(text))
    return list(dict.fromkeys(found))


def _row(row: Model) -> str:
    opts = row._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=(row.pk,))


def _customer(row: Customer, note: str = "") -> Hit:
    return Hit("Customer", row.name, note or row.slug, _row(row))


def _customers(text: str) -> Iterator[Hit]:
    rows = Customer.objects.filter(Q(name__icontains=text) | Q(slug__icontains=text)).order_by("name")
    yield from map(_customer, rows[:MOST])


def _companies(text: str) -> Iterator[Hit]:
    rows = LicenceProof.objects.filter(company__icontains=text).select_related("customer").order_by("company", "pk")
    for row in rows[:MOST]:
        yield Hit("Licence", str(row), f"{row.company}, of {row.customer.name}", _row(row))


def _billed(text: str) -> Iterator[Hit]:
    rows = BillingProfile.objects.filter(Q(name__icontains=text) | Q(vat_id__iexact=text)).select_related("customer")
    for row in rows.order_by("name")[:MOST]:
        yield Hit("Billed as", row.name, row.customer.name, _row(row))


def _licences(text: str) -> Iterator[Hit]:
    rows = LicenceProof.objects.filter(licence_id__iexact=text).select_related("customer").order_by("ended_at", "-pk")
    for row in rows[:MOST]:
        over = ", over" if row.ended_at else ""
        yield Hit("Licence", str(row), f"of {row.customer.name}{over}", _row(row))


def _cases(text: str) -> Iterator[Hit]:
    rows = LicenceCase.objects.filter(licence_id__iexact=text).select_related("customer").order_by("-last_at")
    for row in rows[:MOST]:
        yield Hit("Licence case", str(row), f"of {row.customer.name}", _row(row))


def _server_ids(text: str) -> Iterator[Hit]:
    rows: QuerySet[ServerId] = ServerId.objects.filter(mattermost_id__iexact=text).select_related("server__customer")
    for row in rows.order_by("pk")[:MOST]:
        yield Hit("Server ID", row.mattermost_id, f"{row.server.name} of {row.server.customer.name}", _row(row))


def _sightings(text: str) -> Iterator[Hit]:
    rows = Sighting.objects.filter(mattermost_id__iexact=text).select_related("key__server__customer")
    for row in rows.order_by("-last_at")[:MOST]:
        server = row.key.server
        yield Hit("Came with the key", str(row.key), f"{server.name} of {server.customer.name}", _row(row.key))


def _keys(prefix: str) -> Iterator[Hit]:
    rows = ServerKey.objects.filter(prefix=prefix[: keys.PREFIX_LENGTH]).select_related("server__customer")
    for row in rows.order_by("pk")[:MOST]:
        yield Hit("Server key", str(row), f"{row.server.name} of {row.server.customer.name}", _row(row))


def _invoices(text: str) -> Iterator[Hit]:
    for row in Invoice.objects.filter(number__iexact=text).defer("document").order_by("number")[:MOST]:
        yield Hit("Invoice", row.number, row.customer_name, _row(row))


def _servers(text: str) -> Iterator[Hit]:
    rows = Server.objects.filter(name__icontains=text, anonymous=False).select_related("customer").order_by("name")
    for row in rows[:MOST]:
        yield Hit("Server", row.name, f"of {row.customer.name}", _row(row))


def _people(text: str) -> Iterator[Hit]:
    for row in User.objects.filter(email__iexact=text).order_by("pk")[:MOST]:
        yield Hit("Person", row.email, row.first_name, _row(row))


# Who may see it, and what looks for it; what is found first is shown first.
LOOKS: Final[tuple[tuple[str, Callable[[str], Iterator[Hit]]], ...]] = (
    (staff_roles.MONEY, _invoices),
    ("billing.view_licenceproof", _licences),
    ("billing.view_licencecase", _cases),
    ("tenants.view_serverid", _server_ids),
    (staff_roles.KEYS, _keys),
    ("tenants.view_sighting", _sightings),
    ("auth.view_user", _people),
    ("tenants.view_customer", _customers),
    ("tenants.view_server", _servers),
    ("billing.view_licenceproof", _companies),
    ("billing.view_billingprofile", _billed),
)
