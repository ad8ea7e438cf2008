"""Writes the judged minutes of days that are not sealed yet: out of the rollups, the canary and maintenance.

Invariant: what is written of a span depends on the facts alone and not on when or how often it is written; a row that
is right already is not touched. Each day is a transaction behind one lock, so that two workers never write the same.
"""

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from django.db import OperationalError, connection, transaction

from billing.models import SlaLedger, SlaMinute, SlaRoot
from billing.rounds import Isolation, Round
from billing.sla import judging, keys
from billing.sla.judging import MINUTE, Row
from billing.sla.sources import Sources
from delivery.selectors import sla as selectors
from tenants.models import Customer

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('billing sla ledger'))"
# By then the rows of a minute's pushes are counted: they are settled within a minute, and recorded within a second.
SETTLED_AFTER: Final = timedelta(minutes=3)
_ROW: Final = Row._fields
_BATCH: Final = 2_000
# A lock that was not got in time is nobody's fault: the round is repeated, and nobody left out of a day that is sealed.
REPEATED: Final = (OperationalError,)


class Observation(NamedTuple):
    """What holds for all customers in a span: the canary by minute (None: none is set up), the minutes in which a push
    was handed off for anybody, and the excluded ones."""

    canary: dict[datetime, str] | None
    good: set[datetime]
    excluded: set[datetime]

    def judged(self, minute: datetime, counts: selectors.MinuteCounts) -> Row:
        """The row of a minute."""
        canary = judging.OFF if self.canary is None else self.canary.get(minute, judging.MISSING)
        word, reason = judging.verdict(
            counts.valid,
            counts.failed_ours,
            canary,
            excluded=minute in self.excluded,
            service_good=minute in self.good,
        )
        return Row(minute, *counts, canary, word, reason)


def hold() -> None:
    """Keep other writers of the ledger out until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)


def sealed_to() -> date | None:
    """The last sealed day."""
    return SlaRoot.objects.order_by("-day").values_list("day", flat=True).first()


def open_ledgers(sources: Sources) -> int:
    """Begin the ledger of each customer that has none, on the day it was taken on; how many. None without a key."""
    first_key, last = keys.first_made_at(), sealed_to()
    if first_key is None:
        return 0
    known = set(SlaLedger.objects.values_list("customer_id", flat=True)) | sources.left_out()
    made = 0
    for customer in Customer.objects.exclude(pk__in=known).order_by("pk"):
        begins = max(customer.created_at.astimezone(UTC).date(), first_key.astimezone(UTC).date())
        if last is not None:  # a day that is sealed takes no further head
            begins = max(begins, last + timedelta(days=1))
        SlaLedger.objects.get_or_create(customer=customer, defaults={"public_id": uuid.uuid4(), "begins": begins})
        made += 1
    return made


def write(start: datetime, end: datetime, sources: Sources) -> int:
    """Write the minutes from `start` to before `end` anew, days that are sealed left out. How many rows changed."""
    changed, day = 0, start.date()
    while judging.midnight(day) < end:
        first, last = judging.midnight(day), judging.midnight(day) + timedelta(days=1)
        with transaction.atomic():
            hold()
            changed += write_part(day, max(start, first), min(end, last), sources).changed
        day += timedelta(days=1)
    return changed


class Part(NamedTuple):
    """How many rows changed, and the customers whose minutes could not be written."""

    changed: int
    failed: frozenset[int]


def write_part(day: date, start: datetime, end: datetime, sources: Sources) -> Part:
    """Write the minutes of a part of one day, in the caller's transaction behind the lock. One customer's figures that
    cannot be are its own failure."""
    last = sealed_to()
    if last is not None and day <= last:
        return Part(0, frozenset())
    begun = SlaLedger.objects.filter(begins__lte=day).values_list("customer_id", flat=True)
    seen = observed(day, start, end, sources)
    common = [row for row in _common(seen, start, end) if judging.is_kept(row)]
    counted: dict[int, list[tuple[datetime, selectors.MinuteCounts]]] = {customer: [] for customer in begun}
    for customer, minute, counts in selectors.minute_counts(start, end):
        if customer in counted:
            counted[customer].append((minute, counts))

    def written(customer: int) -> int:
        rows = {row.minute: row for row in common}
        for minute, counts in counted[customer]:
            row = seen.judged(minute, counts)
            if judging.is_kept(row):
                rows[minute] = row
            else:
                rows.pop(minute, None)
        return _replace(customer, start, end, rows)

    isolation = Isolation(Round.SLA_MINUTES, end)
    changed = {
        customer: isolation.attempt(customer, partial(written, customer), whole=REPEATED) for customer in counted
    }
    failed = frozenset(customer for customer, rows in changed.items() if rows is None)
    return Part(sum(rows or 0 for rows in changed.values()), failed)


def observed(day: date, start: datetime, end: datetime, sources: Sources) -> Observation:
    """What holds for all customers in a part of a day."""
    month = judging.days_of(judging.month_of(day))[0]
    # From the month's begin: 240 minutes of it may be excluded, the first ones.
    windows = sources.windows(judging.midnight(month), judging.midnight(day) + timedelta(days=1))
    canary = sources.canary(start, end)
    return Observation(
        None if canary is None else dict(canary),
        selectors.minutes_with_good_pushes(start, end),
        judging.exclusions(windows, month, day),
    )


def _common(seen: Observation, start: datetime, end: datetime) -> Iterator[Row]:
    """The rows of minutes without a push of the customer: the same for all of them."""
    nothing, minute = selectors.MinuteCounts(), start
    while minute < end:
        yield seen.judged(minute, nothing)
        minute += MINUTE


def rows_of(customer_id: int, start: datetime, end: datetime) -> list[Row]:
    """The written minutes of a customer from `start` to before `end`, in order."""
    found = SlaMinute.objects.filter(customer_id=customer_id, minute__gte=start, minute__lt=end)
    return [Row(minute.astimezone(UTC), *rest) for minute, *rest in found.order_by("minute").values_list(*_ROW)]


def model_rows(customer_id: int, rows: Iterable[Row]) -> list[SlaMinute]:
    """Rows for the table."""
    return [SlaMinute(customer_id=customer_id, **row._asdict()) for row in rows]


def _replace(customer_id: int, start: datetime, end: datetime, wanted: dict[datetime, Row]) -> int:
    there = {row.minute: row for row in rows_of(customer_id, start, end)}
    stale = [minute for minute, row in there.items() if wanted.get(minute) != row]
    fresh = [row for minute, row in sorted(wanted.items()) if there.get(minute) != row]
    if stale:
        SlaMinute.objects.filter(customer_id=customer_id, minute__in=stale).delete()
    SlaMinute.objects.bulk_create(model_rows(customer_id, fresh), batch_size=_BATCH)
    return len({*stale, *(row.minute for row in fresh)})
