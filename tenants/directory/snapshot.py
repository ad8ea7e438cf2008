"""Snapshot of the tenants' rows that the hot path needs, and parts of it, as plain structs.

Neither is changed after it was read: news is another part. Credentials are in it only as they are sealed.
"""

from typing import ClassVar, Final

import msgspec

from tenants.models import Credential

# Raised whenever a member is added that an older process could not do without.
FORM: Final = 5


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

    `spare` is there only beside a current one, and only as long as no provider has refused it. `signs_since`: when the
    current one began to sign for the app as it is (unix seconds).
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
    signs_since: float = 0.0


class RemoveHoldRow(msgspec.Struct, frozen=True, gc=False):
    """What has been said of removing a customer's devices of one credential: that it is `held`, or when somebody has
    released it last (unix seconds, 0: nobody)."""

    customer_id: int
    credential_id: int
    held: bool
    released_at: float = 0.0


class Snapshot(msgspec.Struct, frozen=True):
    """One version of the read model: identities by the prefix of their key, the apps, the customers that may use the
    shared ones, and whom pushes without a key speak for: by server_id, and of the test service (at most one).
    `canaries`: the customer that is the service's own, whose pushes are in no figures. `switched_off`: labels of apps
    that are not in use, and `registered`: server_ids that servers are registered with, each with its customer (0: the
    shared apps'): they only say more of what is refused. `remove_holds`: for whose devices nobody is believed that they
    are gone, or is so by a person's word.

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
    switched_off: list[tuple[int, str]] = []
    registered: list[tuple[int, str]] = []
    remove_holds: list[RemoveHoldRow] = []
    form: int = FORM


class Part(msgspec.Struct, frozen=True):
    """What becomes of a snapshot by changes: all that is of `customers` (0: the shared apps) is replaced by what is in
    here, beside that `keys` are added or replaced, as are the `listed` server_ids (an empty list: nobody's now).

    It covers what was committed after the stamp `since` and before `version`, of which `read_at` is the clock.
    """

    since: int
    version: int
    read_at: float
    customers: list[int]
    keys: dict[str, Identity]
    apps: list[AppRow]
    sharers: list[int]
    listed: dict[str, list[Identity]]
    anonymous: list[Identity]
    canaries: list[int]
    switched_off: list[tuple[int, str]]
    registered: list[tuple[int, str]]
    remove_holds: list[RemoveHoldRow] = []
    form: int = FORM


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)
_PART_DECODER = msgspec.msgpack.Decoder(Part)


def encode(snapshot: Snapshot | Part) -> bytes:
    """Serialise a snapshot, or a part, as msgpack."""
    return _ENCODER.encode(snapshot)


def decode(data: bytes) -> Snapshot:
    """Deserialise from msgpack. Raises ValueError for anything else, and for a form that this release does not know."""
    snapshot = _DECODER.decode(data)
    _check_form(snapshot.form)
    return snapshot


def decode_part(data: bytes) -> Part:
    """As decode(), of a part."""
    part = _PART_DECODER.decode(data)
    _check_form(part.form)
    return part


def _check_form(form: int) -> None:
    if form != FORM:
        raise ValueError(f"it has form {form}, this release reads form {FORM}")


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
