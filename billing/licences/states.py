"""Where in its life each licence is: of the staff's list, their first page and `licence list`."""

from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from billing.licences import answer
from billing.licences.judging import GRACE
from billing.models import LicenceProof

STATES: Final = {
    "counts": "Counts now",
    "expiring": f"Ends within {answer.SOON.days} days",
    "later": "Starts later",
    "expired": "Expired, not renewed",
    "ended": "Withdrawn, replaced or ended",
}


def in_state(rows: QuerySet[LicenceProof], state: str, now: datetime) -> QuerySet[LicenceProof]:
    """Those of the rows that are there. Raises KeyError for what is not in STATES."""
    living = Q(ended_at=None)
    # A proven one counts to the end of its grace, a vouched one to its end.
    going_on = Q(expires_at__gt=now) | Q(vouched=False, expires_at__gt=now - GRACE)
    found = rows.filter(
        {
            "counts": living & Q(starts_at__lte=now) & going_on,
            "expiring": living & Q(starts_at__lte=now, expires_at__gt=now, expires_at__lt=now + answer.SOON),
            "later": living & Q(starts_at__gt=now),
            "expired": living & Q(expires_at__lte=now),
            "ended": ~living,
        }[state]
    )
    if state == "expired":
        renewed = LicenceProof.objects.filter(living, customer=OuterRef("customer"), expires_at__gt=now)
        found = found.filter(~Exists(renewed))
    return found
