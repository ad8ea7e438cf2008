"""Google access tokens: one per service account, fetched over the engine, renewed before it runs out.

google-auth signs the grant (RFC 7523), in threads of its own because RSA takes milliseconds; the request is one of the
engine's, so it has the engine's trust, proxy and deadline. The account's key is not validated here: that was done when
it was uploaded, and takes a tenth of a second with the interpreter locked (firebase_admin.credentials.Certificate does
it, and a test holds our grants against its). A grant is signed for each fetch, by the clock as it is then; where Google
refuses it and its Date says that our clock is wrong, it is signed again at once by Google's. Invariants: one fetch at a
time per account; a push waits for a token no longer than its own timeout, in a bounded list; an address that is not
Google's is fetched only at the origin that was set.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import google.auth.jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth.crypt import RSASigner

from delivery.executors import BoundedExecutor
from delivery.http2 import hpack_encoding
from delivery.http2.engine import Engine
from delivery.http2.peer_clock import TOLERANCE
from delivery.http2.stream import Stream
from delivery.outcomes.transport import NoFault, TransportFault
from delivery.outcomes.verdict import CLOCK
from delivery.providers.apns.provider_token import CredentialError
from delivery.providers.base import clock_remark

log = logging.getLogger(__name__)

GOOGLE_HOSTS: Final = frozenset({"oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com"})
AUDIENCE: Final = "https://oauth2.googleapis.com/token"
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
"""All that sending needs (https://firebase.google.com/docs/cloud-messaging/send/v1-api#authorize-http-v1-send-requests)."""
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME: Final = 3600
"""Seconds; the most that Google gives (https://developers.google.com/identity/protocols/oauth2/service-account)."""
FETCH_SECONDS: Final = 3.5
"""Less than a push's own time, so that the push that asked hears why there is no token."""
RENEW_AT: Final = 0.8
"""The part of a token's lifetime after which the next one is fetched while it goes on being used."""
PAUSE_SECONDS: Final = 1.0
"""After a failed fetch, pushes are told the same for so long instead of asking again."""
BAD_ACCOUNT_SECONDS: Final = 30.0
FORCED_EVERY: Final = 30.0
"""A token that Google refuses is renewed at once, but not more often than this."""
_OUT_OF_TIME: Final = b"reasonable timeframe"
"""In Google's error_description of a grant whose claims iat and exp do not fit its clock."""
_OF_THE_ACCOUNT: Final = frozenset(
    (
        *("invalid_grant", "invalid_client", "unauthorized_client", "access_denied"),
        *("account_disabled", "deleted_client", "disabled_client", "admin_policy_enforced", "org_internal"),
    )
)
"""Google's errors that say something of the account (RFC 6749, 5.2; https://developers.google.com/identity/protocols/oauth2).

Whatever else comes with 400, 401 or 403 may be of anything on the way, and never makes a good credential a bad one.
"""
_OF_OUR_WAY: Final = frozenset((TransportFault.DNS, TransportFault.TLS, TransportFault.PROXY))
"""Faults on the way to Google that are not Google's."""
MOST_WAITING: Final = 5000
SIGNATURES: Final = BoundedExecutor("signatures of access tokens", threads=2, queued=1000)
"""Shared with nothing that can hang; one call for an account at a time."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,8192}", re.ASCII).fullmatch
_PATH: Final = re.compile(r"/[\x21-\x7e]{0,1000}", re.ASCII).fullmatch
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,64}", re.ASCII).fullmatch


class _Grant(msgspec.Struct, gc=False):
    access_token: str = ""
    expires_in: float = LIFETIME
    error: msgspec.Raw = msgspec.Raw(b"")
    error_description: msgspec.Raw = msgspec.Raw(b"")


_decode: Final = msgspec.json.Decoder(_Grant).decode
_FORM: Final = hpack_encoding.field_block([(b"content-type", "application/x-www-form-urlencoded")])
Waiter = Callable[[TransportFault | NoFault, str], None]
"""Called with ("", "") when there is a token, else with a fault and a detail."""


def token_url(token_uri: str, token_origin: str) -> str:
    """Return where to fetch the token of an account: at token_origin, by the path of AUDIENCE where token_uri is one of
    Google's addresses, of which each host has had another path, else by its own.

    CredentialError if token_uri is neither Google's nor at token_origin: an uploaded file must not choose whom we call.
    """
    parts = urlsplit(token_uri)
    if _PATH(parts.path):
        if parts.scheme == "https" and parts.netloc in GOOGLE_HOSTS:
            return token_origin + urlsplit(AUDIENCE).path
        if f"{parts.scheme}://{parts.netloc}" == token_origin:
            return token_origin + parts.path
    raise CredentialError("the service account's token_uri is not Google's")


class _Account:
    """A service account as its key file says."""

    def __init__(self, account_json: str, token_origin: str) -> None:
        try:
            content: dict[str, Any] = json.loads(account_json)
            key = load_pem_private_key(content["private_key"].encode(), None, unsafe_skip_rsa_key_validation=True)
            if not isinstance(key, RSAPrivateKey):
                raise TypeError("Google's keys are RSA keys")
            self.signer = RSASigner(key, str(content.get("private_key_id", "")))
            self.email = str(content["client_email"])
            self.url = token_url(str(content["token_uri"]), token_origin)
        except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
            raise CredentialError(f"the service account cannot be read ({type(error).__name__})") from None


class AccessToken:
    """The access token of one service account."""

    def __init__(self, engine: Engine, credential_id: int, account_json: str, token_origin: str) -> None:
        """Take the account's key file as text; it is read at the first fetch."""
        self._engine, self._credential_id = engine, credential_id
        self._account_json, self._origin = account_json, token_origin
        self._account: _Account | None = None
        self._header = ""
        self._made_at = self._renew_at = self._ends_at = 0.0
        self._forced_at = -FORCED_EVERY
        self._fetching = self._signing = self._signed_again = False
        self._issued_at = 0  # the grant's iat, unix seconds
        self._trouble: tuple[TransportFault | NoFault, str] = ("", "")
        self._trouble_until = 0.0
        self._waiting: dict[int, tuple[Waiter, asyncio.TimerHandle]] = {}
        self._number = 0

    def header(self) -> str:
        """Return the value of the authorization field, "Bearer ...", renewing it ahead of time.

        "" when there is no valid token: then wait().
        """
        now = time.monotonic()
        if now >= self._renew_at:
            if now >= self._ends_at:
                return ""
            if not self._fetching and now >= self._trouble_until:
                self._fetch()
        return self._header

    def wait(self, timeout: float, then: Waiter) -> None:
        """Call then(fault, detail) when there is a token ("", "") or none is to be had; within timeout seconds."""
        loop = self._engine.loop
        if not self._fetching and time.monotonic() < self._trouble_until:
            loop.call_soon(then, *self._trouble)
        elif len(self._waiting) >= MOST_WAITING:
            loop.call_soon(then, self._slow_part(), "too many pushes wait for it")
        else:
            self._number += 1
            self._waiting[self._number] = (then, loop.call_later(timeout, self._too_late, self._number))
            if not self._fetching:
                self._fetch()

    def refused(self, used_at: float) -> None:
        """Hear that Google refused the token in use at a time (time.monotonic()): fetch another, within limits."""
        now = time.monotonic()
        if used_at >= self._made_at and now - self._forced_at >= FORCED_EVERY:
            self._forced_at = now
            self._renew_at = self._ends_at = 0.0

    def _too_late(self, number: int) -> None:
        then, _ = self._waiting.pop(number)
        then(self._slow_part(), "no signature in time" if self._signing else "no answer in time")

    def _slow_part(self) -> TransportFault:
        """Return what those who wait have waited for: Google, or ourselves."""
        return TransportFault.SIGNATURE if self._signing else TransportFault.TOKEN_ENDPOINT

    def _fetch(self) -> None:
        self._fetching = self._signing = True
        loop = self._engine.loop
        try:
            signed = asyncio.wrap_future(SIGNATURES.submit(self._grant), loop=loop)
        except RuntimeError as error:  # as many wait as may, or the machine starts no thread
            log.error("an access token cannot be asked for: %s", error)
            loop.call_soon(self._failed, TransportFault.SIGNATURE, "too many signatures wait", PAUSE_SECONDS)
            return
        signed.add_done_callback(self._signed)

    def _grant(self) -> tuple[str, bytes]:
        """Return the address and the body of the token request. Runs in a thread."""
        if self._account is None:
            self._account = _Account(self._account_json, self._origin)
        self._issued_at = now = int(self._engine.clock.now())
        claims = {"iss": self._account.email, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME, "scope": SCOPE}
        assertion = google.auth.jwt.encode(self._account.signer, claims).decode()
        return self._account.url, urlencode({"grant_type": GRANT_TYPE, "assertion": assertion}).encode()

    def _signed(self, signed: asyncio.Future[tuple[str, bytes]]) -> None:
        self._signing = False
        if signed.cancelled() or self._engine.closed:
            self._failed(TransportFault.STOPPED, "", PAUSE_SECONDS)
            return
        error = signed.exception()
        if error is not None:
            known = isinstance(error, CredentialError)
            detail = str(error) if known else f"the service account cannot sign ({type(error).__name__})"
            self._failed(TransportFault.CREDENTIAL, detail, BAD_ACCOUNT_SECONDS)
            return
        url, body = signed.result()
        # A channel of its own, under the negative id: a silent token endpoint must not make the pushes' way seem dead.
        channel = self._engine.channel(self._origin, -self._credential_id)
        try:
            channel.post(url.removeprefix(self._origin), _FORM, body, FETCH_SECONDS, self._answered)
        except ValueError:
            self._failed(
                TransportFault.CREDENTIAL, "the service account's token_uri is no address", BAD_ACCOUNT_SECONDS
            )

    def _answered(self, stream: Stream) -> None:
        if not stream.status:
            ours = next((fault for fault in _OF_OUR_WAY if fault == stream.fault), None)
            if ours is not None:
                self._failed(ours, stream.error[:120], PAUSE_SECONDS)
            else:
                self._failed(TransportFault.TOKEN_ENDPOINT, stream.fault, PAUSE_SECONDS)
            return
        try:
            grant = _decode(stream.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            grant = _Grant()
        if stream.status != 200:
            self._refused_grant(stream, grant)
        elif not _TOKEN(grant.access_token) or grant.expires_in <= 0:
            log.error("Google's token endpoint answered 200 and no access token")
            self._failed(TransportFault.TOKEN_ENDPOINT, "200 and no access token", PAUSE_SECONDS)
        else:
            lifetime = min(grant.expires_in, LIFETIME)
            self._made_at = time.monotonic()
            self._renew_at, self._ends_at = stream.started + lifetime * RENEW_AT, stream.started + lifetime
            self._header = f"Bearer {grant.access_token}"
            self._fetching = self._signed_again = False
            self._trouble_until = 0.0
            self._notify("", "")

    def _refused_grant(self, stream: Stream, grant: _Grant) -> None:
        error = bytes(grant.error).strip(b'"').decode("latin-1")
        detail = f"{stream.status} {error}" if _ERROR_CODE(error) else str(stream.status)
        if stream.status not in (400, 401, 403) or error not in _OF_THE_ACCOUNT:
            if stream.status in (400, 401, 403):
                log.error("Google's token endpoint answered %s, which says nothing of an account", detail)
            pause = max(PAUSE_SECONDS, min(stream.retry_after, BAD_ACCOUNT_SECONDS))
            self._failed(TransportFault.TOKEN_ENDPOINT, detail, pause)
            return
        clock = self._engine.clock
        clock.observe(stream.date)
        ahead = self._issued_at - clock.now()
        if abs(ahead) > TOLERANCE:
            detail = f"{detail}; {clock_remark(clock, ahead)}"
            if not self._signed_again:
                log.warning("Google refused a grant for its time, another is signed: %s", detail)
                self._signed_again = True
                self._fetch()
                return
            self._failed(TransportFault.CLOCK, detail, BAD_ACCOUNT_SECONDS)
            return
        if _OUT_OF_TIME in bytes(grant.error_description) and not self._signed_again:
            # Of a grant that is good for LIFETIME this is always said for its beginning, which is our time.
            self._failed(TransportFault.CLOCK, f"{detail}; {CLOCK} is wrong by Google's", BAD_ACCOUNT_SECONDS)
            return
        self._failed(TransportFault.CREDENTIAL, detail, BAD_ACCOUNT_SECONDS)

    def _failed(self, fault: TransportFault, detail: str, pause: float) -> None:
        self._fetching = self._signing = self._signed_again = False
        self._trouble = (fault, detail)
        self._trouble_until = time.monotonic() + pause
        self._notify(fault, detail)

    def _notify(self, fault: TransportFault | NoFault, detail: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for then, timer in waiting.values():
            timer.cancel()
            try:
                then(fault, detail)
            except Exception:
                log.exception("what follows an access token failed; the others that wait go on")
