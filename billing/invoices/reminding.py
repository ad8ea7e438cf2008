"""Reminders of overdue invoices that no standing of a subscription reminds of: made by hand, or of one that has ended.

Those of the subscription that counts are reminded of with what follows from them (billing/subscriptions/mailing.py).
Of several steps that have come since the last run, the latest alone is sent; each address gets each step once.
"""

from datetime import UTC, date, datetime
from functools import partial

from django.db import transaction
from django.urls import reverse

from billing.facts import REMINDER_DAYS
from billing.invoices import profiles, reading
from billing.invoices.reading import Standing
from billing.invoices.sources import Sources
from billing.models import InvoiceMail
from billing.rounds import Isolation, Round
from tenants import mail
from tenants.models import Customer, Membership, Role


def send_due(sources: Sources, now: datetime) -> int:
    """Send what is due of all customers; to how many addresses. What fails for one is tried the next time."""
    today = now.astimezone(UTC).date()
    late: dict[int, list[Standing]] = {}
    for each in reading.overdue(today):
        late.setdefault(each.invoice.customer_id, []).append(each)
    isolation = Isolation(Round.REMINDERS, now)
    customers = Customer.objects.filter(pk__in=late).order_by("pk")
    return sum(isolation.attempt(row.pk, partial(_remind, row, late[row.pk], sources, now)) or 0 for row in customers)


def step(due_on: date, today: date) -> int:
    """How many days after the due date the reminder is of that is to be sent; 0: none."""
    return max((days for days in REMINDER_DAYS if (today - due_on).days >= days), default=0)


def readers(customer: Customer) -> list[str]:
    """Who hears of it: the owners, and who is billed; each address once."""
    owners = Membership.objects.filter(customer=customer, role=Role.OWNER, user__is_active=True)
    found = [*profiles.contacts(customer), *owners.order_by("pk").values_list("user__email", flat=True)]
    return list({address.lower(): address for address in found if address}.values())


def _remind(customer: Customer, late: list[Standing], sources: Sources, now: datetime) -> int:
    reminded, today = sources.reminded(customer, now), now.astimezone(UTC).date()
    sent, failure = 0, None
    for each in late:
        days = step(each.invoice.due_on, today) if each.invoice.due_on else 0
        if days and (each.invoice.subscription_id is None or each.invoice.subscription_id != reminded):
            for address in readers(customer):
                try:
                    sent += _send_once(customer, each, days, address, now)
                except mail.MailError as error:  # logged there; the other addresses' turn comes
                    failure = error
    if failure is not None:
        raise failure
    return sent


def _send_once(customer: Customer, each: Standing, days: int, address: str, now: datetime) -> bool:
    invoice, key = each.invoice, {"invoice": each.invoice, "address": address}
    with transaction.atomic():
        if InvoiceMail.objects.filter(days__gte=days, **key).exists():
            return False
        # Taken before it is sent, and given back if that fails: two senders at once send one mail.
        _, mine = InvoiceMail.objects.get_or_create(days=days, defaults={"sent_at": now}, **key)
        if mine:
            link = mail.link(reverse("invoice", args=(customer.slug, invoice.number)))
            late = (now.astimezone(UTC).date() - invoice.due_on).days if invoice.due_on else days
            context = {"customer": customer, "invoice": invoice, "open": each.open, "days": late, "link": link}
            mail.send("billing/mail/reminder", to=address, context=context)
    return mine
