"""What the path of a push must know about tenants, as plain structs, read from PostgreSQL in one go.

A snapshot is never changed after it was read: news is another snapshot. It holds credentials only as they are sealed.
"""

from typing import ClassVar, Final

import msgspec
from django.db import connection

from tenants.models import Credential, Customer, Entitlement, PushApp, ServerKey

# Raised whenever a member is added that an older process could not do without.
FORM: Final = 1


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Whom a server key speaks for. `why` is the code to refuse it with ("" when `active`); expiry is not in it,
    because it comes about with time alone: `expires_at` is in unix seconds, 0 for never."""

    key_id: int
    server_id: int
    customer_id: int
    active: bool
    why: str
    digest: bytes
    expires_at: float = 0.0

    # Django and DRF ask this of every request.user.
    is_authenticated: ClassVar[bool] = True


class AppRow(msgspec.Struct, frozen=True, gc=False):
    """One enabled app with its current credential; `credential_id` is 0 (and `kind`, `sealed` "") when it has none."""

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


class Snapshot(msgspec.Struct, frozen=True):
    """All of it: identities by the prefix of their key, the apps, and the customers that may use the shared ones.

    `version` is the stamp that was in force before the reading began, `read_at` PostgreSQL's clock (unix seconds).
    """

    version: int
    read_at: float
    keys: dict[str, Identity]
    apps: list[AppRow]
    sharers: list[int]
    form: int = FORM


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def read(version: int) -> Snapshot:
    """Read everything from PostgreSQL with five queries. Raises django.db.Error when that cannot be done."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (read_at,) = cursor.fetchone()
    entitled: set[int] = set()
    sharers: list[int] = []
    serving = Entitlement.objects.filter(active=True, customer__status=Customer.Status.ACTIVE)
    for customer_id, may_use_shared in serving.values_list("customer_id", "may_use_shared"):
        entitled.add(customer_id)
        if may_use_shared:
            sharers.append(customer_id)
    current = Credential.objects.filter(slot=Credential.Slot.CURRENT, app__enabled=True)
    credentials = {row[0]: row[1:] for row in current.values_list("app_id", "id", "kind", "sealed")}
    columns = ("id", "customer_id", "label", "family", "topic", "host", "is_default")
    apps = PushApp.objects.filter(enabled=True).order_by("id").values_list(*columns)
    return Snapshot(
        version=version,
        read_at=float(read_at),
        keys=_identities(entitled),
        apps=[AppRow(*row, *credentials.get(row[0], ())) for row in apps],
        sharers=sharers,
    )


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as msgpack."""
    return _ENCODER.encode(snapshot)


def decode(data: bytes) -> Snapshot:
    """Back from msgpack. Raises ValueError for anything else, and for a form that this release does not know."""
    snapshot = _DECODER.decode(data)
    if snapshot.form != FORM:
        raise ValueError(f"it has form {snapshot.form}, this release reads form {FORM}")
    return snapshot


def _identities(entitled: set[int]) -> dict[str, Identity]:
    columns = ("prefix", "id", "server_id", "server__customer_id", "digest", "expires_at", "revoked_at")
    found = {}
    # Revoked keys stay in, so that their bearers are told "revoked" and not "unknown".
    for prefix, key_id, server_id, customer_id, digest, expires_at, revoked_at in ServerKey.objects.values_list(
        *columns
    ):
        why = "revoked_key" if revoked_at else "" if customer_id in entitled else "suspended"
        expires = expires_at.timestamp() if expires_at else 0.0
        found[prefix] = Identity(key_id, server_id, customer_id, not why, why, bytes(digest), expires)
    return found
