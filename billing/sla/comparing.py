"""Holds sealed minutes against the rollups as they are now: pushes that were recorded after their day was sealed.

What differs is for staff to correct (`sla correct`): the ledger itself never changes.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from billing.models import SlaLedger
from billing.sla import judging, keeping, ledger, sealing
from billing.sla.sources import Sources
from delivery.selectors import sla as selectors
from tenants.models import Customer

DAYS: Final = 7
"""How far back it is looked: whatever is recorded later than that has been lost before."""


def differing(customer: Customer, *, now: datetime, sources: Sources) -> list[dict[str, Any]]:
    """The sealed minutes of the last days whose figures are others by the rollups, corrections included: both lines."""
    of, last = SlaLedger.objects.filter(customer=customer).first(), keeping.sealed_to()
    if of is None or last is None:
        return []
    found: list[dict[str, Any]] = []
    day = max(of.begins, now.date() - timedelta(days=DAYS))
    while day <= last:
        start, end = judging.midnight(day), judging.midnight(day) + timedelta(days=1)
        filed = sealing.corrections_of(customer.pk, minute__gte=start, minute__lt=end)
        there = {row.minute: row for row in judging.corrected(keeping.rows_of(customer.pk, start, end), filed)}
        seen = keeping.observed(day, start, end, sources)
        for whose, minute, counts in selectors.minute_counts(start, end):
            row = seen.judged(minute, counts)
            if whose == customer.pk and judging.is_kept(row) and there.get(minute, row[:0])[1:8] != row[1:8]:
                told = ledger.line(there[minute]) if minute in there else ""
                found.append({"ledger": told, "rollups": ledger.line(row)})
        day += timedelta(days=1)
    return found
