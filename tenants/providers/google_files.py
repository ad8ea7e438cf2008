"""Reads the files that Google gives for signing pushes, and says in plain words what is wrong with one.

A file is understood completely before it is kept: what this module lets pass is a service account, in a form of our
own, and nothing else of the file is kept. No text of a ProblemError quotes from a file.
"""

import codecs
import re
from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from tenants.problem import ProblemError
from tenants.providers import pasted, pem
from tenants.providers.base import Parsed

_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
# https://developers.google.com/identity/protocols/oauth2/service-account#httprest; the others stand in older files.
GOOGLE_TOKEN_URIS: Final = (
    "https://oauth2.googleapis.com/token",
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://www.googleapis.com/oauth2/v3/token",
)
_RSA_BITS_MIN: Final = 2048
_WHERE: Final = "Firebase console > Project settings > Service accounts > Generate new private key"


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


def service_account(data: bytes, *, token_uris: Iterable[str] = GOOGLE_TOKEN_URIS) -> Parsed:
    """A Google service account's key: the JSON file of the Firebase console.

    `token_uris` are the addresses that may be asked for access tokens: any other would be handed a signed assertion.
    """
    pem.check_size(data)
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
    key = pem.private_key(pasted.key_text(account.private_key).encode(), "the service account's private_key")
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ProblemError("the service account's private_key is no RSA key")
    if key.key_size < _RSA_BITS_MIN:
        raise ProblemError(f"the service account's private_key has {key.key_size} bits; Google's have 2048 or more")
    kept = _KeptAccount(
        account.type,
        account.project_id,
        account.private_key_id,
        pem.to_text(key),
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
