"""What the log has of one device, read in one look, in the scope in force (tenants/scope.py).

Planning a look at the log costs more than the rows of a device do, for it has a partition for each day: pages of the
device, the ends of its sessions and what it was sent since a receipt are told out of the same rows. Only of a device
with more than ROWS pushes the log is asked for what came before them, and only where that can matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from delivery.devices import reading
from delivery.devices.reading import Page
from delivery.models import Delivery, Device
from delivery.outcomes.verdict import Outcome
from tenants.keyset import Cursor

# Some milliseconds, and a phone's pushes of weeks.
ROWS: Final = 1_000
# Rows about sessions.
SESSIONS: Final = 10
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
SESSION: Final = "session"
SENT: Final = Outcome.SENT.value


@dataclass(frozen=True)
class History:
    """The latest pushes of a device, the latest first; complete: whether the log has no others."""

    device: str
    rows: Sequence[Delivery]
    complete: bool

    def page(self, before: Cursor | None) -> Page:
        """A page of them, and of those before."""
        rows = list(self.rows)
        if before is not None:
            rows = [row for row in rows if (row.accepted_at, row.trace) < (before.at, before.key)]
        if len(rows) <= reading.SIZE:
            return Page(rows, None) if self.complete else reading.pushes(self.device, before)
        last = rows[reading.SIZE - 1]
        return Page(rows[: reading.SIZE], Cursor(last.accepted_at, last.trace))

    def sessions(self) -> list[Delivery]:
        """The last pushes that say that the device's session has ended: a logout by the server, or a wipe."""
        found = [row for row in self.rows if row.type == SESSION][:SESSIONS]
        if self.complete or len(found) == SESSIONS:
            return found
        return list(_log(self.device).filter(type=SESSION).order_by("-accepted_at")[:SESSIONS])

    def handed_off_since(self, moment: datetime, most: int) -> int:
        """How many pushes, other than those about sessions, came after this moment and a provider took; counted no
        further than `most`."""
        count = sum(row.accepted_at > moment and row.outcome == SENT and row.type != SESSION for row in self.rows)
        if count >= most or self._begins_before(moment):
            return min(count, most)
        rows = _log(self.device).filter(accepted_at__gt=moment, outcome=SENT).exclude(type=SESSION)
        return rows.order_by()[:most].count()

    def unacknowledged(self, ways: Sequence[Device], most: int) -> list[int]:
        """For each of the device's rows the pushes by its server and app that a provider took after the last
        acknowledged one, of the days that the log has; counted no further than `most`."""
        times: dict[tuple[int, int], list[datetime]] = {}
        for row in self.rows:
            if row.outcome == SENT:
                times.setdefault((row.server_id, row.app_id or 0), []).append(row.accepted_at)
        return [self._unacknowledged(way, times.get((way.server_id, way.app_id), ()), most) for way in ways]

    def _unacknowledged(self, way: Device, times: Sequence[datetime], most: int) -> int:
        count = sum(not way.acked_at or at > way.acked_at for at in times)
        if count >= most or self._begins_before(way.acked_at):
            return min(count, most)
        since = Q(accepted_at__gt=way.acked_at) if way.acked_at else Q()
        of_way = _log(self.device).filter(since, server_id=way.server_id, app_id=way.app_id or None, outcome=SENT)
        return of_way.order_by()[:most].count()

    def _begins_before(self, moment: datetime | None) -> bool:
        """Whether all that came after a moment (None: at any time) is in the rows."""
        return self.complete or (moment is not None and self.rows[-1].accepted_at <= moment)


def read(device: str) -> History:
    """The history of a device."""
    rows = list(_log(device).only(*COLUMNS).order_by("-accepted_at", "-trace")[: ROWS + 1])
    return History(device, rows[:ROWS], len(rows) <= ROWS)


def _log(device: str) -> "QuerySet[Delivery]":
    return Delivery.objects.filter(device=device)
