"""Limits of who has used more than is included: slower pushes until the month ends, and what was before again.

Wipes of devices have a budget of their own, and acknowledgements no limit (delivery/ingest/limits.py). But who has a
larger burst for pushes has it for wipes once more: so the burst is never lowered below what it takes to wipe all of a
customer's devices at once, twice.
"""

from datetime import datetime
from typing import Final

from django.db import transaction

from billing import locks
from billing.facts import Terms
from billing.models import UsageLimit
from billing.usage import months
from billing.usage.sources import Sources
from tenants.audit import recording
from tenants.models import Customer, Entitlement

# Where pushes are not counted against anything: a phone gets some hundred a month.
PUSHES_A_DEVICE: Final = 300
# Pushes at once after a quiet time: for each active device, and at least in seconds of the rate.
BURST_OF_DEVICE: Final = 2
BURST_SECONDS: Final = 60
_MONTH_SECONDS: Final = 30 * 86_400


def rate_of(terms: Terms) -> int:
    """The lowered rate: what is included, spread evenly over a month, and at least one push a second."""
    included = terms.included_pushes or (terms.included_devices or 0) * PUSHES_A_DEVICE
    return max(1, -(-included // _MONTH_SECONDS))


def burst_of(rate: int, devices: int) -> int:
    """The lowered burst for so many active devices."""
    return max(rate * BURST_SECONDS, devices * BURST_OF_DEVICE)


def lower(customer: Customer, terms: Terms, devices: int, now: datetime, known: Sources) -> bool:
    """Put the limits in force, unless they are; whether it was done now. Limits that are tighter already stay.
    devices: how many were active, of two months the more."""
    with transaction.atomic():
        before = _locked(customer)
        if before is None or in_force(customer) is not None:
            return False
        rate = rate_of(terms)
        burst = burst_of(rate, devices)
        if before.rate is not None and before.burst is not None:
            rate, burst = min(rate, before.rate), min(burst, before.burst)
        month = months.month_of(now)
        UsageLimit.objects.create(
            customer=customer,
            month=month.first,
            began_at=now,
            rate=rate,
            burst=burst,
            rate_before=before.rate,
            burst_before=before.burst,
        )
        recording.record("quota.limit", customer=customer, target=months.text(month), rate=rate, burst=burst)
        known.change_limits(customer=customer, rate=rate, burst=burst)
    return True


def lift(customer: Customer, now: datetime, known: Sources) -> bool:
    """End the limits that are in force; whether there were any. What somebody else has set meanwhile stays."""
    if in_force(customer) is None:
        return False
    with transaction.atomic():
        entitlement = _locked(customer)
        row = in_force(customer)
        if row is None:
            return False
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        recording.record("quota.free", customer=customer, target=f"{row.month:%Y-%m}")
        if entitlement is not None and (entitlement.rate, entitlement.burst) == (row.rate, row.burst):
            known.change_limits(customer=customer, rate=row.rate_before, burst=row.burst_before)
    return True


def in_force(customer: Customer) -> UsageLimit | None:
    """The limits that are in force for a customer."""
    return UsageLimit.objects.filter(customer=customer, ended_at=None).first()


def _locked(customer: Customer) -> Entitlement | None:
    """The entitlement, locked, so that of two processes one begins or ends limits."""
    return locks.entitlement(customer.pk)
