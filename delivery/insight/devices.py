"""What is known of a device, as sentences: removed and why, silent and why, failing, or well.

Saying(kind, text)     # kind as templates/parts/status.html knows it: good, warn, bad, quiet
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from delivery.insight import catalogue
from delivery.models import Device
from delivery.providers.base import Cause, Silence
from delivery.providers.table import PROVIDERS
from delivery.rollups.reading import counted
from tenants.providers.table import PROVIDERS as NAMED

# How long nothing of a server has been acknowledged when its receipts are said not to come.
MUTE: Final = timedelta(days=30)
# So many pushes tell a server without receipts from one with a silent phone.
MUTE_PUSHES: Final = 20
SILENT: Final = "Silent"
LOG_IN_AGAIN: Final = "Its user has to log in to the app again."
_MUTE: Final = Cause(
    "Receipts of this server do not come",
    "No phone of this server has acknowledged anything for 30 days: its receipts do not get here. Look whether its "
    "version sends them, and whether a proxy lets requests to /api/v1/ack through.",
)


class Saying(NamedTuple):
    """A state: how it goes (good, warn, bad or quiet), its word, and a sentence or more about it."""

    kind: str
    word: str
    text: str


def mute_servers(now: datetime, servers: set[int]) -> set[int]:
    """Those of the servers of which no phone has acknowledged anything for MUTE, out of pushes enough."""
    if not servers:
        return set()
    found = counted(now - MUTE, now, by=("server_id",), server_id__in=sorted(servers), outcome="sent")
    return {row.of["server_id"] for row in found if row.acked == 0 and row.pushes >= MUTE_PUSHES}


def silence(row: Device, mute: set[int]) -> Cause:
    """Why a device most likely acknowledges nothing; `mute`: the servers whose receipts do not come."""
    if row.server_id in mute:
        return _MUTE
    provider = PROVIDERS.get(row.family)
    reasons = provider.silence if provider else Silence()
    return reasons.stopped if row.acked_at else reasons.never


def _provider(row: Device) -> str:
    known = NAMED.get(row.family)
    return known.name if known else "The provider"


def reason(code: str) -> str:
    """The cause that a code stands for, and the provider's own words for it: part of a sentence."""
    known = catalogue.entry(code)
    if known is None:
        return code
    return f"{known.cause} ({', '.join(known.replies)})" if known.replies else known.cause


def state(row: Device, now: datetime, days: int) -> Saying:
    """How it goes with a device, by one server and app."""
    if row.is_removed and row.removed_at:
        return Saying("warn", "Removed", f"because {reason(row.removed_code)}. {LOG_IN_AGAIN}")
    if row.failed_at == row.last_at:
        return Saying("bad", "Failing", f"because {reason(row.failed_code)}.")
    if row.acked_at and row.acked_at == row.sent_at:
        return Saying("good", "Acknowledged", "The phone has acknowledged the last push.")
    heard = row.acked_at or row.first_at
    if row.sent_at and heard < now - timedelta(days=days) <= row.sent_at:
        return Saying("warn", SILENT, "")
    return Saying("quiet", "Handed off", f"{_provider(row)} took the last push; the phone has not acknowledged it.")
