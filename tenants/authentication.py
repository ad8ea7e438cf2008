"""Authentication of callers by server key: the only file that knows where a server's key travels.

Mattermost has one setting for us, a URL, so the key is either in its path (`https://host/t/KEY`) or in its userinfo
(`https://mattermost:KEY@host`, whatever the name, or `https://KEY@host`, which Mattermost's own log shows), which Go's
HTTP client sends as `Authorization: Basic` (https://pkg.go.dev/net/http#Request.SetBasicAuth). Enterprise servers since
11.6 can send `X-Mattermost-Auth` beside `X-Mattermost-ServerID`; a key of ours counts there, too. A key is compared in
constant time, and one that does not exist costs the same work as one that does; neither costs a query. Only the bearer
of the right secret is told that a key is revoked, expired, suspended, or that it may not come this way.

A request without a key is KEYLESS where that can be anything at all: then `Keyless` looks at the push itself, whose
server_id may be known, and which is else the free test service's. A server_id is no secret: the signature of each push
says whose it is, unless staff answer for the server_id.
"""

import binascii
import time
from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote

from django.conf import settings
from rest_framework.authentication import BaseAuthentication

from tenants import keys, network
from tenants.access_policy import AccessPolicy
from tenants.directory.live import DIRECTORY, Directory
from tenants.directory.snapshot import Identity
from tenants.forgeries import Forgeries
from tenants.known_key import KnownKey
from tenants.network import RequestInfo
from tenants.proofs import signatures
from tenants.refusals import (
    CallerRejected,
    DisabledServer,
    ExpiredKey,
    NoKey,
    NotListed,
    NotReady,
    RevokedKey,
    Suspended,
    TwoKeys,
    Unconfirmed,
    UnknownKey,
    UnreadableKey,
    UnsignedPush,
    Whose,
    WrongSignature,
)

KEY_PATH_PREFIX: Final = "/t/"
AUTH_HEADER, SERVER_ID_HEADER = "x-mattermost-auth", "x-mattermost-serverid"
KEYLESS: Final = Identity(0, 0, 0, active=False, rejection_code="no_key", digest=b"")
"""Placeholder identity of a request without a key that may be somebody's all the same; Keyless.identify says whose."""
# Longer is no key of ours with any name beside it; the limit keeps a hostile header cheap.
HEADER_MAX: Final = 1024
_KEY_START: Final = len(KEY_PATH_PREFIX)
_NO_DIGEST: Final = bytes(keys.DIGEST_LENGTH)


class KeyedRequest(RequestInfo, Protocol):
    """A request that may carry a server key: its path beside what network.RequestInfo says, and what its connection
    is known by; `admitted`: how many times the directory had changed when somebody was let in by the very same head,
    and who.
    """

    admitted: tuple[int, Identity] | None

    @property
    def path(self) -> str: ...

    @property
    def known_key(self) -> KnownKey: ...


_REJECTIONS: Final[dict[str, type[CallerRejected]]] = {
    "revoked_key": RevokedKey,
    "suspended": Suspended,
    "disabled_server": DisabledServer,
}


def find_key(path: str, authorization: str | None) -> str:
    """The text of the key that a request carries, in whatever form; raises NoKey, UnreadableKey or TwoKeys.

    The path counts. A Basic header beside it is let pass as long as it holds no other key, because a proxy in
    between may have a password of its own; so is any other scheme.
    """
    in_path = ""
    if path.startswith(KEY_PATH_PREFIX):
        end = path.find("/", _KEY_START)
        in_path = path[_KEY_START:] if end < 0 else path[_KEY_START:end]
        if "%" in in_path:
            in_path = unquote(in_path)
    if authorization is None:
        if in_path:
            return in_path
        raise NoKey
    if not in_path:
        return _key_from_basic(authorization)
    try:
        basic_key = _key_from_basic(authorization)
    except CallerRejected:
        return in_path
    if basic_key != in_path and keys.parse(basic_key) is not None:
        raise TwoKeys
    return in_path


def _key_from_basic(authorization: str) -> str:
    """The key in HTTP Basic credentials: the password, or the user name when that is empty; Go has undone %-escapes."""
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
        self._access_policy = AccessPolicy()

    def authenticate(self, request: KeyedRequest) -> tuple[Identity, None]:  # type: ignore[override]
        """Authenticate a request: the identity behind its key, or KEYLESS; raises a CallerRejected with its `code`."""
        admitted, installed = request.admitted, self._directory.installed
        if admitted is not None and admitted[0] == installed:
            before = admitted[1]
            if not before.expires_at or before.expires_at > self._clock():
                return before, None
        known, path, authorization = request.known_key, request.path, request.headers_get("authorization")
        if known.path != path or known.authorization != authorization:
            try:
                key = find_key(path, authorization)
            except TwoKeys:
                raise TwoKeys(self.named(find_key(path, None))) from None
            except NoKey:
                key = _key_from_auth_header(request)
                if not key:
                    if self._directory.accepts_keyless(settings.TEST_SERVICE):
                        return KEYLESS, None
                    raise NoKey if self._directory.ready else NotReady from None
                known = KnownKey()  # two headers more would have to be compared
            parts = keys.parse(key)
            if parts is None:
                raise UnreadableKey(self.named(key))
            known.path, known.authorization = path, authorization
            known.prefix, known.digest = parts[0], keys.digest(key, self._hash_key)
        identity = self._directory.find(known.prefix)
        digest = _NO_DIGEST if identity is None else identity.digest
        if not compare_digest(digest, known.digest) or identity is None:
            raise UnknownKey(_whose(identity)) if self._directory.ready else NotReady
        if identity.rejection_code:
            raise _REJECTIONS.get(identity.rejection_code, Suspended)(_bearer(identity))
        if identity.expires_at and identity.expires_at <= self._clock():
            raise ExpiredKey(_bearer(identity))
        self._access_policy.check_access(identity, request, _bearer)
        request.admitted = installed, identity
        return identity, None

    def named(self, text: str) -> Whose | None:
        """Whose key a text is, or begins as, in a place where none is taken; proven where it is the whole key."""
        prefix = keys.prefix(text)
        identity = self._directory.find(prefix) if prefix else None
        if identity is not None and compare_digest(identity.digest, keys.digest(text, self._hash_key)):
            return _bearer(identity)
        return _whose(identity)


def _whose(identity: Identity | None) -> Whose | None:
    """Nobody without a key: a server_id is no secret, and strangers shall put nothing down to others."""
    return Whose(identity.customer_id, identity.key_id, identity.server_id) if identity and identity.key_id else None


def _bearer(identity: Identity) -> Whose:
    """Who has shown that it is this one."""
    return Whose(identity.customer_id, identity.key_id, identity.server_id, is_proven=True)


class SignedPush(Protocol):
    """What of a push says whose it is when it comes without a key."""

    @property
    def server_id(self) -> str: ...
    @property
    def ack_id(self) -> str: ...
    @property
    def device_id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def signature(self) -> str: ...


class Sender(NamedTuple):
    """Whose push it is; `is_stranger`: nothing shows it, and the limits of strangers hold besides."""

    identity: Identity
    is_stranger: bool = False


class Keyless:
    """Identification of a push without a key: by its server_id and signature, else as the test service's."""

    def __init__(self, directory: Directory = DIRECTORY) -> None:
        self._directory = directory
        self._access_policy = AccessPolicy()
        self._forgeries = Forgeries()

    def identify(self, server_id: str, request: RequestInfo) -> Identity:
        """The server that is the first to have this server_id and may push by it, else the test service; or
        CallerRejected. For what carries no signature, and says nothing of a push but that it was shown."""
        return self._checked(next(iter(self._directory.listed(server_id)), None), request, server_id)

    def identify_sender(self, push: SignedPush, request: RequestInfo) -> Sender:
        """Whose push it is: of those that have its server_id, whose key has signed it; one that staff answer for needs
        no signature. Else the test service's; or CallerRejected."""
        try:
            return self._sender(push, request)
        except CallerRejected as rejected:
            rejected.server_id = push.server_id
            raise

    def _sender(self, push: SignedPush, request: RequestInfo) -> Sender:
        candidates = self._directory.listed(push.server_id)
        if not any(each.signers for each in candidates):
            return Sender(self._checked(next(iter(candidates), None), request, push.server_id, is_shown=True))
        identity, is_stranger = self._signer(candidates, push, request)
        return Sender(self._checked(identity, request, push.server_id, is_shown=not is_stranger), is_stranger)

    def _signer(self, candidates: Sequence[Identity], push: SignedPush, request: RequestInfo) -> Sender:
        by_staff = next((each for each in candidates if not each.signers), None)
        try:
            signed = signatures.read(push.signature, push.ack_id, push.device_id)
        except signatures.Unsigned:
            if by_staff is not None:
                return Sender(by_staff)
            # No server signs a test, so that anybody may have sent it.
            if push.type == "test":
                return Sender(candidates[0], is_stranger=True)
            raise UnsignedPush from None
        except signatures.BadSignature:
            signed = None
        network = self.rate_limit_network(request)
        if signed is not None and not self._forgeries.exceeded(network):
            for each in candidates:
                if any(signatures.verify(key, signed) for key in each.signers):
                    self._forgeries.verified(network)
                    return Sender(each)
            self._forgeries.count(network)
        if by_staff is not None:
            return Sender(by_staff)
        raise WrongSignature

    def _checked(
        self, identity: Identity | None, request: RequestInfo, server_id: str, *, is_shown: bool = False
    ) -> Identity:
        """`is_shown`: a push would be taken for this one's, so that one that is refused is put down to it, too."""
        whose = None
        if identity is None:
            identity = self._directory.anonymous()
            if identity is None or not settings.TEST_SERVICE:
                raise Unconfirmed if self._directory.is_unlisted(server_id) else NotListed
        elif is_shown:
            whose = _bearer(identity)
        if identity.rejection_code:
            raise _REJECTIONS.get(identity.rejection_code, Suspended)(whose)
        self._access_policy.check_access(identity, request, lambda _: whose)
        return identity

    def rate_limit_network(self, request: RequestInfo) -> str:
        """The network by which an unidentified caller is rate-limited."""
        return network.rate_limit_network(self._access_policy.proxies.client(request))


def _key_from_auth_header(request: KeyedRequest) -> str:
    """The key in X-Mattermost-Auth, "" for none. The server sends both headers or neither, so one alone is no key."""
    token, server_id = request.headers_get(AUTH_HEADER), request.headers_get(SERVER_ID_HEADER)
    if not token or not server_id:
        return ""
    if len(token) > HEADER_MAX:
        raise UnreadableKey
    return token.strip()
