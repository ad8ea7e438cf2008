"""Open circuit breakers as rows of parts/table.html, for the staff: whose they are, since when, why, until when."""

from typing import Any, Final

from django.urls import reverse

from delivery.insight import pausing
from delivery.pages import board_parts as parts
from delivery.worker.breaker_reports import Paused
from tenants.models import Credential

# Rows of the table: those that opened first.
SHOWN: Final = 50
COLUMNS: Final = parts.columns("Customer", "App", "Key", "State", "Since", "Why", "Next probe", "Held back")


def sentence() -> str:
    """How many are open, "" for none."""
    count = len(pausing.breakers())
    if not count:
        return ""
    which = "With 1 credential" if count == 1 else f"With {count:,} credentials"
    more = f"; the first {SHOWN:,} are listed" if count > SHOWN else ""
    return f"{which} nothing is sent for the moment but probes, for no answers come{more}."


def rows() -> list[list[Any]]:
    """The rows, in the scope of everything. Raises django.db.Error."""
    found = pausing.breakers()[:SHOWN]
    keys = Credential.objects.select_related("app__customer").in_bulk([each.credential_id for each in found])
    return [_cells(each, keys.get(each.credential_id)) for each in found]


def _cells(paused: Paused, row: Credential | None) -> list[Any]:
    owner = row.app.customer if row is not None else None
    return [
        "Removed" if row is None else parts.link(owner, owner.pk) if owner is not None else "Shared",
        {"href": reverse("admin:tenants_pushapp_change", args=(paused.app_id,)), "text": row.app.label} if row else "",
        {"code": row.key_id} if row else "",
        {"kind": "warn", "text": "Half open"} if paused.is_probing else {"kind": "bad", "text": "Open"},
        {"at": pausing.since(paused)},
        f"{paused.host} {pausing.why(paused)}",
        "Under way" if paused.is_probing else {"at": pausing.probe_at(paused)},
        paused.held,
    ]
