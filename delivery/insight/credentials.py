"""How each credential that pushes are signed with stands, for the staff, in the scope of everything."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from delivery.insight import pausing
from delivery.insight.customers import DAY, FINE
from delivery.rollups.reading import HOUR, counted
from delivery.worker.breaker_reports import Paused
from tenants.models import Credential

# How long before its end a credential is spoken of.
SOON: Final = timedelta(days=30)


@dataclass(frozen=True)
class State:
    """A credential in use, the pushes of its app in 24 hours, and those of them that the customer's key, app or set-up
    failed; `kind` and `word` are for the mark; `since`: of the trouble."""

    credential: Credential
    kind: str
    word: str
    code: str = ""
    since: datetime | None = None
    pushes: int | None = None
    refused: int | None = None

    @property
    def rank(self) -> int:
        """For sorting: the worst first."""
        return ("bad", "warn", "good").index(self.kind)


def states(now: datetime) -> list[State]:
    """Every credential in use, the worst first, without counts (counted_for). Raises django.db.Error."""
    current = Credential.objects.filter(slot=Credential.Slot.CURRENT, app__enabled=True).select_related("app__customer")
    paused = {each.credential_id: each for each in pausing.breakers()}
    found = (_state(row, now, paused.get(row.pk)) for row in current.order_by("app__label", "pk"))
    return sorted(found, key=lambda each: each.rank)


def counted_for(found: list[State], now: datetime) -> list[State]:
    """The same with the pushes of their apps; None for an app that several customers share, as it is for none of them
    to say. Raises django.db.Error."""
    owners = {each.credential.app.customer_id for each in found} - {None}
    counts: dict[int, tuple[int, int]] = {}
    for row in counted(now - DAY, now, by=("app_id", "outcome", "attribution"), unit=HOUR, customer_id__in=owners):
        pushes, refused = counts.get(row.of["app_id"], (0, 0))
        failed = row.of["outcome"] not in FINE and row.of["attribution"] == "customer"
        counts[row.of["app_id"]] = pushes + row.pushes, refused + (row.pushes if failed else 0)
    return [each if each.credential.app.customer_id is None else _counted(each, counts) for each in found]


def _counted(each: State, counts: dict[int, tuple[int, int]]) -> State:
    pushes, refused = counts.get(each.credential.app_id, (0, 0))
    return replace(each, pushes=pushes, refused=refused)


def _state(row: Credential, now: datetime, paused: Paused | None) -> State:
    if row.refused_at is not None:
        return State(row, "bad", "Refused", row.refused_code, row.refused_at)
    if row.expires_at is not None and row.expires_at <= now:
        return State(row, "bad", "Ended", "", row.expires_at)
    if paused is not None:
        return State(row, "bad", "Paused", paused.reason, pausing.since(paused))
    if row.expires_at is not None and row.expires_at <= now + SOON:
        return State(row, "warn", "Ends soon")
    if row.check_code not in ("", "ok"):
        return State(row, "warn", "Check failed", row.check_code, row.checked_at)
    return State(row, "good", "In use")
