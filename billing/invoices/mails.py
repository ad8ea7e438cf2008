"""E-mails about documents: one to each billing contact when a document was issued, with the link to it.

The PDF itself is in no mail, so that nobody but those who may read invoices gets it. What was sent is kept, so that the
timetable sends what an issuing process could not, and nothing twice. Of what is overdue the standing of the
subscription writes (billing/subscriptions/mailing.py), and of what that does not, reminding.py.
"""

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction
from django.urls import reverse

from billing.invoices import profiles, reading
from billing.models import DocumentKind, Invoice, InvoiceMail
from billing.rounds import Isolation, Round
from tenants import mail
from tenants.models import Customer
from tenants.problem import ProblemError

log = logging.getLogger(__name__)

# Who enters a contact later is not sent what is old.
SEND_WITHIN: Final = timedelta(days=7)


def send(invoice: Invoice, now: datetime) -> int:
    """Mail a document to those billing contacts who have not got it; to how many. Raises MailError.

    A statement is mailed where it has something to say: an SLA credit or a balance.
    """
    customer = Customer.objects.filter(pk=invoice.customer_id).first()
    if customer is None or not _worth_a_mail(invoice):
        return 0
    sent = 0
    for address in profiles.contacts(customer):
        # Taken before it is sent, and given back if that fails: two senders at once send one mail.
        with transaction.atomic():
            _, mine = InvoiceMail.objects.get_or_create(
                invoice=invoice, address=address, days=0, defaults={"sent_at": now}
            )
            if mine:
                mail.send("billing/mail/invoice", to=address, context=_context(customer, invoice))
                sent += 1
    return sent


def send_pending(now: datetime) -> int:
    """Mail what was issued lately and is not mailed yet; to how many addresses. A failure is logged and tried again."""
    isolation = Isolation(Round.INVOICE_MAILS, now)
    waiting: dict[int, list[Invoice]] = {}
    for invoice in Invoice.objects.filter(issued_at__gt=now - SEND_WITHIN).order_by("issued_at"):
        waiting.setdefault(invoice.customer_id, []).append(invoice)
    sent = [isolation.attempt(who, partial(_send_all, found, now)) or 0 for who, found in waiting.items()]
    return sum(sent)


def _send_all(invoices: list[Invoice], now: datetime) -> int:
    """Those of one customer, each for itself: what one contact's mail server refuses keeps no other document back.
    Raises the last failure."""
    sent, failure = 0, None
    for invoice in invoices:
        try:
            sent += send(invoice, now)
        except ProblemError as problem:  # the mail module has logged why; whose address it was is nobody's business
            log.warning("%s was not mailed to everybody", invoice.number)
            failure = problem
    if failure is not None:
        raise failure
    return sent


def _worth_a_mail(invoice: Invoice) -> bool:
    if invoice.kind != DocumentKind.STATEMENT:
        return True
    return bool(invoice.document.get("credit_minor") or invoice.document.get("balance_minor"))


def _context(customer: Customer, invoice: Invoice) -> dict[str, object]:
    now = reading.standing(invoice, invoice.issued_at.date())
    return {
        "customer": customer,
        "invoice": invoice,
        "title": invoice.get_kind_display(),
        "total": invoice.total,
        "open": now.open if now.open_minor else "",
        "link": mail.link(reverse("invoice", args=(customer.slug, invoice.number))),
    }
