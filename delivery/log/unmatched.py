"""Receipts whose push is not found yet, and are looked at again: a phone may be quicker than the row of its push.

For ten minutes often, for as long as a push may be on its way rarely; after that none can come. Each look is at the
next few of them, in turns, so that a flood of receipts of nothing makes the turns longer and no look dearer.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from delivery.log import matching, segments
from delivery.log.receipts import EPOCH, FOREVER, RECENT, Joined, Receipt, Tally, count, join

# How long a receipt is young, and how long its push's row may come: the queue keeps no batch for longer.
YOUNG: Final = timedelta(minutes=10)
AGE_MOST: Final = timedelta(days=8)
# Receipts of one look at the young and the old ones, and the pause after a turn of the old ones.
YOUNG_MOST: Final = 2_000
OLD_MOST: Final = 500
PAUSE: Final = timedelta(minutes=10)
_NEXT: Final = """
SELECT id, received_at, customer_id, ack_id FROM delivery_receipt
WHERE push_at IS NULL AND received_at >= %s AND received_at < %s AND (received_at, id) > (%s, %s)
ORDER BY received_at, id LIMIT %s
"""
_UPDATE: Final = """
UPDATE delivery_receipt r SET trace = found.trace, push_at = found.push_at, repeated = found.repeated
FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::boolean[])
    AS found (id, received_at, trace, push_at, repeated)
WHERE r.id = found.id AND r.received_at = found.received_at
"""


class Turn:
    """The place of a look that goes through the unmatched receipts of an age in turns."""

    def __init__(self, most: int, pause: timedelta) -> None:
        """most: receipts of one look; pause: between two turns."""
        self.most, self._pause = most, pause
        self.after = (EPOCH, "")
        self.begins_at = EPOCH

    def go_on(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """After a look that saw these."""
        if len(receipts) == self.most:
            self.after = (receipts[-1].received_at, receipts[-1].id)
        else:
            self.after = (EPOCH, "")
            self.begins_at = now + self._pause


class Unmatched:
    """Looks again for the pushes of receipts; one in a process. Several processes may: each receipt is joined once."""

    def __init__(self) -> None:
        self._young, self._old = Turn(YOUNG_MOST, timedelta()), Turn(OLD_MOST, PAUSE)

    def match(self, now: datetime, tally: Tally) -> None:
        """Look at the next receipts, `now` by the clock that their times are of, and add to `tally` what was found.

        Raises django.db.Error.
        """
        self._look(self._young, now - YOUNG, FOREVER, now, tally, late=False)
        # A clock that was set back must not make the pause years long.
        if self._old.begins_at <= now or self._old.begins_at > now + PAUSE:
            self._look(self._old, now - AGE_MOST, now - YOUNG, now, tally, late=True)

    def _look(self, turn: Turn, since: datetime, before: datetime, now: datetime, tally: Tally, *, late: bool) -> None:
        joined: list[Joined] = []
        with transaction.atomic(), connection.cursor() as cursor:
            if not segments.locked(cursor):
                return
            cursor.execute(_NEXT, [since, before, *turn.after, turn.most])
            receipts = [Receipt(name, at, customer, bytes(ack)) for name, at, customer, ack in cursor.fetchall()]
            if receipts:
                joined = _match(cursor, receipts, late=late)
        turn.go_on(receipts, now)
        tally.add(joined)


def _match(cursor: Any, receipts: list[Receipt], *, late: bool) -> list[Joined]:
    since = min(receipt.received_at for receipt in receipts) - (AGE_MOST if late else RECENT)
    found = matching.find(cursor, (receipt.wanted for receipt in receipts), since, FOREVER, late=late)
    joined = [one for one in join(cursor, receipts, found) if one.push is not None]
    if not joined:
        return []
    cursor.execute(_UPDATE, [list(column) for column in zip(*_rows(joined), strict=True)])
    count(cursor, joined)
    return joined


def _rows(joined: list[Joined]) -> Iterator[tuple[Any, ...]]:
    for receipt, push, repeated in joined:
        if push is not None:
            yield receipt.id, receipt.received_at, push.trace, push.accepted_at, repeated
