"""How each credential that pushes are signed with stands, for the staff, in the scope of everything."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from delivery.insight import kept
from delivery.insight.customers import DAY, FINE
from delivery.rollups.reading import HOUR, counted
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
    pushes: int = 0
    refused: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """For sorting: the worst first, then by what fails."""
        return ("bad", "warn", "good").index(self.kind), -self.refused


def states(now: datetime) -> list[State]:
    """Every credential in use, the worst first. Raises django.db.Error."""
    counts = kept.kept("credentials:apps", lambda: _counts(now))
    current = Credential.objects.filter(slot=Credential.Slot.CURRENT, app__enabled=True).select_related("app__customer")
    return sorted((_state(row, now, counts.get(row.app_id, (0, 0))) for row in current), key=lambda each: each.rank)


def _state(row: Credential, now: datetime, counts: tuple[int, int]) -> State:
    pushes, refused = counts
    if row.refused_at is not None:
        return State(row, "bad", "Refused", row.refused_code, row.refused_at, pushes, refused)
    if row.expires_at is not None and row.expires_at <= now:
        return State(row, "bad", "Ended", "", row.expires_at, pushes, refused)
    if row.expires_at is not None and row.expires_at <= now + SOON:
        return State(row, "warn", "Ends soon", "", None, pushes, refused)
    if row.check_code not in ("", "ok"):
        return State(row, "warn", "Check failed", row.check_code, row.checked_at, pushes, refused)
    return State(row, "good", "In use", "", None, pushes, refused)


def _counts(now: datetime) -> dict[int, tuple[int, int]]:
    """Pushes of 24 hours by app, and those that failed by the customer's doing."""
    found: dict[int, tuple[int, int]] = {}
    for row in counted(now - DAY, now, by=("app_id", "outcome", "attribution"), unit=HOUR):
        pushes, refused = found.get(row.of["app_id"], (0, 0))
        failed = row.of["outcome"] not in FINE and row.of["attribution"] == "customer"
        found[row.of["app_id"]] = pushes + row.pushes, refused + (row.pushes if failed else 0)
    return found
