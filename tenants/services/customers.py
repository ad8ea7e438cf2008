"""What a customer may change about itself; what it is entitled to is billing's."""

from collections.abc import Sequence
from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from tenants.audit import recording
from tenants.changes import Changed, normalised_name, notify_processes
from tenants.models import Customer
from tenants.problem import ProblemError

CONTACTS_MAX: Final = 20


def customer_rename(*, customer: Customer, name: str) -> Changed[Customer]:
    """Give a customer another name; its slug stays, since commands and addresses know it by that."""
    return _set(customer, "name", normalised_name(name, "customer"), "customer.rename")


def customer_content(*, customer: Customer, content: str) -> Changed[Customer]:
    """Say what of a push's text is handed to Apple and Google (Customer.Content)."""
    if content not in Customer.Content.values:
        raise ProblemError(f"the content must be one of {', '.join(Customer.Content.values)}")
    return _set(customer, "content", content, "customer.content")


def customer_contacts(*, customer: Customer, contacts: Sequence[str]) -> Changed[Customer]:
    """Say who gets e-mail about credentials that expire or are refused."""
    wanted = list(dict.fromkeys(filter(None, map(str.strip, contacts))))
    if len(wanted) > CONTACTS_MAX:
        raise ProblemError(f"a customer can have {CONTACTS_MAX} contacts at most")
    for address in wanted:
        try:
            validate_email(address)
        except ValidationError:
            raise ProblemError(f"{address[:100]!r} is no e-mail address") from None
    return _set(customer, "contacts", wanted, "customer.contacts")


def _set(customer: Customer, field: str, value: str | list[str], action: str) -> Changed[Customer]:
    with transaction.atomic():
        there = Customer.objects.select_for_update().get(pk=customer.pk)
        before = getattr(there, field)
        if before == value:
            return Changed(there, changed=False)
        setattr(there, field, value)
        there.save(update_fields=[field])
        recorded = [", ".join(each) if isinstance(each, list) else each for each in (before, value)]
        recording.record(action, customer=there, target=there.name, before=recorded[0], after=recorded[1])
        notify_processes(there.pk)
    return Changed(there, changed=True)
