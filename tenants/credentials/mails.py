"""E-mail about credentials: one that is refused, one that is about to expire. To whom it goes, and what it says."""

import logging
from collections.abc import Mapping

from django.conf import settings

from tenants import mail
from tenants.models import Credential, Customer, Membership, RemoveHold, Role
from tenants.providers.table import PROVIDERS

log = logging.getLogger(__name__)


def readers(customer: Customer | None) -> list[str]:
    """Who hears of a customer's credentials: its contacts, without any its owners; of the shared apps the operator."""
    if customer is None:
        return list(settings.OPERATOR_EMAIL)
    if customer.contacts:
        return list(customer.contacts)
    owners = Membership.objects.filter(customer=customer, role=Role.OWNER, user__is_active=True)
    return [address for address in owners.values_list("user__email", flat=True) if address]


def credential_fault(credential: Credential, spare: Credential | None, waiting: Credential | None = None) -> None:
    """Say that a provider refuses a credential, and which one signs instead, or that none does."""
    context = {"spare": spare, "waiting": waiting, "spare_kind": spare.get_kind_display() if spare else ""}
    _send("credential_refused", credential, context)


def expires(credential: Credential, days: int) -> None:
    """Say that a credential expires within so many days, or (0) that it has."""
    _send("credential_expires", credential, {"days": days})


def remove_held(hold: RemoveHold) -> None:
    """Say that no device of a customer is removed, because too many would be; to the operator as well."""
    operator = [each for each in settings.OPERATOR_EMAIL if each not in readers(hold.customer)]
    _send(
        "remove_held", hold.credential, {"hold": hold, "customer": hold.customer}, [*readers(hold.customer), *operator]
    )


def _send(name: str, credential: Credential, context: Mapping[str, object], to: list[str] | None = None) -> None:
    """Send to all readers; raises mail.MailError after the last of them if one could not be sent to."""
    app = credential.app
    known = {
        "credential": credential,
        "kind": credential.get_kind_display(),
        "app": app,
        "customer": app.customer,
        "provider": PROVIDERS[app.family].name,
        **context,
    }
    to = readers(app.customer) if to is None else to
    if not to:
        log.warning("nobody is told by e-mail about the credential %d: there are no contacts", credential.pk)
    failed: mail.MailError | None = None
    for address in to:
        try:
            mail.send(f"tenants/mail/{name}", to=address, context=known)
        except mail.MailError as error:
            failed = error
    if failed is not None:
        raise failed
