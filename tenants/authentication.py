"""Who is calling: the only file that knows where a server's key travels.

Mattermost has one setting for us, a URL, so the key is either in its path (`https://host/t/KEY`) or in its userinfo
(`https://user:KEY@host` or `https://KEY@host`, which Go's HTTP client sends as `Authorization: Basic`,
https://pkg.go.dev/net/http#Request.SetBasicAuth). Enterprise servers since 11.6 can send `X-Mattermost-Auth` beside
`X-Mattermost-ServerID`; a key of ours counts there, too. A key is compared in constant time, and one that does not
exist costs the same work as one that does; neither costs a query. Only the bearer of the right secret is told that a
key is revoked, expired, suspended, or that it may not come this way.

A request without a key is KEYLESS where that can be anything at all: then `Keyless` looks at the push itself, whose
server_id may be registered, and which is else the free test service's. A server_id is no secret.
"""

import binascii
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import Final, Protocol
from urllib.parse import unquote

from django.conf import settings
from rest_framework.authentication import BaseAuthentication

from tenants import keys, network
from tenants.directory.live import DIRECTORY, Directory
from tenants.directory.snapshot import Identity
from tenants.network import Asked, Doorway
from tenants.refusals import (
    ExpiredKey,
    NoKey,
    NotListed,
    NotReady,
    PlainHttp,
    Refused,
    RevokedKey,
    Suspended,
    TestServiceOff,
    TwoKeys,
    UnknownKey,
    UnreadableKey,
    WrongNetwork,
)

PATH_MARK: Final = "/t/"
AUTH, SERVER_ID = "x-mattermost-auth", "x-mattermost-serverid"
KEYLESS: Final = Identity(0, 0, 0, active=False, why="no_key", digest=b"")
"""Stands for a request without a key that may be somebody's all the same; Keyless.identify says whose."""
# Longer is no key of ours with any name beside it; the limit keeps a hostile header cheap.
HEADER_MAX: Final = 1024
_START: Final = len(PATH_MARK)
_NOBODY: Final = bytes(keys.DIGEST_LENGTH)


class Caller(Asked, Protocol):
    """What is asked of a request: its path beside what network.Asked says."""

    @property
    def path(self) -> str: ...


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
        self._guard = Guard()

    def authenticate(self, request: Caller) -> tuple[Identity, None]:  # type: ignore[override]
        """The identity behind the request's key, or KEYLESS; raises a Refused with its `code`."""
        try:
            key = find_key(request.path, request.headers_get("authorization"))
        except NoKey:
            key = _from_auth(request)
            if not key:
                if self._directory.takes_keyless(settings.TEST_SERVICE):
                    return KEYLESS, None
                raise NoKey if self._directory.ready else NotReady from None
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
        self._guard.let_pass(identity, request)
        return identity, None


class Guard:
    """Whether somebody who is known may come this way: encrypted, and from where the server is."""

    def __init__(self) -> None:
        self.doorway = Doorway(settings.TRUSTED_PROXIES, settings.PLAIN_HTTP_FROM)
        self._test_service: bool = settings.TEST_SERVICE

    def let_pass(self, identity: Identity, request: Asked) -> None:
        """Raises PlainHttp, WrongNetwork or TestServiceOff."""
        if identity.tls and not self.doorway.takes_keys(request):
            raise PlainHttp
        if identity.trial and not self._test_service:
            raise TestServiceOff
        if identity.networks:
            client = self.doorway.client(request)
            if not network.is_inside(client, network.parsed(identity.networks)):
                raise WrongNetwork(address=str(client or ""))


class Keyless:
    """Whose a push without a key is."""

    def __init__(self, directory: Directory = DIRECTORY) -> None:
        self._directory = directory
        self._guard = Guard()

    def identify(self, server_id: str, request: Asked) -> Identity:
        """The server that registered this server_id and may push by it, else the test service. Raises a Refused."""
        identity = self._directory.listed(server_id)
        if identity is None:
            identity = self._directory.anonymous()
            if identity is None or not settings.TEST_SERVICE:
                raise NotListed
        if identity.why:
            raise _WHY.get(identity.why, Suspended)
        self._guard.let_pass(identity, request)
        return identity

    def source(self, request: Asked) -> str:
        """The network that an unknown caller is counted by."""
        return network.source(self._guard.doorway.client(request))


def _from_auth(request: Caller) -> str:
    """The key in X-Mattermost-Auth, "" for none. The server sends both headers or neither, so one alone is no key."""
    token, server_id = request.headers_get(AUTH), request.headers_get(SERVER_ID)
    if not token or not server_id:
        return ""
    if len(token) > HEADER_MAX:
        raise UnreadableKey
    return token.strip()
