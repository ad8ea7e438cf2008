"""Warns of credentials that expire: 30, 14, 7 and 1 days before their end and when it has come, once each.

Only Apple's certificates have an end. Invariant: of several processes one warns; a warning that could not be sent is
sent the next time.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from tenants.credentials import mails
from tenants.mail import MailError
from tenants.models import Credential

log = logging.getLogger(__name__)

DAYS: Final = (30, 14, 7, 1, 0)


def due(expires_at: datetime, now: datetime) -> int | None:
    """Of which of DAYS it is time to warn; None when the end is further away."""
    remaining = expires_at - now
    return next((days for days in reversed(DAYS) if remaining <= timedelta(days=days)), None)


def warn(now: datetime | None = None) -> int:
    """Send the warnings that are due; how many credentials were warned of."""
    now = now or timezone.now()
    ending = Credential.objects.filter(expires_at__lte=now + timedelta(days=max(DAYS)), app__enabled=True)
    warned = 0
    for row in ending.select_related("app__customer").order_by("expires_at"):
        days = due(row.expires_at, now) if row.expires_at is not None else None
        before = row.warned_days
        if days is None or (before is not None and before <= days):
            continue
        # Claimed first, by a step that only one of several processes can make.
        if not Credential.objects.filter(pk=row.pk, warned_days=before).update(warned_days=days):
            continue
        try:
            mails.expires(row, _whole_days(row, now))
        except MailError as error:
            Credential.objects.filter(pk=row.pk, warned_days=days).update(warned_days=before)
            log.warning("the warning of the end of the credential %d was not sent: %s", row.pk, error)
            continue
        warned += 1
    return warned


def _whole_days(row: Credential, now: datetime) -> int:
    """How many days are left, counted up: 0 when it has expired."""
    assert row.expires_at is not None  # noqa: S101  only such are warned of
    return max(0, -(-(row.expires_at - now) // timedelta(days=1)))
