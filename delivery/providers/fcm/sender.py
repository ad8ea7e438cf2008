"""Send one push to Google's FCM HTTP v1 API and say what came of it. Never raises for a push.

The request is https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send. Invariant: the device
token travels in the body only, and only an FcmError detail can say that it is dead.
"""

import logging
import re
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from delivery.http2 import hpack_encoding
from delivery.http2.engine import Channel, Engine
from delivery.http2.stream import Stream
from delivery.outcomes.transport import NoFault, TransportFault
from delivery.outcomes.verdict import Attempt
from delivery.protocol import policy
from delivery.providers.base import Target, TooLargeError, Try, is_abandoned, unsent
from delivery.providers.fcm import payload
from delivery.providers.fcm.access_token import AccessToken

log = logging.getLogger(__name__)

FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
GENERAL_CODES: Final = {
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "UNKNOWN",
}
"""google.rpc.Code; another word in its place is none of Google's documented answers."""
LONGEST_TTL: Final = 28 * 86_400
"""Seconds; Google refuses a longer one (AndroidConfig.ttl in the reference)."""
_CODE: Final = re.compile(r"[A-Z_]{1,64}", re.ASCII).fullmatch


class _Route:
    """What all pushes of one target have in common."""

    __slots__ = ("_authorization", "_head", "channel", "host", "path", "target", "token")

    def __init__(self, target: Target, token: AccessToken, channel: Channel) -> None:
        self.target = target
        self.channel = channel
        self.token = token
        self.host = urlsplit(target.origin).hostname or ""
        self.path = f"/v1/projects/{quote(target.project, safe='')}/messages:send"
        self._authorization = ""
        self._head = b""

    def head(self, authorization: str) -> bytes:
        """Return the request's fields, which are the same until the access token changes."""
        if authorization != self._authorization:
            common = (b"content-type", "application/json; charset=utf-8")
            self._head = hpack_encoding.field_block([(b"authorization", authorization), common])
            self._authorization = authorization
        return self._head


class FcmSender:
    """Sends to FCM over the engine's channels, with one access token per service account."""

    def __init__(self, engine: Engine, token_origin: str, *, dry_run: bool = False) -> None:
        """engine: the process's HTTP/2 engine; token_origin: "https://host[:port]" of Google's token endpoint.

        dry_run: Google says of each push whether it would take it, and delivers none (validate_only).
        """
        self._body = payload.question if dry_run else payload.body
        self._engine = engine
        self._token_origin = token_origin
        self._tokens: dict[int, AccessToken] = {}
        self._routes: dict[int, _Route] = {}
        engine.on_sweep.append(self._forget)

    def _forget(self) -> None:
        """Forget the credentials that are no longer used, and their access tokens."""
        self._routes = {app: route for app, route in self._routes.items() if not is_abandoned(route.channel)}
        used = {route.target.credential_id for route in self._routes.values()}
        self._tokens = {credential: token for credential, token in self._tokens.items() if credential in used}

    def send(self, t: Try) -> None:
        """Make one attempt; t.on_done(t, attempt) follows on the loop, within t.timeout and not before send returns."""
        target = t.target
        route = self._routes.get(target.app_id)
        if route is None or route.target is not target or route.channel.closed:
            channel = self._engine.channel(target.origin, target.credential_id)
            route = self._routes[target.app_id] = _Route(target, self._token(target), channel)
        authorization = route.token.header()
        if authorization:
            self._post(t, route, authorization, t.timeout)
        else:
            route.token.wait(t.timeout, partial(self._go_on, t, route, time.monotonic() + t.timeout))

    def _token(self, target: Target) -> AccessToken:
        token = self._tokens.get(target.credential_id)
        if token is None:
            account = target.secret.get("account_json", "")
            token = AccessToken(self._engine, target.credential_id, account, self._token_origin)
            self._tokens[target.credential_id] = token
        return token

    def _go_on(self, t: Try, route: _Route, until: float, fault: TransportFault | NoFault, detail: str) -> None:
        """Send what waited for an access token, or say that there is none."""
        if fault:
            t.on_done(t, unsent("fcm", route.host, fault, detail))
            return
        self._post(t, route, route.token.header(), until - time.monotonic())

    def _post(self, t: Try, route: _Route, authorization: str, timeout: float) -> None:
        push = t.push
        if self._engine.closed:
            self._refuse(t, route, TransportFault.STOPPED, "")
            return
        if len(push.device_id) > payload.LONGEST_TOKEN:
            self._refuse(t, route, TransportFault.BAD_TOKEN, "too long")
            return
        try:
            body = self._body(push, min(max(0, t.expires_at - int(self._engine.clock.now())), LONGEST_TTL))
        except UnicodeEncodeError:  # a lone surrogate, which is no text and no token
            self._refuse(t, route, TransportFault.BAD_TOKEN, "not text")
            return
        except TooLargeError as error:
            self._refuse(t, route, TransportFault.TOO_LARGE, str(error))
            return
        try:
            head, urgent = route.head(authorization), policy.is_urgent(push)
            route.channel.post(route.path, head, body, timeout, self._ended, (t, route), t.tenant, urgent=urgent)
        except ValueError as error:  # a project's name that no request can carry
            self._refuse(t, route, TransportFault.CREDENTIAL, str(error))

    def _refuse(self, t: Try, route: _Route, fault: TransportFault, detail: str) -> None:
        self._engine.loop.call_soon(t.on_done, t, unsent("fcm", route.host, fault, detail))

    def _ended(self, stream: Stream) -> None:
        t, route = stream.tag
        status = stream.status
        attempt = Attempt("fcm", route.host, status, stream.fault, stream.wire, stream.at, stream.ms)
        if status >= 300:
            try:
                self._refused(attempt, stream, route)
            except Exception:
                log.exception("an answer of Google's could not be read")  # and the push ends all the same
        elif not status:
            attempt.detail = stream.error[:120]
        t.on_done(t, attempt)

    def _refused(self, attempt: Attempt, stream: Stream, route: _Route) -> None:
        attempt.reason, attempt.detail = read_refusal(stream.body)
        attempt.retry_after = stream.retry_after
        if stream.status == 401 and attempt.reason != "THIRD_PARTY_AUTH_ERROR":
            route.token.refused(stream.started)


def read_refusal(body: bytes) -> tuple[str, str]:
    """Return (error code, remark) of an answer that is no success; the code is "" if the form is none of Google's.

    The code is the FcmError detail's, else the general status. "INVALID_ARGUMENT/message.token" is INVALID_ARGUMENT
    about the device token rather than the message.
    """
    try:
        content: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", f"unreadable answer of {len(body)} bytes"
    error = content.get("error") if isinstance(content, Mapping) else None
    if not isinstance(error, Mapping):
        return "", "an answer without an error object"
    listed = error.get("details")
    details = [detail for detail in listed if isinstance(detail, Mapping)] if isinstance(listed, list) else []
    code = next((detail.get("errorCode") for detail in details if detail.get("@type") == FCM_ERROR), None)
    if code is None:
        code = error.get("status")
        if code not in GENERAL_CODES:
            return "", "an answer without a known error code"
    if not isinstance(code, str) or not _CODE(code):
        return "", "an answer without a readable error code"
    if code == "INVALID_ARGUMENT" and _is_token_fault(error, details):
        return "INVALID_ARGUMENT/message.token", ""
    return code, ""


def _is_token_fault(error: Mapping[str, Any], details: list[Mapping[str, Any]]) -> bool:
    for detail in details:
        violations = detail.get("fieldViolations") if detail.get("@type") == BAD_REQUEST else None
        if isinstance(violations, list) and any(
            isinstance(one, Mapping) and one.get("field") == "message.token" for one in violations
        ):
            return True
    return "registration token" in str(error.get("message", ""))
