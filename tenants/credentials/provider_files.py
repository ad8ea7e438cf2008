"""Reads the files that Apple and Google give for signing pushes, and says in plain words what is wrong with one.

A file is understood completely before it is kept: what this module lets pass is a key of the right kind, in a form of
our own, and nothing else of the file is kept. No text of a ProblemError quotes from a file.
"""

import codecs
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tenants.credentials import apple_certificate, password_files
from tenants.problem import ProblemError

SIZE_MAX: Final = 100_000
# https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
_APPLE_ID: Final = re.compile(r"[A-Z0-9]{10}")
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
# https://developers.google.com/identity/protocols/oauth2/service-account#httprest; the second one in older files.
GOOGLE_TOKEN_URIS: Final = ("https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token")
_RSA_BITS_MIN: Final = 2048
# A hostile file may hold a key of any size; checking the primes of a huge one takes minutes.
_RSA_BITS_MAX: Final = 8192
_WHERE: Final = "Firebase console > Project settings > Service accounts > Generate new private key"


class Parsed(NamedTuple):
    """A credential as it was understood.

    `kind` and the members of `secret` are those of tenants.credentials.sealing; `key_id` may be shown. A certificate
    also says until when, for which `topics` and for which of Apple's `hosts` it is good (both empty: it does not say).
    """

    kind: str
    secret: dict[str, str]
    key_id: str
    expires_at: datetime | None = None
    topics: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()


class _Account(msgspec.Struct):
    type: str = ""
    project_id: str = ""
    private_key_id: str = ""
    private_key: str = ""
    client_email: str = ""
    token_uri: str = ""
    universe_domain: str = "googleapis.com"
    project_info: msgspec.Raw = msgspec.Raw()
    installed: msgspec.Raw = msgspec.Raw()
    web: msgspec.Raw = msgspec.Raw()
    api_key: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="apiKey")


class _KeptAccount(msgspec.Struct):
    type: str
    project_id: str
    private_key_id: str
    private_key: str
    client_email: str
    token_uri: str


def apple_key(data: bytes, *, key_id: str, team_id: str) -> Parsed:
    """A token key: the .p8 file of Apple's developer pages, with its key id and the team's id."""
    check_size(data)
    if not _APPLE_ID.fullmatch(key_id):
        raise ProblemError(
            "the key id must be 10 capital letters and digits, as in the name AuthKey_<key id>.p8", field="key_id"
        )
    if not _APPLE_ID.fullmatch(team_id):
        raise ProblemError(
            "the team id must be 10 capital letters and digits, as in Apple's membership details", field="team_id"
        )
    if key_id == team_id:
        raise ProblemError(
            "the key id and the team id are the same: the team id is in Apple's membership details", field="team_id"
        )
    if b"CERTIFICATE" in block_names(data):
        raise ProblemError("the file holds a certificate: add it as a certificate (--pem), or give the .p8 file")
    key = _private_key(data, "a .p8 file of Apple")
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ProblemError("the file holds a key, but no elliptic-curve one as Apple's .p8 files do")
    if not isinstance(key.curve, ec.SECP256R1):
        raise ProblemError(f"the key is on the curve {key.curve.name}; Apple's are on P-256 (secp256r1)")
    return Parsed("apns_key", {"key_pem": _pem(key), "key_id": key_id, "team_id": team_id}, f"{team_id}/{key_id}")


def apple_certificate_pem(data: bytes, *, password: str = "", now: datetime | None = None) -> Parsed:
    """A push certificate with its private key, both in one PEM file; `password` for an encrypted key."""
    check_size(data)
    if password:
        data = _unlock(data, password, password_files.SECONDS)
    certificates: list[x509.Certificate] = []
    for name, block in _blocks(data):
        if name == b"CERTIFICATE":
            try:
                certificates.append(x509.load_pem_x509_certificate(block))
            except (ValueError, UnsupportedAlgorithm):
                raise ProblemError("the file holds a certificate that cannot be read") from None
    if not certificates:
        raise ProblemError("the file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    key = _private_key(data, "the certificate's file")
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ProblemError("the certificate's private key is neither RSA nor elliptic-curve")
    mine = [certificate for certificate in certificates if certificate.public_key() == key.public_key()]
    if not mine:
        raise ProblemError("the private key does not belong to the certificate: export both together")
    said = apple_certificate.read(mine[0])
    if said.purpose:
        raise ProblemError(f"this is a certificate for {said.purpose}, not for pushes: make an Apple Push Services one")
    now = now or datetime.now(UTC)
    if said.until <= now:
        raise ProblemError(f"the certificate expired on {said.until:%Y-%m-%d}: make a new one in Apple's account")
    if said.since > now:
        raise ProblemError(f"the certificate is not valid before {said.since:%Y-%m-%d}: is this machine's clock right?")
    if not said.topics:
        raise ProblemError("the certificate names no app, so it is none for Apple's push service")
    ordered = [mine[0], *(certificate for certificate in certificates if certificate is not mine[0])]
    chain = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in ordered)
    secret = {"cert_pem": chain.decode(), "key_pem": _pem(key)}
    return Parsed("apns_cert", secret, said.serial, said.until, said.topics, said.hosts)


def apple_certificate_p12(
    data: bytes, *, password: str = "", now: datetime | None = None, seconds: float = password_files.SECONDS
) -> Parsed:
    """A push certificate with its private key in a .p12 file, as the Mac's keychain exports it."""
    check_size(data)
    return apple_certificate_pem(_unlock(data, password, seconds), now=now)


def service_account(data: bytes, *, token_uris: Iterable[str] = GOOGLE_TOKEN_URIS) -> Parsed:
    """A Google service account's key: the JSON file of the Firebase console.

    `token_uris` are the addresses that may be asked for access tokens: any other would be handed a signed assertion.
    """
    check_size(data)
    account = _account(data)
    for name in ("project_id", "private_key_id", "private_key", "client_email", "token_uri"):
        if not getattr(account, name):
            raise ProblemError(f"the service account has no {name}: get the whole file at {_WHERE}")
    if not _PROJECT.fullmatch(account.project_id):
        raise ProblemError("the service account's project_id has not the form of one")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", account.client_email):
        raise ProblemError("the service account's client_email is not an address")
    if account.universe_domain != "googleapis.com":
        raise ProblemError("the service account is of another cloud than googleapis.com")
    if account.token_uri not in tuple(token_uris):
        raise ProblemError("the service account's token_uri is not Google's: it would be sent signed requests")
    key = _private_key(account.private_key.encode(), "the service account's private_key")
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ProblemError("the service account's private_key is no RSA key")
    if key.key_size < _RSA_BITS_MIN:
        raise ProblemError(f"the service account's private_key has {key.key_size} bits; Google's have 2048 or more")
    kept = _KeptAccount(
        account.type,
        account.project_id,
        account.private_key_id,
        _pem(key),
        account.client_email,
        account.token_uri,
    )
    label = f"{account.project_id}/{account.private_key_id[:12]}"
    return Parsed("fcm_account", {"account_json": msgspec.json.encode(kept).decode()}, label)


def _account(data: bytes) -> _Account:
    """A service account, complete or not; other files of Google's are told apart."""
    try:
        account = msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=_Account)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProblemError(f"the file is not the JSON of a service account: get it at {_WHERE}") from None
    if account.project_info:
        raise ProblemError(f"this is google-services.json, which belongs into the app: the key is made at {_WHERE}")
    if account.installed or account.web:
        raise ProblemError(f"this is an OAuth client, which people log in with: a service account is made at {_WHERE}")
    if account.api_key:
        raise ProblemError(f"this is the configuration of a web app: a service account is made at {_WHERE}")
    if account.type != "service_account":
        raise ProblemError(f"the file is not a service account (its type is another): get one at {_WHERE}")
    return account


def check_size(data: bytes) -> None:
    """Raise ProblemError for what is too large to be a key, or empty."""
    if len(data) > SIZE_MAX:
        raise ProblemError(f"the file is larger than {SIZE_MAX // 1000} KB, so it is no key")
    if not data.strip():
        raise ProblemError("the file is empty")


def block_names(data: bytes) -> set[bytes]:
    """What kinds of PEM blocks a file holds."""
    return {name for name, _ in _blocks(data)}


def _blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(found[1], found[0]) for found in _BLOCK.finditer(data)]


def _unlock(data: bytes, password: str, seconds: float) -> bytes:
    try:
        return password_files.to_pem(data, password, seconds=seconds)
    except password_files.LockedError as error:
        raise ProblemError(str(error)) from None


def _private_key(data: bytes, what: str) -> PrivateKeyTypes:
    found = [(name, block) for name, block in _blocks(data) if name.endswith(b"PRIVATE KEY")]
    if not found:
        raise ProblemError(f"{what} should hold a private key in PEM form (-----BEGIN PRIVATE KEY-----); it does not")
    if len(found) > 1:
        raise ProblemError(f"{what} holds {len(found)} private keys: which one is meant?")
    try:
        key = serialization.load_pem_private_key(found[0][1], None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, rsa.RSAPrivateKey):
            return key
        if key.key_size > _RSA_BITS_MAX:
            raise ProblemError(f"the private key in {what} has {key.key_size} bits; nobody uses more than 8192")
        return serialization.load_pem_private_key(found[0][1], None)
    except TypeError:
        raise ProblemError(f"the private key in {what} is encrypted: give its password, or export it without") from None
    except ValueError:
        raise ProblemError(f"the private key in {what} is damaged") from None
    except UnsupportedAlgorithm:
        raise ProblemError(f"the private key in {what} is of a kind that cannot be read") from None


def _pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
