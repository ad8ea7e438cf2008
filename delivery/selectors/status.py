"""What all customers' pushes together say of the service, minute by minute, and what became of one push."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from delivery.models import Delivery
from delivery.outcomes.verdict import Outcome
from delivery.rollups.reading import MINUTE, counted

# A push is in time if it was handed off within this after it was accepted (sla-1).
IN_TIME: Final = timedelta(seconds=60)
GOOD: Final = frozenset((Outcome.SENT.value, Outcome.GONE.value))
# Whose failures are the service's or its providers'; the customer's and the phone's are nobody else's.
NOT_THEIRS: Final = frozenset(("ours", "provider"))


class ServiceMinutes(NamedTuple):
    """Of one provider's family and minute: valid pushes, those that failed by us or by the provider, and good ones."""

    valid: int
    failed: int
    good: int


class Ended(NamedTuple):
    """The end of one push: whether it was handed off in time, its code, whose doing, and after how many ms it ended."""

    in_time: bool
    code: str
    attribution: str
    ms: int


def service_minutes(start: datetime, end: datetime) -> dict[tuple[datetime, str], ServiceMinutes]:
    """By minute and family, without the service's own canary; what had no push is not there."""
    found: dict[tuple[datetime, str], list[int]] = {}
    by = ("family", "outcome", "attribution")
    for row in counted(start, end, by=by, step=MINUTE, unit=MINUTE, service=True, counts=True):
        if row.at is None:
            continue
        sums = found.setdefault((row.at, row.of["family"]), [0, 0, 0])
        good = row.of["outcome"] in GOOD
        sums[0] += row.pushes
        sums[1] += 0 if good or row.of["attribution"] not in NOT_THEIRS else row.pushes
        sums[2] += row.pushes if good else 0
    return {key: ServiceMinutes(*sums) for key, sums in found.items()}


def ended(ack_id: str, since: datetime) -> Ended | None:
    """The end of the push with this ack_id that was accepted since then; None: it has no row (yet)."""
    row = Delivery.objects.filter(ack_id=ack_id, accepted_at__gte=since).order_by("accepted_at").first()
    if row is None:
        return None
    took = row.ended_at - row.accepted_at
    in_time = row.outcome in GOOD and took <= IN_TIME
    return Ended(in_time, row.code, row.attribution, int(took / timedelta(milliseconds=1)))
