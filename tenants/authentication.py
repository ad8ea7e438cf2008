"""Who is calling: the only file that knows where a server's key travels.

Mattermost has one setting for us, a URL, so the key is either in its path (`https://host/t/KEY`) or in its userinfo
(`https://user:KEY@host` or `https://KEY@host`, which Go's HTTP client sends as `Authorization: Basic`,
https://pkg.go.dev/net/http#Request.SetBasicAuth). A key is compared in constant time, and one that does not exist
costs the same work as one that does; neither costs a query. Only the bearer of the right secret is told that a key is
revoked, expired or suspended.
"""

import binascii
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import Final, Protocol
from urllib.parse import unquote

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from tenants import keys
from tenants.directory import DIRECTORY, Directory
from tenants.snapshot import Identity

PATH_MARK: Final = "/t/"
# Longer is no key of ours with any name beside it; the limit keeps a hostile header cheap.
HEADER_MAX: Final = 1024
_START: Final = len(PATH_MARK)
_NOBODY: Final = bytes(keys.DIGEST_LENGTH)


class Caller(Protocol):
    """What is asked of a request: its path, and one header by its lower-case name."""

    @property
    def path(self) -> str: ...

    def headers_get(self, name: str) -> str | None: ...


class Refused(AuthenticationFailed):
    """The caller is not let in; `code` is the refusal's stable code, `detail` the cause in plain words."""

    code: str
    cause: str

    def __init__(self) -> None:
        super().__init__(self.cause, self.code)


class NoKey(Refused):
    """The request carries no key."""

    code, cause = "no_key", "the request carries no server key"


class UnreadableKey(Refused):
    """What stands in the place of the key cannot be one."""

    code, cause = "unknown_key", "what stands in the place of the server key is not one"


class UnknownKey(Refused):
    """No such key, or the wrong secret for its prefix: nobody is told which."""

    code, cause = "unknown_key", "this server key is not known"


class TwoKeys(Refused):
    """One key in the path and another in the Authorization header: whose push it is cannot be guessed."""

    code, cause = "two_keys", "the path carries one server key and the Authorization header another"


class NotReady(Refused):
    """This process has not been able to read who is known: the key may well be good."""

    code, cause = "not_ready", "the push service is starting and cannot recognise server keys yet"


class RevokedKey(Refused):
    """The key was revoked."""

    code, cause = "revoked_key", "this server key was revoked"


class ExpiredKey(Refused):
    """The key's time is over."""

    code, cause = "expired_key", "this server key has expired"


class Suspended(Refused):
    """The key is good, but its customer is not served."""

    code, cause = "suspended", "this customer is suspended"


_WHY: Final[dict[str, type[Refused]]] = {"revoked_key": RevokedKey, "suspended": Suspended}


def find_key(path: str, authorization: str | None) -> str:
    """The text of the key that a request carries, in whatever form; raises NoKey, UnreadableKey or TwoKeys.

    The path counts. A Basic header beside it is let pass as long as it holds no other key, because a proxy in
    between may have a password of its own; so is any other scheme.
    """
    in_path = ""
    if path.startswith(PATH_MARK):
        end = path.find("/", _START)
        in_path = path[_START:] if end < 0 else path[_START:end]
        if "%" in in_path:
            in_path = unquote(in_path)
    if authorization is None:
        if in_path:
            return in_path
        raise NoKey
    if not in_path:
        return _from_basic(authorization)
    try:
        beside = _from_basic(authorization)
    except Refused:
        return in_path
    if beside != in_path and keys.parse(beside) is not None:
        raise TwoKeys
    return in_path


def _from_basic(authorization: str) -> str:
    """The password, or the user name when the password is empty. Go has undone the URL's %-escapes already."""
    if authorization[:6].lower() != "basic ":
        raise NoKey
    if len(authorization) > HEADER_MAX:
        raise UnreadableKey
    try:
        # Without strict mode the decoder would skip foreign characters, and many headers would carry one key.
        user, colon, password = binascii.a2b_base64(authorization[6:].strip(), strict_mode=True).decode().partition(":")
    except ValueError:
        raise UnreadableKey from None
    if not colon:
        raise UnreadableKey
    key = password or user
    if not key:
        raise NoKey
    return key


class KeyAuthentication(BaseAuthentication):
    """DRF's authentication by server key, for the two machine endpoints: `request.user` becomes the Identity."""

    def __init__(self, directory: Directory = DIRECTORY, clock: Callable[[], float] = time.time) -> None:
        """`directory`: who is known; `clock`: unix seconds, for keys that expire."""
        self._directory = directory
        self._clock = clock
        self._hash_key: bytes = settings.HASH_KEY

    def authenticate(self, request: Caller) -> tuple[Identity, None]:  # type: ignore[override]
        """The identity behind the request's key; raises a Refused with its `code`."""
        key = find_key(request.path, request.headers_get("authorization"))
        parts = keys.parse(key)
        if parts is None:
            raise UnreadableKey
        identity = self._directory.find(parts[0])
        known = _NOBODY if identity is None else identity.digest
        if not compare_digest(known, keys.digest(key, self._hash_key)) or identity is None:
            raise UnknownKey if self._directory.ready else NotReady
        if identity.why:
            raise _WHY.get(identity.why, Suspended)
        if identity.expires_at and identity.expires_at <= self._clock():
            raise ExpiredKey
        return identity, None

    def authenticate_header(self, request: Caller) -> str:  # type: ignore[override]
        """For whoever turns a refusal into a 401."""
        return 'Basic realm="push"'
