"""Pagination of the audit log, the newest first. Call it in a scope: it reads that scope's events."""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.db.models import Q, QuerySet

from tenants.models import AuditEvent
from tenants.models.audit_words import description

# Events that are looked at for what there is to choose from: a log may be long.
EVENTS_SAMPLED: Final = 2_000


class Cursor(NamedTuple):
    """A pagination cursor: the place of one event in the log. As text: its time, and its id."""

    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.id}"


class Page(NamedTuple):
    """One page of events, and the cursor of the next page; None at the end."""

    events: list[AuditEvent]
    next_cursor: Cursor | None


def parse_cursor(text: str) -> Cursor | None:
    """Parse a cursor; None for a text that is none."""
    at, _, number = text.partition("~")
    try:
        moment, found = datetime.fromisoformat(at), int(number)
        # At the ends of the calendar there is no such time in UTC, nor for PostgreSQL.
        return Cursor(moment.astimezone(UTC), found) if moment.tzinfo and 0 <= found < 2**63 else None
    except (ValueError, OverflowError):
        return None


def page(*, before: Cursor | None, action: str = "", size: int) -> Page:
    """The `size` events before a cursor, of one action or of one noun ("key" is key.add, key.revoke ...)."""
    found: QuerySet[AuditEvent] = AuditEvent.objects.order_by("-at", "-id")
    if action:
        found = found.filter(Q(action=action) | Q(action__startswith=f"{action}."))
    if before is not None:
        # The first condition is what the index is good for.
        found = found.filter(at__lte=before.at).filter(Q(at__lt=before.at) | Q(id__lt=before.id))
    events = list(found[: size + 1])
    if len(events) <= size:
        return Page(events, None)
    last = events[size - 1]
    return Page(events[:size], Cursor(last.at, last.pk))


def actions(chosen: str) -> list[tuple[str, str]]:
    """The actions to choose from, with their words and by these: those of the latest events, and the chosen one."""
    latest = AuditEvent.objects.order_by("-at", "-id").values_list("action", flat=True)[:EVENTS_SAMPLED]
    return sorted(
        ((action, description(action)) for action in {*latest, chosen} - {""}), key=lambda each: each[1].lower()
    )
