"""Rows of the delivery log as lists show them: in words, with what a phone has acknowledged of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from delivery.log import acknowledged
from delivery.models import Delivery
from delivery.outcomes.verdict import Outcome
from delivery.pages.filter_bar import OUTCOMES, TYPE_LABELS, app_label
from delivery.pages.overview_tables import duration
from tenants import scope
from tenants.models import PushApp, Server

SENT: Final = Outcome.SENT.value
_KINDS: Final = {SENT: "good", Outcome.GONE.value: "warn"}


class PushRow(NamedTuple):
    """A push of a list. `kind` and `outcome` are a status in words; latencies are in milliseconds, None: none.

    `state` changes when the row is to be shown anew.
    """

    push: Delivery
    kind: str
    outcome: str
    code: str
    server: str
    app: str
    type: str
    handoff: int | None
    acked: int | None

    @property
    def took(self) -> str:
        """How long the hand-off took, in words."""
        return duration(self.handoff) if self.handoff is not None else ""

    @property
    def acked_after(self) -> str:
        """How long it was until the phone's receipt, in words."""
        return duration(self.acked) if self.acked is not None else ""

    @property
    def state(self) -> str:
        """What of the row can still change."""
        return "acked" if self.acked is not None else "waiting"


class Names(NamedTuple):
    """What servers and apps are called, by their id."""

    servers: dict[int, str]
    apps: dict[int, str]


def names() -> Names:
    """The names of all servers and apps that the customer's pushes can be of, in its scope."""
    apps = {app.pk: app_label(app) for app in (*scope.shared_apps(), *PushApp.objects.all())}
    return Names(dict(Server.objects.values_list("pk", "name")), apps)


def push_rows(rows: Sequence[Delivery], named: Names | None = None) -> list[PushRow]:
    """These rows of one customer in words, in its scope."""
    named = named or _names_of(rows)
    acked = {trace: found[0].received_at for trace, found in acknowledged.receipts(rows).items()}
    return [_push_row(row, named, acked.get(row.trace)) for row in rows]


def _names_of(rows: Iterable[Delivery]) -> Names:
    rows = list(rows)
    servers = Server.objects.order_by().filter(pk__in={row.server_id for row in rows})
    wanted = {row.app_id for row in rows if row.app_id}
    apps = [*PushApp.objects.filter(pk__in=wanted), *scope.shared_apps().filter(pk__in=wanted)]
    return Names(dict(servers.values_list("pk", "name")), {app.pk: app_label(app) for app in apps})


def _push_row(row: Delivery, named: Names, acked_at: datetime | None) -> PushRow:
    sent = row.outcome == SENT
    delivered = sent and acked_at is not None
    return PushRow(
        row,
        _KINDS.get(row.outcome, "bad"),
        "Delivered" if delivered else OUTCOMES.get(row.outcome, row.outcome),
        "" if sent else row.code,
        named.servers.get(row.server_id, "removed"),
        named.apps.get(row.app_id, "removed") if row.app_id else "none",
        TYPE_LABELS.get(row.type, row.type or "none"),
        milliseconds(row.accepted_at, row.ended_at) if sent else None,
        milliseconds(row.accepted_at, acked_at) if acked_at else None,
    )


def milliseconds(start: datetime, end: datetime) -> int:
    """How long it was, never less than nothing: clocks differ."""
    return max(0, round((end - start).total_seconds() * 1000))
