"""Markers: moments that explain a change of a customer's curves. Call it in the scope of the customer.

They come from the audit log, without who did it (that is for those who may see that log), from the platforms that its
servers were first seen to send for, and from server_ids that its keys were seen with.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from django.db.models import BigIntegerField, DateTimeField, Exists, OuterRef, QuerySet

from delivery.insight.charts import Marker, MarkerKind
from delivery.models import PlatformSighting
from tenants.models import AuditEvent, Customer, Server, Sighting
from tenants.prepared import Given, Prepared

# More lines than that explain nothing: the latest are shown.
MARKERS_MOST: Final = 30
# How long before its first failure what broke it may have changed.
BEFORE: Final = timedelta(minutes=30)
# Changes that a sentence names.
NAMED_MOST: Final = 3
# PostgreSQL's largest bigint.
ID_MOST: Final = 2**63 - 1

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
    for at, action, target in _EVENTS.rows(customer=customer.pk, start=start, end=end):
        kind, words = _ACTS[action]
        yield Marker(at, words.format(target), kind)


def _platforms(start: datetime, end: datetime, server: Server | None) -> Iterator[Marker]:
    latest = _FIRST_SENT.rows(start=start, end=end, **_of(server))
    servers = Server.objects.filter(pk__in={server_id for _, server_id, _ in latest})
    names = dict(servers.values_list("pk", "name")) if latest else {}
    for at, server_id, platform in latest:
        yield Marker(at, f"{names.get(server_id, 'A server')} first sent for {platform}", MarkerKind.VERSION)


def _server_ids(start: datetime, end: datetime, server: Server | None) -> Iterator[Marker]:
    """Keys that came with another server_id than before: a server that moved, was cloned or set up anew."""
    for row in _MOVED.rows(start=start, end=end, **_of(server)):
        words = f"Key {row.key} first came with the server_id {row.mattermost_id}"
        yield Marker(row.first_at, words, MarkerKind.NETWORK)


def _of(server: Server | None) -> dict[str, int]:
    """The bounds of the ids of the servers that are meant."""
    return {"least": 0, "most": ID_MOST} if server is None else {"least": server.pk, "most": server.pk}


def _events() -> QuerySet[Any, Any]:
    rows = AuditEvent.objects.filter(
        customer_id=Given("customer", BigIntegerField()), action__in=_ACTS, **_within("at")
    )
    return rows.order_by("-at", "-id").values_list("at", "action", "target")[:MARKERS_MOST]


def _first_sent() -> QuerySet[Any, Any]:
    rows = PlatformSighting.objects.filter(**_within("first_at"), **_servers("server_id"))
    return rows.order_by("-first_at").values_list("first_at", "server_id", "platform")[:MARKERS_MOST]


def _moved() -> QuerySet[Any, Any]:
    rows = Sighting.objects.filter(**_within("first_at"), **_servers("key__server_id")).select_related("key")
    earlier = Sighting.objects.filter(key_id=OuterRef("key_id"), first_at__lt=OuterRef("first_at"))
    return rows.filter(Exists(earlier)).order_by("-first_at")[:MARKERS_MOST]


def _within(name: str) -> dict[str, Given]:
    moment = DateTimeField()
    return {f"{name}__gte": Given("start", moment), f"{name}__lt": Given("end", moment)}


def _servers(name: str) -> dict[str, Given]:
    number = BigIntegerField()
    return {f"{name}__gte": Given("least", number), f"{name}__lte": Given("most", number)}


_EVENTS: Final = Prepared(_events)
_FIRST_SENT: Final = Prepared(_first_sent)
_MOVED: Final = Prepared(_moved)
