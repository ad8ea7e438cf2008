"""Tells owners and staff by e-mail what was found, once each. Invariant: no customer hears of another's name."""

import logging
from datetime import datetime
from typing import Final

from django.conf import settings
from django.utils import timezone

from tenants import mail
from tenants.credentials.mails import readers
from tenants.models import Finding
from tenants.proofs.words import told

log = logging.getLogger(__name__)

RUN_MAX: Final = 50


def tell(now: datetime | None = None) -> int:
    """Send e-mail of each finding that was not told yet; how many were. What cannot be sent is sent the next time."""
    now = now or timezone.now()
    count = 0
    waiting = Finding.objects.filter(told_at=None, settled_at=None).select_related("server__customer", "key")
    for row in waiting.order_by("first_at")[:RUN_MAX]:
        # Claimed first, by a step that only one of several processes can make.
        if not Finding.objects.filter(pk=row.pk, told_at=None).update(told_at=now):
            continue
        try:
            _send(row)
        except mail.MailError as error:
            Finding.objects.filter(pk=row.pk, told_at=now).update(told_at=None)
            log.warning("the finding %d was not told: %s", row.pk, error)
            continue
        count += 1
    return count


def _send(row: Finding) -> None:
    customer = row.server.customer
    own = [] if row.kind in Finding.FOR_STAFF_ALONE else readers(customer)
    failed: mail.MailError | None = None
    for address in dict.fromkeys((*own, *settings.OPERATOR_EMAIL)):
        context = {"finding": row, "server": row.server, "customer": customer, "words": told(row)}
        try:
            mail.send("tenants/mail/finding", to=address, context=context)
        except mail.MailError as error:
            failed = error
    if failed is not None:
        raise failed
