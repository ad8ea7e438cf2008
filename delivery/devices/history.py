"""What the log has of one device: its latest pushes, one page of them, in the scope in force (tenants/scope.py).

The rows of a device lie each on a page of the disk of its own, so that no more of them are read than are shown. What is
told besides comes out of the tables of devices; what is counted is counted among the latest, and said to be more where
those do not reach back far enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from delivery.devices.latest import SESSION
from delivery.devices.reading import Page
from delivery.log import looking
from delivery.models import Delivery, Device
from delivery.outcomes.verdict import Outcome
from tenants.keyset import Cursor

# Rows of a page.
ROWS: Final = 25
# What pages say of a push; the attempts are most of a row.
COLUMNS: Final = (
    "trace",
    "accepted_at",
    "customer",
    "server",
    "app",
    "platform",
    "type",
    "ack_id",
    "device",
    "outcome",
    "code",
)
SENT: Final = Outcome.SENT.value
# By how much the tables of devices may be behind a row that came late.
LATE: Final = timedelta(days=1)


class Count(NamedTuple):
    """How many there are, and whether there may be more."""

    least: int
    more: bool


@dataclass(frozen=True)
class History:
    """The latest pushes of a device, the latest first; complete: whether the log has no others."""

    device: str
    rows: Sequence[Delivery]
    complete: bool

    def page(self) -> Page:
        """The first page of its pushes."""
        last = self.rows[-1] if self.rows else None
        return Page(list(self.rows), None if self.complete or last is None else Cursor(last.accepted_at, last.trace))

    def sessions(self, ways: Sequence[Device]) -> list[Delivery]:
        """The last pushes that say that the device's session has ended, a logout by the server or a wipe, of each of
        its rows `ways` with what the latest pushes say besides, the latest first."""
        known = {row.trace: row for row in self.rows if row.type == SESSION}
        older = {way.session_at for way in ways if way.session_at and not self.begins_before(way.session_at)}
        if older:
            found = Delivery.by_id.filter(device=self.device, accepted_at__in=older, type=SESSION).only(*COLUMNS)
            known |= {row.trace: row for row in found.order_by()}
        return sorted(known.values(), key=lambda row: (row.accepted_at, row.trace), reverse=True)

    def handed_off_since(self, moment: datetime, ways: Sequence[Device]) -> Count:
        """How many pushes, other than those about sessions, came after this moment and a provider took."""
        count = sum(row.accepted_at > moment and row.outcome == SENT and row.type != SESSION for row in self.rows)
        if self.begins_before(moment):
            return Count(count, more=False)
        # The moment is the last session's: what was sent later is none.
        sent = any(way.sent_at and way.sent_at > moment for way in ways)
        return Count(max(count, int(sent)), more=True)

    def unacknowledged(self, way: Device) -> Count:
        """How many pushes by the server and app of a device's row a provider took after the last acknowledged one, of
        the days that the log has."""
        count = sum(
            (row.server_id, row.app_id or 0, row.outcome) == (way.server_id, way.app_id, SENT)
            and (way.acked_at is None or row.accepted_at > way.acked_at)
            for row in self.rows
        )
        return Count(count, more=not self.begins_before(way.acked_at))

    def begins_before(self, moment: datetime | None) -> bool:
        """Whether all that came after a moment (None: at any time) is in the rows."""
        return self.complete or (moment is not None and bool(self.rows) and self.rows[-1].accepted_at <= moment)


def read(device: str, ways: Sequence[Device]) -> History:
    """The history of a device; ways: what the tables have of it."""
    rows = _rows(device, ways, None)
    return History(device, rows[:ROWS], len(rows) <= ROWS)


def page(device: str, ways: Sequence[Device], before: Cursor | None) -> Page:
    """The page of its pushes behind a cursor."""
    rows = _rows(device, ways, before)
    last = rows[ROWS - 1] if len(rows) > ROWS else None
    return Page(rows[:ROWS], Cursor(last.accepted_at, last.trace) if last else None)


def _rows(device: str, ways: Sequence[Device], before: Cursor | None) -> list[Delivery]:
    since = min((way.first_at for way in ways), default=None)
    rows = Delivery.by_id.filter(device=device).only(*COLUMNS)
    return looking.latest(rows, ROWS + 1, before, since and since - LATE)
