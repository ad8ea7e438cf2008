"""Pagination of the audit log, the newest first. Call it in a scope: it reads that scope's events."""

from typing import Final, NamedTuple

from django.db.models import Q, QuerySet

from tenants import keyset
from tenants.keyset import Cursor
from tenants.models import AuditEvent
from tenants.models.audit_words import description

# Events that are looked at for what there is to choose from: a log may be long.
EVENTS_SAMPLED: Final = 2_000


class Page(NamedTuple):
    """One page of events, and the cursor of the next page; None at the end."""

    events: list[AuditEvent]
    next_cursor: Cursor | None


def page(*, before: Cursor | None, action: str = "", size: int) -> Page:
    """The `size` events before a cursor, of one action or of one noun ("key" is key.add, key.revoke ...)."""
    found: QuerySet[AuditEvent] = AuditEvent.objects.order_by("-at", "-id")
    if action:
        found = found.filter(Q(action=action) | Q(action__startswith=f"{action}."))
    if before is not None:
        found = found.filter(keyset.behind(before, "at", "id"))
    events = list(found[: size + 1])
    if len(events) <= size:
        return Page(events, None)
    last = events[size - 1]
    return Page(events[:size], Cursor(last.at, str(last.pk)))


def actions(chosen: str) -> list[tuple[str, str]]:
    """The actions to choose from, with their words and by these: those of the latest events, and the chosen one."""
    latest = AuditEvent.objects.order_by("-at", "-id").values_list("action", flat=True)[:EVENTS_SAMPLED]
    return sorted(
        ((action, description(action)) for action in {*latest, chosen} - {""}), key=lambda each: each[1].lower()
    )
