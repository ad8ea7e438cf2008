"""How one server does: its last push, its day, its keys in use, and what of it is rejected at the door."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.utils import timezone

from delivery.insight import catalogue
from delivery.insight import day as days
from delivery.insight.charts import Chart
from delivery.insight.day import Day
from delivery.insight.markers import markers
from delivery.insight.trouble import Trouble
from delivery.insight.troubles import troubles
from delivery.models import PlatformSighting
from tenants.models import Customer, Rejection, Server, ServerKey

DOOR_SHOWN: Final = 20
PLATFORMS_SHOWN: Final = 8


class Turned(NamedTuple):
    """Requests of one key that were rejected or could not be read, from one address."""

    row: Rejection
    meaning: str
    connection: str


@dataclass(frozen=True)
class ServerHealth:
    """last_at: when a push with a key came last, to the minute; used: the keys of the last 24 hours, and the server_ids
    that they came with; platforms: of its phones' apps, the latest first."""

    troubles: Sequence[Trouble]
    day: Day
    chart: Chart
    last_at: datetime | None
    used: Sequence[ServerKey]
    seen: Sequence[str]
    platforms: Sequence[PlatformSighting]
    door: Sequence[Turned]


def read(customer: Customer, server: Server, now: datetime | None = None) -> ServerHealth:
    """The health of a server of this customer, in its scope."""
    now = now or timezone.now()
    day = days.read(now, server_id=server.pk)
    keys = ServerKey.objects.filter(server=server, last_used_at__isnull=False).order_by("-last_used_at")
    used = [key for key in keys.prefetch_related("sightings")[:10] if _at(key) >= day.start]
    seen = {each.mattermost_id for key in used for each in key.sightings.all() if each.last_at >= day.start}
    last: Any = keys.values_list("last_used_at", flat=True).first()
    door = Rejection.objects.filter(key__server=server).select_related("key").order_by("-last_at")[:DOOR_SHOWN]
    return ServerHealth(
        troubles(customer, server=server, day=day, now=now),
        day,
        day.chart("Pushes of the last 24 hours, by 10 minutes", markers(customer, day.start, now, server)),
        last,
        used,
        sorted(seen),
        list(PlatformSighting.objects.filter(server_id=server.pk).order_by("-first_at")[:PLATFORMS_SHOWN]),
        [Turned(row, _meaning(row.code), _connection(row)) for row in door],
    )


def _at(key: ServerKey) -> datetime:
    assert key.last_used_at is not None  # noqa: S101  only such are read
    return key.last_used_at


def _meaning(code: str) -> str:
    entry = catalogue.entry(code)
    return entry.title if entry else "Refused"


def _connection(row: Rejection) -> str:
    """How the last one came, in words."""
    if not row.encrypted:
        return "plain HTTP"
    return row.tls.replace("TLSv", "TLS ") if row.tls else "HTTPS, ended by a proxy before us"
