"""The record of an app's credentials: what was done with each, and what its provider said of it, the newest first."""

from datetime import datetime
from typing import Final, NamedTuple

from delivery.insight import catalogue
from tenants.models import AuditEvent, PushApp

SHOWN: Final = 20
_MARKS: Final = {"credential.refused": "bad", "credential.fall_back": "warn", "credential.promote": "good"}
_WORDS: Final = {
    "credential.add": "Uploaded",
    "credential.check": "Checked with the provider",
    "credential.fall_back": "Refused by the provider, and replaced by the other one",
    "credential.promote": "Promoted: pushes are signed with it since",
    "credential.refused": "Refused by the provider",
    "credential.remove": "Deleted",
    "credential.reseal": "Sealed anew",
}


class Entry(NamedTuple):
    """One event: the kind of its mark, of which key, what happened, by whom, and what was said."""

    at: datetime
    kind: str
    key_id: str
    text: str
    actor: str
    code: str
    meaning: str


def of(app: PushApp) -> list[Entry]:
    """The record of an app of the customer in whose scope this is."""
    # The target is a credential in words, "ABC123 (current, apple_rn (Acme))": deleted ones have their events, too.
    events = AuditEvent.objects.filter(action__startswith="credential.", target__contains=f", {app.label} (")
    return [_entry(event) for event in events.order_by("-at", "-id")[:SHOWN]]


def _entry(event: AuditEvent) -> Entry:
    code = str(event.details.get("code") or "")
    good = code in ("", "ok")
    kind = _MARKS.get(event.action, "quiet")
    if event.action == "credential.check":
        kind = "good" if good else "bad"
    entry = catalogue.entry(code)
    meaning = "it is good" if code == "ok" else entry.cause if entry else ""
    actor = event.actor if event.actor_kind != AuditEvent.Kind.SERVICE else "this service"
    key_id = event.target.partition(" (")[0]
    return Entry(event.at, kind, key_id, _WORDS.get(event.action, event.what), actor, "" if good else code, meaning)
