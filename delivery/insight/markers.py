"""Markers: moments that explain a change of a customer's curves. Call it in the scope of the customer.

They come from the audit log, without who did it (that is for those who may see that log), from the platforms that its
servers were first seen to send for, and from server_ids that its keys were seen with.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from django.db.models import Exists, OuterRef

from delivery.insight.charts import Marker, MarkerKind
from delivery.models import PlatformSighting
from tenants.models import AuditEvent, Customer, Server, Sighting

# More lines than that explain nothing: the latest are shown.
MARKERS_MOST: Final = 30
# How long before its first failure what broke it may have changed.
BEFORE: Final = timedelta(minutes=30)
# Changes that a sentence names.
NAMED_MOST: Final = 3

# Action -> the kind, and what happened to the event's target. What changed for pushes alone.
_ACTS: Final[dict[str, tuple[MarkerKind, str]]] = {
    "key.add": (MarkerKind.KEY, "Key {} was made"),
    "key.revoke": (MarkerKind.KEY, "Key {} was revoked"),
    "credential.add": (MarkerKind.CREDENTIAL, "Credential {} was uploaded"),
    "credential.promote": (MarkerKind.CREDENTIAL, "Credential {} was promoted"),
    "credential.fall_back": (MarkerKind.CREDENTIAL, "Credential {} was refused, and the other one took its place"),
    "credential.refused": (MarkerKind.CREDENTIAL, "Credential {} was refused by its provider"),
    "credential.remove": (MarkerKind.CREDENTIAL, "Credential {} was deleted"),
    "server.networks": (MarkerKind.NETWORK, "Where {} may push from was changed"),
    "app.enable": (MarkerKind.CREDENTIAL, "App {} was enabled"),
    "app.disable": (MarkerKind.CREDENTIAL, "App {} was disabled"),
    "app.change": (MarkerKind.CREDENTIAL, "App {} was given another bundle id or host"),
    "app.remove": (MarkerKind.CREDENTIAL, "App {} was removed"),
    "server.enable": (MarkerKind.NETWORK, "{} was switched on"),
    "server.disable": (MarkerKind.NETWORK, "{} was switched off"),
    "server.remove": (MarkerKind.NETWORK, "{} was removed"),
    "customer.suspend": (MarkerKind.KEY, "{} was suspended"),
    "customer.resume": (MarkerKind.KEY, "{} was resumed"),
}


def markers(customer: Customer, start: datetime, end: datetime, server: Server | None = None) -> list[Marker]:
    """What happened from `start` to before `end`, the earliest first, MARKERS_MOST at most; of `server`'s platforms and
    server_ids alone, if one is given."""
    found = chain(_acts(customer, start, end), _platforms(start, end, server), _server_ids(start, end, server))
    return sorted(found, key=lambda marker: marker.at)[-MARKERS_MOST:]


def around(customer: Customer, began: datetime, unit: timedelta, server: Server | None = None) -> list[Marker]:
    """What changed shortly before something began to fail, in the minute or hour (`unit`) that starts with `began`, or
    within it: the last NAMED_MOST of it, the latest first."""
    return markers(customer, began - BEFORE, began + unit, server)[: -NAMED_MOST - 1 : -1]


def with_those_around(
    customer: Customer, start: datetime, end: datetime, began: datetime, unit: timedelta, server: Server | None = None
) -> tuple[list[Marker], list[Marker]]:
    """Those from `start` to before `end`, and those around `began`: with one look, where not too many were found."""
    since, until = began - BEFORE, began + unit
    found = markers(customer, min(start, since), max(end, until), server)
    if len(found) == MARKERS_MOST:
        return markers(customer, start, end, server), around(customer, began, unit, server)
    near = [marker for marker in found if since <= marker.at < until]
    return [marker for marker in found if start <= marker.at < end], near[: -NAMED_MOST - 1 : -1]


def _acts(customer: Customer, start: datetime, end: datetime) -> Iterator[Marker]:
    rows = AuditEvent.objects.filter(customer_id=customer.pk, at__gte=start, at__lt=end, action__in=_ACTS)
    for row in rows.order_by("-at", "-id")[:MARKERS_MOST]:
        kind, words = _ACTS[row.action]
        yield Marker(row.at, words.format(row.target), kind)


def _platforms(start: datetime, end: datetime, server: Server | None) -> Iterator[Marker]:
    rows = PlatformSighting.objects.filter(first_at__gte=start, first_at__lt=end)
    if server is not None:
        rows = rows.filter(server_id=server.pk)
    latest = list(rows.order_by("-first_at")[:MARKERS_MOST])
    servers = Server.objects.filter(pk__in={row.server_id for row in latest})
    names = dict(servers.values_list("pk", "name")) if latest else {}
    for row in latest:
        name = names.get(row.server_id, "A server")
        yield Marker(row.first_at, f"{name} first sent for {row.platform}", MarkerKind.VERSION)


def _server_ids(start: datetime, end: datetime, server: Server | None) -> Iterator[Marker]:
    """Keys that came with another server_id than before: a server that moved, was cloned or set up anew."""
    rows = Sighting.objects.filter(first_at__gte=start, first_at__lt=end).select_related("key")
    if server is not None:
        rows = rows.filter(key__server=server)
    earlier = Sighting.objects.filter(key_id=OuterRef("key_id"), first_at__lt=OuterRef("first_at"))
    for row in rows.filter(Exists(earlier)).order_by("-first_at")[:MARKERS_MOST]:
        words = f"Key {row.key} first came with the server_id {row.mattermost_id}"
        yield Marker(row.first_at, words, MarkerKind.NETWORK)
