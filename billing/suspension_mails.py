"""E-mail to a customer's owners when the operator suspends it or serves it again: since when, why, and whom to ask.

Sent after the commit and by whoever did it, who is told what could not be sent. Of an erasure that an owner has asked
for nobody is written to here: hpns/departure says what happens.
"""

from typing import Any, Final, NamedTuple

from django.conf import settings

from tenants import mail
from tenants.models import AuditEvent, Customer, Membership, Role

_ACTIONS: Final = ("customer.suspend", "customer.resume")


class Letter(NamedTuple):
    """What is written, and to whom."""

    emails: list[str]
    context: dict[str, Any]


class Sent(NamedTuple):
    """How many e-mails went out, and in words what did not."""

    number: int
    problems: list[str]


def letter(customer: Customer) -> Letter:
    """What its owners are to be told of a customer whose status was changed just now, by the audit log's last event."""
    event = AuditEvent.objects.filter(customer_id=customer.pk, action__in=_ACTIONS).latest("at", "id")
    owners = Membership.objects.filter(customer=customer, role=Role.OWNER, user__is_active=True)
    emails = owners.order_by("pk").values_list("user__email", flat=True)
    context = {
        "customer": customer,
        "suspended": customer.status == Customer.Status.SUSPENDED,
        "at": event.at,
        "reason": event.details.get("reason", ""),
        "contact": settings.SUPPORT_CONTACT,
    }
    return Letter([email for email in emails if email], context)


def send(made: Letter) -> Sent:
    """Write to each. It asks no database: the mail server takes its time, and no transaction waits with it."""
    number, problems = 0, []
    for email in made.emails:
        try:
            mail.send("billing/mail/suspension", to=email, context=made.context)
            number += 1
        except mail.MailError as error:
            problems.append(error.sentence)
    if not made.emails:
        problems.append(f"{made.context['customer'].name} has no owner who can be written to.")
    return Sent(number, problems)
