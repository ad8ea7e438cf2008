"""Search for the pushes that receipts are of, in the delivery log by customer and ack_id.

A receipt belongs to the push of its customer with its ack_id that was sent; where that was sent several times, to the
first. One whose provider never answered counts as sent: the phone has. What ended as failed, expired or lost is a late
choice (`late`): the push that was sent may still be on its way into the log, and it goes first.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from delivery.outcomes.verdict import Outcome
from delivery.rollups import cells
from delivery.rollups.increments import Cell

# A customer and a packed ack_id (delivery/protocol/mattermost_id.py).
Wanted = tuple[int, bytes]

SENT: Final = (Outcome.SENT.value, Outcome.UNKNOWN.value)
LATE: Final = (*SENT, Outcome.FAILED.value, Outcome.EXPIRED.value, Outcome.LOST.value)
# Pushes with one ack_id that are looked at, for whoever sends the same one over and over.
SAME_MOST: Final = 50
# LATERAL: the index by ack is looked up for each, whatever the planner thinks of a day of which it has no statistics
# yet. For that, no other index must look better to it: hence the sum, and one bound in time, which is a midnight.
_FIND: Final = f"""
SELECT wanted.customer_id, wanted.ack_id, found.*
FROM unnest(%(customers)s::bigint[], %(acks)s::bytea[]) AS wanted (customer_id, ack_id)
CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT trace, accepted_at, server_id, coalesce(app_id, 0), platform, type, outcome, code, attribution, counts
        FROM delivery_delivery d
        WHERE d.ack_id = wanted.ack_id AND d.customer_id + 0 = wanted.customer_id
            AND d.accepted_at {{bound}} %(midnight)s
            AND d.outcome = ANY (%(outcomes)s::text[]) AND d.count = 1
        LIMIT {SAME_MOST}
    ) AS same
    ORDER BY array_position(%(outcomes)s::text[], outcome), accepted_at, trace LIMIT 1
) AS found
"""  # noqa: S608  of constants of ours
# Of a day with few rows the planner would rather read all of them, for each that is wanted: on all days that takes
# seconds where the index takes milliseconds. For the rest of the transaction, which has nothing that wants it.
_BY_INDEX: Final = "SELECT set_config('enable_seqscan', 'off', true)"
SINCE: Final = _FIND.format(bound=">=")
BEFORE: Final = _FIND.format(bound="<")


class Push(NamedTuple):
    """A push that a receipt is of, as far as its receipt needs it."""

    trace: str
    accepted_at: datetime
    cell: Cell


def midnight(moment: datetime) -> datetime:
    """When the day (UTC) began that a moment is in."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def find(
    cursor: Any, wanted: Iterable[Wanted], day: datetime, *, statement: str = SINCE, late: bool = False
) -> dict[Wanted, Push]:
    """The pushes accepted since the beginning of a day (or BEFORE it), by what is wanted of them, as far as they are
    there. Within a transaction. Raises django.db.Error."""
    distinct = list(dict.fromkeys(wanted))
    if not distinct:
        return {}
    cursor.execute(_BY_INDEX)
    cursor.execute(
        statement,
        {
            "customers": [customer for customer, _ in distinct],
            "acks": [ack for _, ack in distinct],
            "midnight": midnight(day),
            "outcomes": list(LATE if late else SENT),
        },
    )
    return {(customer, bytes(ack)): _push(customer, *row) for customer, ack, *row in cursor.fetchall()}


def _push(
    customer: int, trace: str, accepted_at: datetime, server: int, app: int, platform: str, kind: str, *what: Any
) -> Push:
    minute = accepted_at.replace(second=0, microsecond=0)
    cell = Cell(minute, customer, server, app, cells.family(platform), cells.kind(kind), *what)
    return Push(trace, accepted_at, cell)
