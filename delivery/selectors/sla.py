"""Reading what the SLA needs of deliveries: counts by customer and minute, and what became of single pushes.

A push that was handed off a minute or more after it was accepted failed by our doing: a provider's answer is waited for
a few seconds only (ATTEMPT_DEADLINE), so that all else of the time was spent in our queue. What its provider could not
take in that time, and took when it was tried again later, is no event (delivery/outcomes/judge.py), unless an attempt
had failed by our doing.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from delivery.models import Delivery
from delivery.outcomes.verdict import Outcome
from delivery.rollups.buckets import within
from delivery.rollups.reading import MINUTE, Counted, counted

LATE: Final = timedelta(seconds=60)
HANDED_OFF: Final = (Outcome.SENT.value, Outcome.GONE.value)
_STEP: Final = timedelta(hours=6)
_MS: Final = 1_000


class MinuteCounts(NamedTuple):
    """A customer's pushes of a minute. Valid events, of them failed by us and handed off within 1 s and 3 s; and the
    failures of others, whether they are valid events or not: a gone device is handed off, and the device's failure."""

    valid: int = 0
    failed_ours: int = 0
    failed_provider: int = 0
    failed_customer: int = 0
    failed_device: int = 0
    le_1s: int = 0
    le_3s: int = 0


class Found(NamedTuple):
    """A push of the log; `counts`: whether it is a valid event of the SLA, `failed_ours`: and one that we failed."""

    ack_id: str
    trace: str
    accepted_at: datetime
    ended_at: datetime
    outcome: str
    code: str
    attribution: str
    counts: bool
    failed_ours: bool


def minute_counts(start: datetime, end: datetime) -> Iterator[tuple[int, datetime, MinuteCounts]]:
    """(customer id, minute, counts) of the pushes accepted from the minute of `start` to before `end`, all customers
    of the scope; minutes without a push are left out."""
    while start < end:
        until = min(end, start + _STEP)
        sums: dict[tuple[int, datetime], MinuteCounts] = {}
        by = ("customer_id", "outcome", "attribution", "counts")
        for row in counted(start, until, by=by, step=MINUTE, unit=MINUTE, latencies=True):
            assert row.at is not None  # noqa: S101  it was asked for by steps
            key = row.of["customer_id"], row.at
            before = sums.get(key, MinuteCounts())
            sums[key] = MinuteCounts(*map(sum, zip(before, _counts(row), strict=True)))
        for (customer, at), counts in sums.items():
            yield customer, at, counts
        start = until


def minutes_with_good_pushes(start: datetime, end: datetime) -> set[datetime]:
    """The minutes in which a valid push of anybody was handed to a provider."""
    rows = counted(start, end, step=MINUTE, unit=MINUTE, service=True, outcome=Outcome.SENT.value, counts=True)
    return {row.at for row in rows if row.at is not None and row.pushes > 0}


def by_ack_ids(customer_id: int, ack_ids: Sequence[str]) -> Iterator[Found]:
    """The pushes of a customer with these ack_ids, found by an index; of one ack_id perhaps several."""
    rows = Delivery.objects.filter(customer_id=customer_id, ack_id__in=[each for each in ack_ids if each])
    names = ("ack_id", "trace", "accepted_at", "ended_at", "outcome", "code", "attribution", "counts")
    for values in rows.order_by("accepted_at").values_list(*names):
        push = dict(zip(names, values, strict=True))
        yield Found(**push, failed_ours=push["counts"] and _failed_by_us(push))


def _failed_by_us(push: dict[str, object]) -> bool:
    if push["outcome"] in HANDED_OFF:
        took = push["ended_at"] - push["accepted_at"]  # type: ignore[operator]
        return bool(took >= LATE)
    return push["attribution"] == "ours"


def _counts(row: Counted) -> MinuteCounts:
    """What a cell adds."""
    outcome, whose, pushes = row.of["outcome"], row.of["attribution"], row.pushes
    handed_off = outcome in HANDED_OFF
    others = {} if outcome == Outcome.SENT.value or whose == "ours" else {f"failed_{whose}": pushes}
    if not row.of["counts"]:
        return MinuteCounts(**others)
    if not handed_off:
        return MinuteCounts(valid=pushes, failed_ours=pushes if whose == "ours" else 0, **others)
    handoff = row.handoff
    in_time = within(handoff, int(LATE.total_seconds()) * _MS)
    quick, soon = within(handoff, 1 * _MS), within(handoff, 3 * _MS)
    return MinuteCounts(valid=pushes, failed_ours=pushes - in_time, le_1s=quick, le_3s=soon, **others)
