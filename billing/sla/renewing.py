"""Begins a broken chain of the SLA's ledger anew: by staff, who say why, and for good.

What it does is bound by the new genesis (billing/sla/ledger.py): the old chain's last good head, the day of the break,
who decided it and why. The days between stand in the new chain's first file, so that each of their minutes is provable.
"""

import re
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import transaction

from billing.dates import day
from billing.models import SlaMinute, SlaRenewal
from billing.sla import breaks, judging, keeping, ledger, reading
from billing.sla.breaks import Broken
from tenants.audit import recording
from tenants.models import Customer
from tenants.problem import ProblemError

_FOREIGN: Final = re.compile(r"[^ -+\--~]")  # what cannot stand in a CSV of ASCII


class Renewal(NamedTuple):
    """What beginning a chain anew comes to: where it broke, its new first day, and the minutes in between."""

    broken: Broken
    begins: datetime
    minutes: int

    @property
    def sentence(self) -> str:
        """What will happen."""
        broke_on = judging.midnight(self.broken.broke_on)
        days = (self.begins - broke_on).days
        return (
            f"The chain broke on {day(broke_on)}. It begins anew with {day(self.begins)}, in a genesis that names the "
            f"break, the last good head {self.broken.old_head[:12]}…, you and your reason; the {self.minutes:,} kept "
            f"minutes of the {days:,} day{'' if days == 1 else 's'} between are sealed in its first file. The customer "
            "sees all of it, is told by e-mail once that file is sealed, and it cannot be taken back."
        )


def preview(customer: Customer) -> Renewal:
    """What it would come to. Raises ProblemError for a chain that is whole, or none."""
    of, last = reading.ledger_of(customer), keeping.sealed_to()
    found = breaks.broken(of) if of is not None else None
    if found is None or last is None:
        raise ProblemError("its chain is whole: there is nothing to begin anew")
    begins = judging.midnight(last + timedelta(days=1))
    between = SlaMinute.objects.filter(
        customer=customer, minute__gte=judging.midnight(found.broke_on), minute__lt=begins
    )
    return Renewal(found, begins, between.count())


def renew(customer: Customer, *, reason: str, now: datetime) -> SlaRenewal:
    """Begin a customer's broken chain anew with the next day that is sealed. Audited.

    Raises ProblemError for a chain that is whole, and for a reason that cannot stand in the file.
    """
    if not ledger.FREE_TEXT.fullmatch(reason):
        raise ProblemError(
            "the reason is 3 to 200 of letters, digits, spaces and .:;()/'_- (it stands in a CSV file)", field="reason"
        )
    with transaction.atomic():
        keeping.hold()
        found = preview(customer)
        row = SlaRenewal.objects.create(
            customer=customer,
            broke_on=found.broken.broke_on,
            old_head=found.broken.old_head,
            begins=found.begins.date(),
            decided_at=now.replace(second=0, microsecond=0),
            decided_by=_FOREIGN.sub("?", recording.actor().name)[:254],
            reason=reason,
        )
        recording.record(
            "sla.renew",
            customer=customer,
            target=row,
            target_id=row.pk,
            broke_on=row.broke_on,
            begins=row.begins,
            old_head=row.old_head,
            reason=reason,
        )
    return row
