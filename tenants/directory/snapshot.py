"""Snapshot of the tenants' rows that the hot path needs, as plain structs, read from PostgreSQL in one go.

A snapshot is never changed after it was read: news is another snapshot. It holds credentials only as they are sealed.
"""

from typing import ClassVar, Final

import msgspec
from django.conf import settings
from django.db import connections
from django.db.models import Q
from django.db.models.functions import Now

from tenants.directory import listing
from tenants.models import Credential, Customer, Entitlement, PushApp, Server, ServerId, ServerKey

# Raised whenever a member is added that an older process could not do without.
FORM: Final = 4
# Limits of pushes by a registered server_id are those of a key divided by this: a server_id is no secret.
LISTED_DIVISOR: Final = 10


class Limit(msgspec.Struct, frozen=True, gc=False):
    """Rate limit and concurrency limit: `rate` pushes a second in the long run, `burst` at once, `in_flight` waiting at
    a time. 0: no limit; a rate comes with a burst."""

    rate: int = 0
    burst: int = 0
    in_flight: int = 0


# Where those with a key have no limit.
LISTED_LIMIT_MAX: Final = Limit(100, 5_000, 1_000)


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The authenticated identity of a push, and its access policy and limits. `rejection_code` is the code to reject it
    with ("" when `active`); expiry is not in it, because it comes about with time alone: `expires_at` is in unix
    seconds, 0 for never.

    `key_id` is 0 where there is no key: a registered server_id, or (`anonymous`) the test service. `tls`: not over
    plain HTTP; `networks`: only from these, when there are any; `trial`: of the free test service; `content`: what of
    a push's text may go on (Customer.Content); `signers`: public keys one of which must have signed what comes without
    a key, none where staff answer for its server_id; `server` and `customer`: their limits; `refusal`: the code that
    pushes are refused with as long as the subscription is not in force, but for wipes ("": they are taken).
    """

    key_id: int
    server_id: int
    customer_id: int
    active: bool
    rejection_code: str = msgspec.field(name="why")
    digest: bytes
    expires_at: float = 0.0
    tls: bool = True
    networks: tuple[str, ...] = ()
    trial: bool = False
    anonymous: bool = False
    signers: tuple[str, ...] = ()
    content: str = "as_sent"
    server: Limit = Limit()
    customer: Limit = Limit()
    refusal: str = ""

    # Django and DRF ask this of every request.user.
    is_authenticated: ClassVar[bool] = True


class Spare(msgspec.Struct, frozen=True, gc=False):
    """The standby credential in an app's other slot, which signs when the provider does not accept the current key."""

    credential_id: int
    kind: str
    sealed: str


class AppRow(msgspec.Struct, frozen=True, gc=False):
    """One enabled app with its current credential; `credential_id` is 0 (and `kind`, `sealed` "") when it has none.

    `spare` is there only beside a current one, and only as long as no provider has refused it.
    """

    app_id: int
    customer_id: int | None
    label: str
    family: str
    topic: str
    host: str
    is_default: bool
    credential_id: int = 0
    kind: str = ""
    sealed: str = ""
    spare: Spare | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """One version of the read model: identities by the prefix of their key, the apps, the customers that may use the
    shared ones, and whom pushes without a key speak for: by server_id, and of the test service (at most one).
    `canaries`: the customer that is the service's own, whose pushes are in no figures. For the texts of refusals alone:
    `switched_off`, the labels of apps that are, by customer (0: shared ones), and `unlisted`, server_ids that are
    registered and speak for nobody.

    `version` is the stamp that was in force before the reading began, `read_at` PostgreSQL's clock (unix seconds).
    """

    version: int
    read_at: float
    keys: dict[str, Identity]
    apps: list[AppRow]
    sharers: list[int]
    listed: dict[str, list[Identity]] = {}
    anonymous: list[Identity] = []
    canaries: list[int] = []
    form: int = FORM
    switched_off: list[tuple[int, str]] = []
    unlisted: list[str] = []


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def read(version: int) -> Snapshot:
    """Read everything from PostgreSQL with ten queries. Raises django.db.Error when that cannot be done."""
    # The pages process is the pages' role, to whom the second fence would show none of it.
    alias = settings.DIRECTORY_DATABASE
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (read_at,) = cursor.fetchone()
    entitled = {row.customer_id: row for row in Entitlement.objects.using(alias).select_related("customer")}
    credentials = _credentials(alias)
    columns = ("id", "customer_id", "label", "family", "topic", "host", "is_default")
    every_app = list(PushApp.objects.using(alias).order_by("id").values_list(*columns, "enabled"))
    apps = [row[:-1] for row in every_app if row[-1]]
    listed = _listed(entitled, alias)
    return Snapshot(
        version=version,
        read_at=float(read_at),
        keys=_identities(entitled, alias),
        apps=[AppRow(*row, *credentials.get(row[0], ())) for row in apps],
        sharers=sorted(
            customer_id for customer_id, row in entitled.items() if row.may_use_shared and not _rejection_code(row)
        ),
        listed=listed,
        anonymous=[
            _keyless(server, entitled[server.customer_id])
            for server in Server.objects.using(alias).filter(anonymous=True)
            if _allows_keyless(entitled.get(server.customer_id))
        ],
        canaries=[customer_id for customer_id, row in entitled.items() if row.customer.canary],
        switched_off=[(row[1] or 0, row[2]) for row in every_app if not row[-1]],
        unlisted=[
            mattermost_id
            for mattermost_id in ServerId.objects.using(alias).values_list("mattermost_id", flat=True).distinct()
            if mattermost_id not in listed
        ],
    )


def _allows_keyless(row: Entitlement | None) -> bool:
    # Who comes without a key is sent to shared apps alone. None: a customer that was added while we read.
    return row is not None and row.may_use_shared


def encode(snapshot: Snapshot) -> bytes:
    """Serialise a snapshot as msgpack."""
    return _ENCODER.encode(snapshot)


def decode(data: bytes) -> Snapshot:
    """Deserialise from msgpack. Raises ValueError for anything else, and for a form that this release does not know."""
    snapshot = _DECODER.decode(data)
    if snapshot.form != FORM:
        raise ValueError(f"it has form {snapshot.form}, this release reads form {FORM}")
    return snapshot


def app_row(credential: Credential) -> AppRow:
    """An app as it is when this credential, of whichever slot, signs for it."""
    app = credential.app
    return AppRow(
        app.pk,
        app.customer_id,
        app.label,
        app.family,
        app.topic,
        app.host,
        app.is_default,
        credential.pk,
        credential.kind,
        credential.sealed,
    )


def _credentials(alias: str) -> dict[int, tuple[int, str, str, Spare | None]]:
    """By app id: the current credential, and its spare."""
    usable = Q(refused_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
    rows = Credential.objects.using(alias).filter(Q(slot=Credential.Slot.CURRENT) | usable, app__enabled=True)
    current, spares = {}, {}
    for app_id, slot, credential_id, kind, sealed in rows.values_list("app_id", "slot", "id", "kind", "sealed"):
        if slot == Credential.Slot.CURRENT:
            current[app_id] = (credential_id, kind, sealed)
        else:
            spares[app_id] = Spare(credential_id, kind, sealed)
    return {app_id: (*row, spares.get(app_id)) for app_id, row in current.items()}


def _rejection_code(entitlement: Entitlement | None) -> str:
    served = entitlement is not None and entitlement.customer.status == Customer.Status.ACTIVE
    return "" if served and entitlement.active else "suspended"  # type: ignore[union-attr]  # served implies it


def _limits(row: Entitlement) -> tuple[Limit, Limit]:
    """The limits of each server, and of the customer as a whole."""
    return (
        Limit(row.server_rate or 0, row.server_burst or 0, row.server_in_flight or 0),
        Limit(row.rate or 0, row.burst or 0, row.in_flight or 0),
    )


def _identities(entitled: dict[int, Entitlement], alias: str) -> dict[str, Identity]:
    columns = ("prefix", "id", "server_id", "server__customer_id", "digest", "expires_at", "revoked_at")
    # Made once per customer: there may be many keys.
    limits = {customer_id: _limits(row) for customer_id, row in entitled.items()}
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
    ) in ServerKey.objects.using(alias).values_list(*columns, "server__networks", "server__disabled_at"):
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
            networks=tuple(networks),
            trial=row is not None and row.customer.offer == Customer.Offer.TPNS,
            content=row.customer.content if row is not None else "as_sent",
            server=server,
            customer=customer,
            refusal=row.refusal if row is not None else "",
        )
    return found


def _listed_limit(limit: Limit) -> Limit:
    """The reduced limit of keyless pushes: a part of a limit, rounded up; never none."""
    parts = zip(msgspec.structs.astuple(limit), msgspec.structs.astuple(LISTED_LIMIT_MAX), strict=True)
    return Limit(*(-(-part // LISTED_DIVISOR) or most for part, most in parts))


def _listed(entitled: dict[int, Entitlement], alias: str) -> dict[str, list[Identity]]:
    """By server_id: whom a push that carries it may be of."""
    found: dict[str, list[Identity]] = {}
    for mattermost_id, server, signers in listing.read(alias):
        row = entitled.get(server.customer_id)
        if server.disabled_at is None and row is not None and _allows_keyless(row) and row.may_use_server_id:
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
