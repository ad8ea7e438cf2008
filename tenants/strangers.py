"""Pushes of nobody known that were refused at the door: put down to whose they may be, else kept for staff.

Whose they may be is a guess and said as one: their server_id has come with one server's keys before, or they come from
an address in one server's networks. Invariant: rows for staff are bounded, and so are a server's (rejections.py).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from tenants import rejections
from tenants.models import ServerKey, Sighting, UnknownCaller

ROWS_MOST: Final = 500

_UPSERT: Final = """
INSERT INTO tenants_unknowncaller AS known (code, address, mattermost_id, count, first_at, last_at)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (code, address, mattermost_id) DO UPDATE SET
    count = known.count + excluded.count, last_at = greatest(known.last_at, excluded.last_at)
"""
_TRIM: Final = """
DELETE FROM tenants_unknowncaller WHERE id IN (SELECT id FROM tenants_unknowncaller ORDER BY last_at DESC OFFSET %s)
"""
# Two: of several servers it may be, nobody knows.
_AT: Final = "SELECT id FROM tenants_server WHERE networks <> '{}' AND %s::inet <<= ANY (networks::cidr[]) LIMIT 2"


class Stranger(NamedTuple):
    """Refused pushes of one kind that one process has seen. first_at, last_at: unix seconds."""

    code: str
    address: str
    mattermost_id: str
    requests: int
    first_at: int
    last_at: int
    encrypted: bool
    tls: str


def record(strangers: Sequence[Stranger]) -> None:
    """Add them to what is known of a server's keys, or of unknown callers. Raises django.db.Error."""
    guessed = []
    with transaction.atomic(), connection.cursor() as cursor:
        for each in sorted(strangers):  # two writers at once meet in one order
            key_id = _key_of(cursor, each)
            if key_id is not None:
                guessed.append(
                    rejections.News(
                        key_id,
                        each.code,
                        each.address,
                        each.requests,
                        each.first_at,
                        each.last_at,
                        each.encrypted,
                        each.tls,
                        guessed=True,
                    )
                )
                continue
            moments = (datetime.fromtimestamp(at, UTC) for at in (each.first_at, each.last_at))
            cursor.execute(_UPSERT, [each.code, each.address, each.mattermost_id, each.requests, *moments])
        cursor.execute(_TRIM, [ROWS_MOST])
        if guessed:
            rejections.record(guessed)


def forget() -> int:
    """Delete what is older than the delivery log; how many rows."""
    before = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    return UnknownCaller.objects.filter(last_at__lt=before).delete()[0]


def _key_of(cursor: Any, stranger: Stranger) -> int | None:
    """The key under which a server's page is to show it, None where no server can be guessed."""
    if stranger.mattermost_id:
        seen = Sighting.objects.filter(mattermost_id=stranger.mattermost_id).order_by("-last_at")
        servers = set(seen.values_list("key__server_id", flat=True)[:20])
        if len(servers) == 1:
            return seen.values_list("key_id", flat=True)[0]
    servers = _servers_at(cursor, stranger.address)
    if len(servers) != 1:
        return None
    keys = ServerKey.objects.filter(server_id__in=servers)
    in_use = keys.filter(ServerKey.in_use())
    return (in_use or keys).order_by("-created_at").values_list("pk", flat=True).first()


def _servers_at(cursor: Any, address: str) -> set[int]:
    try:
        ip_address(address)
    except ValueError:
        return set()  # not known
    cursor.execute(_AT, [address])
    return {pk for (pk,) in cursor.fetchall()}
