"""Send one push to Apple and say what came of it. Never raises for a push.

The request is that of Apple's page "Sending notification requests to APNs"
(https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns), with the push types
and priorities of aioapns. Invariant: whatever a device token holds, it stays one segment of the path.
"""

import logging
import re
import time
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from aioapns.common import PRIORITY_HIGH, PushType
from cryptography import x509

from delivery.http2 import hpack_encoding
from delivery.http2.engine import Engine
from delivery.http2.stream import Stream
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import Attempt
from delivery.protocol import policy
from delivery.providers.apns import payload
from delivery.providers.apns.outcomes import GOAWAY_REASONS, INVALID_IAT, OVERTAKEN, TOO_MANY_TOKENS
from delivery.providers.apns.provider_token import CredentialError, ProviderToken, ProviderTokens
from delivery.providers.base import Target, TooLargeError, Try, is_abandoned, unsent

log = logging.getLogger(__name__)

LONGEST_TOKEN: Final = 1000
"""Bytes in the path; Apple's tokens have 64 to 200 hexadecimal digits today, and may grow."""
_PLAIN_TOKEN: Final = re.compile(r"[0-9A-Za-z_-]{1,500}", re.ASCII).fullmatch
_REASON: Final = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII).fullmatch
_TOKEN_REASONS: Final = {"ExpiredProviderToken": "ExpiredProviderToken", "InvalidProviderToken": INVALID_IAT}
"""Apple's reasons about the provider token, and the same where the time in it was the reason."""


_id: Final = hpack_encoding.short_field_encoder(b"apns-id")
_encoded_expiration: Final = hpack_encoding.short_field_encoder(b"apns-expiration")
_collapse_id: Final = hpack_encoding.short_field_encoder(b"apns-collapse-id")


@lru_cache(maxsize=64)
def _expiration(at: int) -> bytes:
    """The field of when a push is of no use any more, in unix seconds; those of a second have the same few."""
    return _encoded_expiration(str(at))


class _Refusal(msgspec.Struct, gc=False):
    """The body of an answer that is not 200."""

    reason: str
    timestamp: msgspec.Raw = msgspec.Raw(b"0")


_decode: Final = msgspec.json.Decoder(_Refusal).decode


class _Route:
    """What all pushes of one target have in common."""

    __slots__ = ("_alert", "_authorization", "_clock", "_voip", "channel", "ends_at", "host", "target", "token")

    def __init__(self, target: Target, tokens: ProviderTokens, engine: Engine) -> None:
        secret = target.secret
        self.target = target
        self.host = urlsplit(target.origin).hostname or ""
        self.token: ProviderToken | None = None
        self._clock = engine.clock
        cert_pem = key_pem = ""
        self.ends_at = 0.0  # unix seconds; of a certificate only
        try:
            if target.kind == "apns_key":
                self.token = tokens.of(secret["team_id"], secret["key_id"], secret["key_pem"])
            else:
                cert_pem, key_pem = secret["cert_pem"], secret["key_pem"]
                self.ends_at = _end_of(cert_pem)
        except KeyError as missing:
            raise CredentialError(f"the credential has no {missing.args[0]}") from None
        self.channel = engine.channel(target.origin, target.credential_id, cert_pem, key_pem, GOAWAY_REASONS)
        self._authorization = ""
        self._alert = _head(target.topic, PushType.ALERT, "")
        self._voip = _head(f"{target.topic}.voip", PushType.VOIP, "")

    def head(self, *, voip: bool) -> bytes:
        """Return the fields that all pushes have in common. CredentialError if the key cannot sign."""
        token = self.token
        if token is None:
            if self.ends_at < self._clock.now() and not self.ends_at >= self._clock.second_opinion() > 0:
                # Apple would only break the handshake off, which looks like trouble on the way.
                end = time.strftime("%Y-%m-%d", time.gmtime(self.ends_at))
                raise CredentialError(f"the certificate expired on {end}")
        elif (authorization := token.header()) != self._authorization:
            self._alert = _head(self.target.topic, PushType.ALERT, authorization)
            self._voip = _head(f"{self.target.topic}.voip", PushType.VOIP, authorization)
            self._authorization = authorization
        return self._voip if voip else self._alert


def _end_of(cert_pem: str) -> float:
    """Return until when the first certificate of a PEM is good, in unix seconds."""
    try:
        return x509.load_pem_x509_certificate(cert_pem.encode()).not_valid_after_utc.timestamp()
    except ValueError:
        raise CredentialError("the certificate cannot be read") from None


def _head(topic: str, push_type: PushType, authorization: str) -> bytes:
    """Apple's fields but those of the single push."""
    common = [
        (b"apns-topic", topic),
        (b"apns-push-type", push_type.value),
        (b"apns-priority", PRIORITY_HIGH),
        (b"content-type", "application/json; charset=utf-8"),
    ]
    return hpack_encoding.field_block([(b"authorization", authorization), *common] if authorization else common)


def path_segment(token: str) -> str:
    """Return a device token as one segment of a path (RFC 3986, 3.3), "" if no request can carry it."""
    if _PLAIN_TOKEN(token):
        return token
    if token in ("", ".", ".."):
        return ""
    try:
        segment = quote(token, safe="")
    except UnicodeEncodeError:
        return ""
    return segment if len(segment) <= LONGEST_TOKEN else ""


class ApnsSender:
    """Sends to APNs over the engine's channels, with signing tokens that all its apps share."""

    def __init__(self, engine: Engine) -> None:
        """engine: the process's HTTP/2 engine."""
        self._engine = engine
        self._tokens = ProviderTokens(engine.clock)
        self._routes: dict[int, _Route] = {}
        engine.on_sweep.append(self._forget)

    def _forget(self) -> None:
        """Forget the credentials that are no longer used; their tokens go with them."""
        self._routes = {app: route for app, route in self._routes.items() if not is_abandoned(route.channel)}

    def send(self, t: Try) -> None:
        """Make one attempt; t.on_done(t, attempt) follows on the loop, within t.timeout and not before send returns."""
        try:
            self._send(t)
        except CredentialError as error:
            self._refuse(t, TransportFault.CREDENTIAL, str(error))
        except TooLargeError as error:
            self._refuse(t, TransportFault.TOO_LARGE, str(error))
        except UnicodeError:
            self._refuse(t, TransportFault.BAD_TOKEN, "not ASCII")
        except ValueError as error:  # a topic that fits into no field, or is far too long
            self._refuse(t, TransportFault.CREDENTIAL, str(error))

    def _send(self, t: Try) -> None:
        target, push = t.target, t.push
        if self._engine.closed:
            self._refuse(t, TransportFault.STOPPED, "")
            return
        route = self._routes.get(target.app_id)
        if route is None or route.target is not target or route.channel.closed:
            route = self._routes[target.app_id] = _Route(target, self._tokens, self._engine)
        segment = path_segment(push.device_id)
        if not segment:
            self._refuse(t, TransportFault.BAD_TOKEN, "empty, too long or not text")
            return
        head = route.head(voip=push.transport == "voip") + _id(t.push_id) + _expiration(t.expires_at)
        if collapse_id := policy.collapse_id(push):
            head += _collapse_id(collapse_id)
        body = payload.body(push, t.app_version)
        urgent = policy.is_urgent(push)
        path = "/3/device/" + segment
        route.channel.post(path, head, body, t.timeout, self._ended, (t, route), t.tenant, urgent=urgent)

    def _refuse(self, t: Try, fault: TransportFault, detail: str) -> None:
        host = urlsplit(t.target.origin).hostname or ""
        self._engine.loop.call_soon(t.on_done, t, unsent("apns", host, fault, detail))

    def _ended(self, stream: Stream) -> None:
        t, route = stream.tag
        status = stream.status
        attempt = Attempt("apns", route.host, status, stream.fault, stream.wire, stream.at, stream.ms)
        if not status:
            attempt.detail = stream.error[:120]
            if stream.fault == TransportFault.CREDENTIAL and stream.error in GOAWAY_REASONS:
                attempt.reason, attempt.detail = stream.error, "GOAWAY"
        elif status != 200:
            try:
                self._refused(attempt, stream, route)
            except Exception:
                log.exception("an answer of Apple's could not be read")  # and the push ends all the same
        t.on_done(t, attempt)

    def _refused(self, attempt: Attempt, stream: Stream, route: _Route) -> None:
        _read_refusal(attempt, stream.body)
        attempt.retry_after = stream.retry_after
        if attempt.reason in _TOKEN_REASONS and route.token is not None:
            self._engine.clock.observe(stream.date)
            attempt.detail = route.token.refused(stream.started)
            if attempt.detail:
                attempt.reason = _TOKEN_REASONS[attempt.reason]
        elif attempt.reason == TOO_MANY_TOKENS and route.token is not None and route.token.overtaken(stream.started):
            attempt.reason = OVERTAKEN


def _read_refusal(attempt: Attempt, body: bytes) -> None:
    """Put Apple's reason and timestamp into the attempt, unless the body is no JSON object with a reason."""
    try:
        refusal = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        attempt.detail = f"unreadable answer of {len(body)} bytes"
        return
    if not _REASON(refusal.reason):
        attempt.detail = "unreadable reason"
        return
    attempt.reason = refusal.reason
    stamp = bytes(refusal.timestamp).strip(b'"')
    if attempt.status == 410 and stamp.isdigit() and len(stamp) <= 15:
        attempt.gone_at = int(stamp)
