"""Reading of the directory's rows from PostgreSQL: all of them, or what is of some customers and keys.

The conditions by which rows are in it are functions here: the fingerprints (`fingerprints.py`) go by the same.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db import connections
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from tenants.directory import listing
from tenants.directory.snapshot import (
    LISTED_LIMIT_MAX,
    AppRow,
    Identity,
    Limit,
    Part,
    RemoveHoldRow,
    Snapshot,
    Spare,
)
from tenants.models import Credential, Customer, Entitlement, PushApp, RemoveHold, Server, ServerId, ServerKey

# Limits of pushes by a registered server_id are those of a key divided by this: a server_id is no secret.
LISTED_DIVISOR: Final = 10
# The customer that the operator's shared apps stand for among changes.
SHARED: Final = 0
# Longer than a release is of any effect.
RELEASED_LATELY: Final = timedelta(hours=2)
_APP_COLUMNS: Final = ("id", "customer_id", "label", "family", "topic", "host", "is_default")
# A credential: its id, kind and sealed secret, the spare beside it, and since when it signs.
_Signing = tuple[int, str, str, Spare | None, float]
_KEY_COLUMNS: Final = ("prefix", "id", "server_id", "server__customer_id", "digest", "expires_at", "revoked_at")
_SERVER_COLUMNS: Final = ("server__networks", "server__disabled_at")
# Keys that are read at a time: what has been read of a hundred thousand takes more than what becomes of them, and what
# a process has once taken it keeps.
KEYS_AT_ONCE: Final = 5_000


def read(version: int) -> Snapshot:
    """Read everything from PostgreSQL with twelve queries, and more where there are many keys.

    Raises django.db.Error when that cannot be done.
    """
    # The pages process is the pages' role, to whom the second fence would show none of it.
    alias = settings.DIRECTORY_DATABASE
    read_at = _clock(alias)
    entitled = {row.customer_id: row for row in Entitlement.objects.using(alias).select_related("customer")}
    return Snapshot(
        version=version,
        read_at=read_at,
        apps=_apps(PushApp.objects.using(alias), credentials(alias)),
        keys=_identities(entitled, ServerKey.objects.using(alias)),
        sharers=_sharers(entitled),
        listed=_listed(entitled, listing.read(alias)),
        anonymous=_anonymous(entitled, alias),
        canaries=_canaries(entitled.values()),
        switched_off=_pairs(switched_off(alias)),
        registered=_pairs(registered(alias)),
        remove_holds=_remove_holds(remove_holds(alias)),
    )


def read_part(since: int, version: int, customers: Collection[int], keys: Collection[int], ids: Iterable[str]) -> Part:
    """Read what is of these customers (SHARED: the shared apps), and these keys of others: 13 queries at most.

    `ids`: the server_ids under which the customers were listed before. Raises django.db.Error.
    """
    alias = settings.DIRECTORY_DATABASE
    read_at = _clock(alias)
    pairs = listing.read(alias, {*ids, *listing.ids_of(alias, customers)}) if customers else []
    rows = ServerKey.objects.using(alias).filter(Q(server__customer__in=customers) | Q(pk__in=keys))
    tests = list(Server.objects.using(alias).filter(anonymous=True))
    concerned = {*customers, *(server.customer_id for _, server, _ in pairs), *(each.customer_id for each in tests)}
    concerned |= set(ServerKey.objects.using(alias).filter(pk__in=keys).values_list("server__customer", flat=True))
    found = Entitlement.objects.using(alias).filter(customer__in=concerned).select_related("customer")
    entitled = {row.customer_id: row for row in found}
    of_them = {customer_id: row for customer_id, row in entitled.items() if customer_id in customers}
    mine = Q(customer__in=customers) | (Q(customer=None) if SHARED in customers else Q(pk__in=()))
    signed = Q(app__customer__in=customers) | (Q(app__customer=None) if SHARED in customers else Q(pk__in=()))
    return Part(
        since=since,
        version=version,
        read_at=read_at,
        customers=sorted(customers),
        apps=_apps(PushApp.objects.using(alias).filter(mine), credentials(alias, signed)) if customers else [],
        keys=_identities(entitled, rows),
        sharers=_sharers(of_them),
        listed={**{each: [] for each in ids}, **_listed(entitled, pairs)},
        anonymous=[_keyless(each, entitled[each.customer_id]) for each in tests if _allows(entitled, each)],
        canaries=_canaries(of_them.values()),
        switched_off=_pairs(switched_off(alias).filter(mine)) if customers else [],
        registered=_pairs(registered(alias).filter(server__customer__in=customers)) if customers else [],
        remove_holds=_remove_holds(remove_holds(alias).filter(customer__in=customers)) if customers else [],
    )


def switched_off(alias: str) -> "QuerySet[PushApp, tuple[int | None, str]]":
    """Customer and label of the apps that are there and not in use."""
    rows = PushApp.objects.using(alias).filter(enabled=False, removed_at=None)
    return rows.order_by("id").values_list("customer_id", "label")


def registered(alias: str) -> "QuerySet[ServerId, tuple[int, str]]":
    """Customer and server_id of each registration, confirmed or not."""
    rows = ServerId.objects.using(alias).filter(server__removed_at=None)
    return rows.order_by("id").values_list("server__customer_id", "mattermost_id")


def remove_holds(alias: str) -> "QuerySet[RemoveHold]":
    """The holds on REMOVE, and those that somebody has released not long ago."""
    lately = Q(released_at__gt=Now() - RELEASED_LATELY)
    return RemoveHold.objects.using(alias).filter(~Q(held_at=None) | lately)


def _remove_holds(rows: "QuerySet[RemoveHold]") -> list[RemoveHoldRow]:
    found = rows.order_by("id").values_list("customer_id", "credential_id", "held_at", "released_at")
    return [
        RemoveHoldRow(one, two, held is not None, freed.timestamp() if freed else 0.0)
        for one, two, held, freed in found
    ]


def _pairs(rows: "Iterable[tuple[int | None, str]]") -> list[tuple[int, str]]:
    return [(customer_id or SHARED, name) for customer_id, name in rows]


def standing_credentials(alias: str) -> "QuerySet[Credential]":
    """Those that may sign: of enabled apps, the current one, and a next one that no provider has refused."""
    usable = Q(refused_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
    return Credential.objects.using(alias).filter(Q(slot=Credential.Slot.CURRENT) | usable, app__enabled=True)


def credentials(alias: str, condition: Q | None = None) -> dict[int, _Signing]:
    """By app id: the current credential, its spare, and since when it signs."""
    rows = standing_credentials(alias).filter(condition or Q())
    current, spares = {}, {}
    columns = ("app_id", "slot", "id", "kind", "sealed", "signs_since")
    for app_id, slot, credential_id, kind, sealed, since in rows.values_list(*columns):
        if slot == Credential.Slot.CURRENT:
            current[app_id] = (credential_id, kind, sealed, since.timestamp())
        else:
            spares[app_id] = Spare(credential_id, kind, sealed)
    return {app_id: (*row[:3], spares.get(app_id), row[3]) for app_id, row in current.items()}


def _clock(alias: str) -> float:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (read_at,) = cursor.fetchone()
    return float(read_at)


def _apps(rows: "QuerySet[PushApp]", signing: dict[int, _Signing]) -> list[AppRow]:
    enabled = rows.filter(enabled=True).order_by("id").values_list(*_APP_COLUMNS)
    return [AppRow(*row, *signing.get(row[0], ())) for row in enabled]


def _sharers(entitled: dict[int, Entitlement]) -> list[int]:
    may = (key for key, row in entitled.items() if row.may_use_shared and not _rejection_code(row))
    return sorted(may)


def _canaries(rows: Iterable[Entitlement]) -> list[int]:
    return [row.customer_id for row in rows if row.customer.canary]


def _anonymous(entitled: dict[int, Entitlement], alias: str) -> list[Identity]:
    tests = Server.objects.using(alias).filter(anonymous=True)
    return [_keyless(each, entitled[each.customer_id]) for each in tests if _allows(entitled, each)]


def _allows(entitled: dict[int, Entitlement], server: Server) -> bool:
    # Who comes without a key is sent to shared apps alone. None: a customer that was added while we read.
    row = entitled.get(server.customer_id)
    return row is not None and row.may_use_shared


def _rejection_code(entitlement: Entitlement | None) -> str:
    served = entitlement is not None and entitlement.customer.status == Customer.Status.ACTIVE
    return "" if served and entitlement.active else "suspended"  # type: ignore[union-attr]  # served implies it


def _limits(row: Entitlement) -> tuple[Limit, Limit]:
    """The limits of each server, and of the customer as a whole."""
    return (
        Limit(row.server_rate or 0, row.server_burst or 0, row.server_in_flight or 0),
        Limit(row.rate or 0, row.burst or 0, row.in_flight or 0),
    )


def _identities(entitled: dict[int, Entitlement], rows: "QuerySet[ServerKey]") -> dict[str, Identity]:
    # Made once per customer, or for all that have the same: there may be many keys.
    limits = {customer_id: _limits(row) for customer_id, row in entitled.items()}
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    found = {}
    # Revoked keys stay in, so that their bearers are told "revoked" and not "unknown".
    for (
        prefix,
        key_id,
        server_id,
        customer_id,
        digest,
        expires_at,
        revoked_at,
        networks,
        disabled_at,
    ) in _in_parts(rows):
        row = entitled.get(customer_id)
        rejection_code = "revoked_key" if revoked_at else _rejection_code(row)
        if disabled_at and not rejection_code:
            rejection_code = "disabled_server"
        server, customer = limits.get(customer_id, (Limit(), Limit()))
        found[prefix] = Identity(
            key_id=key_id,
            server_id=server_id,
            customer_id=customer_id,
            active=not rejection_code,
            rejection_code=rejection_code,
            digest=bytes(digest),
            expires_at=expires_at.timestamp() if expires_at else 0.0,
            tls=row is None or row.tls_required,
            networks=shared.setdefault(tuple(networks), tuple(networks)),
            trial=row is not None and row.customer.offer == Customer.Offer.TPNS,
            content=row.customer.content if row is not None else "as_sent",
            server=server,
            customer=customer,
            refusal=row.refusal if row is not None else "",
        )
    return found


def _in_parts(rows: "QuerySet[ServerKey]") -> Iterator[tuple[Any, ...]]:
    """The columns of keys, by one query for each KEYS_AT_ONCE of them: a cursor of the server's would need a
    transaction, and a connection that no pooler shares out."""
    last = 0
    while True:
        part = list(rows.filter(pk__gt=last).order_by("pk").values_list(*_KEY_COLUMNS, *_SERVER_COLUMNS)[:KEYS_AT_ONCE])
        yield from part
        if len(part) < KEYS_AT_ONCE:
            return
        last = part[-1][1]


def _listed_limit(limit: Limit) -> Limit:
    """The reduced limit of keyless pushes: a part of a limit, rounded up; never none."""
    parts = zip(msgspec.structs.astuple(limit), msgspec.structs.astuple(LISTED_LIMIT_MAX), strict=True)
    return Limit(*(-(-part // LISTED_DIVISOR) or most for part, most in parts))


def _listed(entitled: dict[int, Entitlement], rows: listing.Listed) -> dict[str, list[Identity]]:
    """By server_id: whom a push that carries it may be of."""
    found: dict[str, list[Identity]] = {}
    for mattermost_id, server, signers in rows:
        row = entitled.get(server.customer_id)
        if server.disabled_at is None and row is not None and row.may_use_shared and row.may_use_server_id:
            found.setdefault(mattermost_id, []).append(_keyless(server, row, signers))
    return {mattermost_id: each[: listing.LISTED_MAX] for mattermost_id, each in found.items()}


def _keyless(server: Server, row: Entitlement, signers: tuple[str, ...] = ()) -> Identity:
    rejection_code = _rejection_code(row)
    limit, customer = _limits(row)
    if not server.anonymous:
        limit, customer = _listed_limit(limit), _listed_limit(customer)
    return Identity(
        key_id=0,
        server_id=server.pk,
        customer_id=server.customer_id,
        active=not rejection_code,
        rejection_code=rejection_code,
        digest=b"",
        tls=row.tls_required,
        networks=tuple(server.networks),
        trial=row.customer.offer == Customer.Offer.TPNS,
        anonymous=server.anonymous,
        signers=signers,
        content=row.customer.content,
        server=limit,
        customer=customer,
        refusal=row.refusal,
    )
