"""Moves the receipts of phones from Valkey into PostgreSQL (segments.py), and joins each with its push.

In one transaction a receipt is written, joined, and counted in the rollups, in the minute of its push: the first one of
a push, the others are `repeated`. One without a push waits in the table: its push's row may still come, or never, for
the ack_id is another customer's or nobody's; it is looked for again (unmatched.py), and goes with its day. Invariant:
each receipt is written once and each push counted as acknowledged once, also when a writer dies half-way; the rollups
say what rebuilding.rebuild() would.
"""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
import redis
from django.db import DataError, IntegrityError, transaction

from delivery.log import matching, receipt_lines, segments
from delivery.log.matching import Push, Wanted
from delivery.log.receipt_lines import QUEUE, ReceiptLine
from delivery.metrics.receipt_counts import Result
from delivery.protocol import mattermost_id
from delivery.rollups.buckets import bucket_of
from delivery.rollups.increments import Cell, Increments

logger = logging.getLogger(__name__)

# Elements of one part, each of which has at most receipt_lines' 200 receipts.
PART: Final = 25
UNWRITABLE: Final = (DataError, IntegrityError, msgspec.MsgspecError, UnicodeError, OverflowError)
# Most receipts come within a day of their push: that is looked at first.
RECENT: Final = timedelta(days=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
_INSERT: Final = """
INSERT INTO delivery_receipt
    (id, received_at, customer_id, server_id, ack_id, type, platform, phone_at, trace, push_at, repeated)
SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bytea[], %s::text[], %s::text[],
    %s::timestamptz[], %s::text[], %s::timestamptz[], %s::boolean[])
ON CONFLICT DO NOTHING RETURNING id
"""
_KNOWN: Final = """
SELECT new.id FROM unnest(%s::text[], %s::timestamptz[]) AS new (id, at)
CROSS JOIN LATERAL (
    SELECT 1 FROM delivery_receipt r WHERE r.id = new.id AND r.received_at = new.at AND r.received_at >= %s LIMIT 1
) AS known
"""
_ACKED: Final = """
SELECT push.trace FROM unnest(%s::text[], %s::timestamptz[]) AS push (trace, at)
CROSS JOIN LATERAL (
    SELECT 1 FROM delivery_receipt r
    WHERE r.push_at = push.at AND r.trace = push.trace AND NOT r.repeated AND r.received_at >= %s LIMIT 1
) AS first
"""


class Receipt(NamedTuple):
    """A receipt as far as it is joined. `ack_id` is packed."""

    id: str
    received_at: datetime
    customer_id: int
    ack_id: bytes

    @property
    def wanted(self) -> Wanted:
        """What its push is found by."""
        return self.customer_id, self.ack_id


class Joined(NamedTuple):
    """A receipt with its push, None where there is none."""

    receipt: Receipt
    push: Push | None
    repeated: bool

    @property
    def result(self) -> Result:
        """What was found, as the metrics have it."""
        if self.push is None:
            return "unmatched"
        return "repeated" if self.repeated else "first"

    @property
    def first(self) -> tuple[Cell, int] | None:
        """Of the first receipt of a push: what that is counted under, and milliseconds from its acceptance to here."""
        if self.push is None or self.repeated:
            return None
        latency = self.receipt.received_at - self.push.accepted_at
        return self.push.cell, round(latency / timedelta(milliseconds=1))


class Tally(NamedTuple):
    """What was done with some receipts, for the metrics: how many by result, and of the first ones the family of their
    push's provider and the latency in milliseconds."""

    results: Counter[Result]
    first: list[tuple[str, int]]

    @classmethod
    def empty(cls) -> "Tally":
        """Of no receipts yet."""
        return cls(Counter(), [])

    def add(self, joined: Iterable[Joined]) -> None:
        """Count what was written."""
        for one in joined:
            self.results[one.result] += 1
            if one.first is not None:
                cell, milliseconds = one.first
                self.first.append((cell.family, milliseconds))


def write(store: redis.Redis, *, most_seconds: float = math.inf) -> Tally:
    """Move the receipts that wait in Valkey into PostgreSQL, as segments.move() does; returns what was found of each.

    Raises what the stores raise: nothing is lost then, the segments stay and the next call writes them.
    """
    tally = Tally.empty()

    def write_part(store: redis.Redis, key: str, part: str, start: int) -> int | None:
        done: list[Joined] = []
        lines = segments.write_once(
            store, key, part, start, PART, lambda cursor, blob: _write_lines(store, cursor, blob, done)
        )
        tally.add(done)  # only once it is committed
        return lines

    segments.move(store, QUEUE, PART, write_part, most_seconds=most_seconds)
    return tally


def _write_lines(store: redis.Redis, cursor: Any, blob: bytes, done: list[Joined]) -> int:
    try:
        with transaction.atomic():
            written = _write(cursor, blob)
    except UNWRITABLE:
        logger.exception("receipts violate the table; writing them by halves")
        written = []
        segments.by_halves(store, QUEUE.rejected, blob, lambda lines: written.extend(_write(cursor, lines)), UNWRITABLE)
    count(cursor, written)
    done += written
    return len(written)


def _write(cursor: Any, blob: bytes) -> list[Joined]:
    """Write the receipts of these lines, each with its push; returns those that were not there already."""
    lines = {line.id: line for line in receipt_lines.decode(blob)}
    receipts = _new(cursor, [_receipt(line) for line in lines.values()])
    if not receipts:
        return []
    joined = join(cursor, receipts, _find(cursor, receipts))
    rows = [_row(lines[one.receipt.id], one) for one in joined]
    cursor.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
    new = {name for (name,) in cursor.fetchall()}
    return [one for one in joined if one.receipt.id in new]


def _new(cursor: Any, receipts: list[Receipt]) -> list[Receipt]:
    """Those that are not in the table. One that is must not take the place of the first of a push from another."""
    if not receipts:
        return []
    times = [receipt.received_at for receipt in receipts]
    cursor.execute(_KNOWN, [[receipt.id for receipt in receipts], times, min(times)])
    known = {name for (name,) in cursor.fetchall()}
    return [receipt for receipt in receipts if receipt.id not in known]


def _receipt(line: ReceiptLine) -> Receipt:
    ack_id = mattermost_id.pack(line.ack_id)
    if ack_id is None:
        raise msgspec.ValidationError("a receipt has no ack_id")
    return Receipt(line.id, _moment(line.received_at), line.customer_id, ack_id)


def _moment(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def _row(line: ReceiptLine, joined: Joined) -> tuple[Any, ...]:
    receipt, push, repeated = joined
    return (
        *(receipt.id, receipt.received_at, receipt.customer_id, line.server_id, receipt.ack_id, line.type),
        *(line.platform, None if line.phone_at is None else _moment(line.phone_at)),
        *(push and push.trace, push and push.accepted_at, repeated),
    )


def _find(cursor: Any, receipts: Sequence[Receipt]) -> dict[Wanted, Push]:
    """The pushes of receipts that have just come: in the last day, and what is not found there in all of the log."""
    wanted = {receipt.wanted for receipt in receipts}
    since = min(receipt.received_at for receipt in receipts) - RECENT
    found = matching.find(cursor, wanted, since)
    return found | matching.find(cursor, wanted - found.keys(), since, statement=matching.BEFORE)


def join(cursor: Any, receipts: Iterable[Receipt], pushes: dict[Wanted, Push]) -> list[Joined]:
    """Join receipts with their pushes: the first of each that was not acknowledged before counts, others are repeated.

    Holds only as long as nobody else writes receipts (segments.locked).
    """
    in_order = sorted(receipts, key=lambda receipt: (receipt.received_at, receipt.id))
    acked = _acked(cursor, list(pushes.values()), in_order[0].received_at) if pushes else set()
    joined = []
    for receipt in in_order:
        push = pushes.get(receipt.wanted)
        joined.append(Joined(receipt, push, repeated=push is not None and push.trace in acked))
        if push is not None:
            acked.add(push.trace)
    return joined


def _acked(cursor: Any, pushes: list[Push], received_at: datetime) -> set[str]:
    """The traces of those pushes that were acknowledged before."""
    traces, accepted = [push.trace for push in pushes], [push.accepted_at for push in pushes]
    # Days before the push need not be looked at, unless a clock was set, which receipts before their push tell.
    since = min(accepted) - RECENT if max(accepted) - RECENT <= received_at else EPOCH
    cursor.execute(_ACKED, [traces, accepted, since])
    return {trace for (trace,) in cursor.fetchall()}


def count(cursor: Any, joined: Iterable[Joined]) -> None:
    """Count in the rollups what has just been joined."""
    increments = Increments()
    for one in joined:
        if one.first is not None:
            cell, milliseconds = one.first
            increments.acked(cell, bucket_of(milliseconds))
    increments.write(cursor)
