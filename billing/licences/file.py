"""Parser and verifier of Mattermost's licence file: base64 of JSON, with an RSA signature behind it. Pure.

    file      = base64(JSON || signature)      CR and LF are skipped
    signature = 256 bytes: RSA-2048, PKCS #1 v1.5 (RFC 8017), SHA-512, over the JSON

Nothing of the JSON is read before its signature is good. Keys and types are read as Go's encoding/json does, because
that is what a Mattermost server goes by: another reading would be another licence. Two differences, both on purpose:
a signature may end in zero bytes (the reference cuts those off and refuses one licence in 256), and the base64 has to
be what an encoder makes (spare bits are zero), so that no two texts are one file.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA512

from tenants.problem import ProblemError

FILE_MAX: Final = 16 * 1024
"""Bytes of a file; real ones have about 2 KiB."""
SIGNATURE: Final = 256
"""Bytes of a signature."""
ID_LENGTH: Final = 26
TEXT_MAX: Final = 200
"""Characters that are kept of a name."""
INT64_MAX: Final = 2**63 - 1
USERS_MAX: Final = 2**31 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LINE_ENDS: Final = bytes.maketrans(b"", b""), b"\r\n"


class Issuer(NamedTuple):
    """Whoever signs licences: the name that its key's file has, and its public key (RSA, 2048 bits)."""

    name: str
    key: RSAPublicKey


class Licence(NamedTuple):
    """A licence whose signature is good. Moments are aware, in UTC; `users` is 0 where the licence names none."""

    issuer: str
    id: str
    digest: str  # SHA-256 of the file's text without line ends, in hex
    issued_at: datetime
    starts_at: datetime
    expires_at: datetime
    company: str
    users: int
    sku: str  # sku_short_name, as it stands there
    sku_name: str
    mhpns: bool
    cloud: bool
    is_trial: bool
    push_limit: int | None  # limits.push_notifications, a month


class LicenceFileError(ProblemError):
    """What was given is no licence file that is good here; the text says what it is, and what to do."""


def read(data: bytes, issuers: Iterable[Issuer]) -> Licence:
    """The licence in a file (its bytes, as they are on the disk or were pasted). Raises LicenceFileError."""
    if len(data) > FILE_MAX:
        raise LicenceFileError(f"this is larger than {FILE_MAX // 1024} KiB: a licence file has about 2 KiB")
    text = data.translate(*_LINE_ENDS)
    if not text:
        raise LicenceFileError("this is empty: choose the licence file, or paste all of its text")
    body, signature = _split(_decoded(text))
    issuer = _issuer(body, signature, issuers)  # before anything of the JSON is looked at
    return _licence(_object(body), issuer, hashlib.sha256(text).hexdigest())


def _decoded(text: bytes) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if base64.b64encode(decoded) != text:
        raise LicenceFileError(
            "this is not a licence file, or a part of it is missing: it is one long text of letters, digits, + and /. "
            "Take the file as Mattermost sent it"
        )
    return decoded


def _split(decoded: bytes) -> tuple[bytes, bytes]:
    if len(decoded) <= SIGNATURE:
        raise LicenceFileError(
            "this is too short for a licence: the beginning of the file is missing. Take the file as Mattermost sent it"
        )
    return decoded[:-SIGNATURE], decoded[-SIGNATURE:]


def _issuer(body: bytes, signature: bytes, issuers: Iterable[Issuer]) -> str:
    for issuer in issuers:
        try:
            issuer.key.verify(signature, body, PKCS1v15(), SHA512())
        except InvalidSignature:
            continue
        return issuer.name
    raise LicenceFileError(
        "the signature of this licence is not good: the file was changed on its way, or somebody signed it whose "
        "licences are not accepted here. Take the file as Mattermost sent it"
    )


# --- JSON as Go reads it


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object of JSON with all its keys, in their order, also those that come twice."""

    __slots__ = ()


class _Value(NamedTuple):
    """A field of Go's struct: its type, how it is called, and whether it is a pointer, which null empties."""

    type: type
    words: str
    pointer: bool = False


_TEXT: Final = _Value(str, "a text")
_NUMBER: Final = _Value(int, "a whole number")
_SWITCH: Final = _Value(bool, "true or false")
_POINTER_TO_SWITCH: Final = _SWITCH._replace(pointer=True)
_Struct = dict[str, "_Value | _Struct"]
_LICENCE: Final[_Struct] = {
    **dict.fromkeys(("id", "sku_name", "sku_short_name"), _TEXT),
    **dict.fromkeys(("issued_at", "starts_at", "expires_at"), _NUMBER),
    "is_trial": _SWITCH,
    "customer": {"company": _TEXT},
    "features": {
        "users": _NUMBER._replace(pointer=True),
        **dict.fromkeys(("mhpns", "cloud", "future_features"), _POINTER_TO_SWITCH),
    },
    "limits": {"push_notifications": _NUMBER},
}
# The letters beyond ASCII that are another case of one within it (Unicode's simple folding): long s, and kelvin.
_FOLDING: Final = str.maketrans({"\u017f": "s", "\u212a": "k"})


def _object(body: bytes) -> dict[str, Any]:
    try:
        # Go takes what is no UTF-8 for U+FFFD.
        found = json.loads(
            body.decode("utf-8", errors="replace"), object_pairs_hook=_Pairs, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, _Pairs):
        raise LicenceFileError("this is signed by an issuer of licences, and is none: ask whoever sent it")
    values: dict[str, Any] = {}
    _unmarshal(found, _LICENCE, values, "")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _unmarshal(pairs: _Pairs, fields: _Struct, values: dict[str, Any], path: str) -> None:
    """Put an object into a struct: keys match in any case, the last one wins, an object adds to the one before it."""
    for key, given in pairs:
        name = key.translate(_FOLDING).lower() if len(key) < 64 else ""
        field = fields.get(name) if name.isascii() else None
        if isinstance(field, dict):
            if given is None:
                values.pop(name, None)
            elif isinstance(given, _Pairs):
                _unmarshal(given, field, values.setdefault(name, {}), f"{path}{name}.")
            else:
                raise _mistyped(path + name, "an object")
        elif field is not None and given is None:
            # Null empties a pointer, and leaves everything else as it was.
            if field.pointer:
                values.pop(name, None)
        elif field is not None:
            if type(given) is not field.type:
                raise _mistyped(path + name, field.words)
            if isinstance(given, int) and not -INT64_MAX - 1 <= given <= INT64_MAX:
                raise _mistyped(path + name, field.words)
            values[name] = given


def _mistyped(name: str, words: str) -> LicenceFileError:
    return LicenceFileError(f"{name} of this licence is not {words}, so that nobody can go by it: ask whoever sent it")


def _licence(values: dict[str, Any], issuer: str, digest: str) -> Licence:
    features = values.get("features", {})
    others = features.get("future_features", True)
    licence = Licence(
        issuer=issuer,
        id=values.get("id", ""),
        digest=digest,
        issued_at=_moment(values, "issued_at"),
        starts_at=_moment(values, "starts_at"),
        expires_at=_moment(values, "expires_at"),
        company=_clean(values.get("customer", {}).get("company", "")),
        users=features.get("users", 0),
        sku=_clean(values.get("sku_short_name", ""))[:64],
        sku_name=_clean(values.get("sku_name", "")),
        mhpns=features.get("mhpns", others),
        # Only the one who says so is in the cloud: no server takes "all features" for that.
        cloud=features.get("cloud", False),
        is_trial=values.get("is_trial", False),
        push_limit=values.get("limits", {}).get("push_notifications"),
    )
    if len(licence.id) != ID_LENGTH or not (licence.id.isascii() and licence.id.isalnum()):
        raise LicenceFileError(f"the id of this licence has not {ID_LENGTH} letters and digits: ask whoever sent it")
    if licence.expires_at <= licence.starts_at:
        raise LicenceFileError("this licence ends before it starts: ask whoever sent it")
    if not 0 <= licence.users <= USERS_MAX:
        raise LicenceFileError("the number of users of this licence makes no sense: ask whoever sent it")
    return licence


def _moment(values: dict[str, Any], name: str) -> datetime:
    """A moment out of milliseconds since 1970."""
    try:
        return _EPOCH + timedelta(milliseconds=values.get(name, 0))
    except OverflowError:
        raise LicenceFileError(f"{name} of this licence is beyond any calendar: ask whoever sent it") from None


def _clean(text: str) -> str:
    """A text that a database keeps and a page shows on one line; what cannot be shown is U+FFFD."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text.strip()[:TEXT_MAX])
