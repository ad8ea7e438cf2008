"""The HTTP endpoints for Mattermost servers, send_push and ack, compatible with the push proxy's.

DRF views with a dispatch of their own: DRF's authentication and its exceptions, none of its content negotiation,
parsing and rendering, which would cost ten times the rest (a Mattermost server sends no Content-Type and reads one flat
object of strings). Limits are no throttles of DRF's but intake's: they depend on the push, are given back with its
answer, and what is over one has its row in the log. Invariant: what the caller did wrong is HTTP 200 with FAIL and a
reason, because a Mattermost server drops the reason, the push and the connection on any other status; only a wrong
method is 405, for that is no push at all.
"""

import asyncio
import logging
from collections.abc import Sequence

import msgspec
from django.conf import settings
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.views import APIView

from delivery.ingest import intake, receipts
from delivery.ingest.lean_request import LeanRequest
from delivery.ingest.outbox import Outbox
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.outcomes.verdict import Verdict
from delivery.protocol import wire
from tenants.authentication import KEYLESS, SERVER_ID_HEADER, KeyAuthentication, Keyless
from tenants.directory.snapshot import Identity
from tenants.network import TrustedProxies
from tenants.refusals import CallerRejected, NoKey, NotReady, Whose

logger = logging.getLogger(__name__)

JSON = "application/json"


def _json_response(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type=JSON)


_OK = _json_response(wire.OK_BODY)
_REMOVE = _json_response(wire.REMOVE_BODY)
_MALFORMED = wire.fail_body("malformed ")[:-2]
_PREPARED = {wire.OK_BODY: _OK, wire.REMOVE_BODY: _REMOVE}


class _Named(msgspec.Struct):
    """What of a push says which server sent it."""

    server_id: str = ""


_named = msgspec.json.Decoder(_Named).decode


def _server_id(body: bytes) -> str:
    """The server_id in the body of a push, "" where none can be read at once."""
    try:
        return _named(body).server_id if body else ""
    except (msgspec.MsgspecError, ValueError):
        return ""


class MachineView(APIView):
    """An APIView for one outbox: authenticate, handle; every rejection in the push proxy's language."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (KeyAuthentication,)

    def __init__(self, outbox: Outbox, proxies: TrustedProxies) -> None:
        super().__init__()
        self.outbox = outbox
        self.keyless = Keyless()
        self.proxies = proxies
        # Made once per view, not per request as DRF does: they hold no state of a request.
        self.authenticators = [make() for make in self.authentication_classes]

    def judge_head(self, request: LeanRequest) -> HttpResponse | None:
        """Judge a request before its body is read: the response that refuses it, or None if its body is wanted."""
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "POST"})
        try:
            for authenticator in self.authenticators:
                request.user, request.auth = authenticator.authenticate(request)  # type: ignore[attr-defined,misc,arg-type]
        except Exception as error:  # noqa: BLE001  error_response() logs what is ours
            return self.error_response(error, request)
        return None

    def begin(self, request: LeanRequest) -> "HttpResponse | asyncio.Future[bytes]":
        """Begin to answer a request whose head was let pass, and whose body is there or known to be none: the response,
        or what end() makes it of. Never raises: an exception of ours is logged and answered with FAIL.

        What is waited for is waited for without a task, which would cost more than decoding a push.
        """
        try:
            return self.handle(request.identity, request)
        except Exception as error:  # noqa: BLE001  error_response() logs what is ours
            return self._on_error(error, request)

    def end(self, request: LeanRequest, answer: "asyncio.Future[bytes]") -> HttpResponse:
        """The response to a request of which begin() has given this future, which is done. Never raises."""
        try:
            return self.respond(request.identity, answer.result(), request)
        except Exception as error:  # noqa: BLE001  error_response() logs what is ours
            return self._on_error(error, request)

    def _on_error(self, error: Exception, request: LeanRequest) -> HttpResponse:
        response = self.error_response(error, request)
        self.note_stranger(request, b"")
        return response

    def note_stranger(self, request: LeanRequest, body: bytes) -> None:
        """Remember a push that was rejected and names nobody, with what its server says of itself: in the body of one
        that was rejected for its head, as far as that came with it, or a header."""
        rejected, request.rejected = request.rejected, None
        if rejected is None:
            return
        server_id = rejected.server_id or _server_id(body) or request.headers_get(SERVER_ID_HEADER) or ""
        self.outbox.strangers.observe(rejected.code, server_id, request, self.proxies)

    def handle(self, who: Identity, request: LeanRequest) -> "HttpResponse | asyncio.Future[bytes]":
        """Handle an authenticated request: its response, or the future of its body."""
        raise NotImplementedError

    def respond(self, who: Identity, body: bytes, request: LeanRequest) -> HttpResponse:
        """The response with this body."""
        return _PREPARED.get(body) or _json_response(body)

    def error_response(self, error: Exception, request: LeanRequest) -> HttpResponse:
        """The response to an exception: CallerRejected is the caller's doing, all others are faults of ours."""
        if not isinstance(error, CallerRejected):
            trace = self.outbox.trace()
            logger.error("unhandled exception in a request", exc_info=error, extra={"trace": trace})
            counting.turned_away("internal_error")
            return self._fail(judge.refusal("internal_error"), trace)
        counting.turned_away(error.code)
        if error.whose is not None and error.whose.key_id:
            self.outbox.rejections.observe(error.whose, error.code, request, self.proxies)
        return self._fail(judge.refusal(error.code), self.log_rejection(error, request), **error.details)

    def log_rejection(self, error: CallerRejected, request: LeanRequest) -> str:
        """Keep what was rejected; returns the trace by which it can be found, "" for one that is kept nowhere."""
        return ""

    def _fail(self, verdict: Verdict, trace: str, **details: str) -> HttpResponse:
        details.setdefault("contact", settings.SUPPORT_CONTACT)
        return _json_response(wire.fail_body(judge.text(verdict, trace, settings.PUBLIC_URL, **details)))


class SendPush(MachineView):
    """POST /api/v1/send_push: one push; the answer is its true outcome, or OK once it is late and safely queued."""

    def log_rejection(self, error: CallerRejected, request: LeanRequest) -> str:
        """Give a push of a known customer's its row, and any other one a line, within its bound."""
        outbox, whose = self.outbox, error.whose
        if whose is not None and whose.is_proven:
            return outbox.turned_away.log_at_door(whose, error.code, outbox.trace())
        if whose is None and error.code != NotReady.code:
            request.rejected = error
        return outbox.door_log.note(error.code, outbox.trace(), str(self.proxies.client(request) or ""))

    def handle(self, who: Identity, request: LeanRequest) -> "asyncio.Future[bytes]":
        """Submit the push."""
        if who is KEYLESS and (request.too_large or request.body_error):
            raise NoKey
        if request.too_large or request.body_error:
            self._note_unreadable(who, "too_large" if request.too_large else "malformed", request)
        if request.too_large:
            return intake.too_large(self.outbox, who, request.too_large)
        if request.body_error:
            return intake.unreadable(self.outbox, who, request.body_error)
        if who is KEYLESS:
            return intake.accept_keyless(self.outbox, self.keyless, request, request.take_payload())
        return intake.accept(self.outbox, who, request.take_payload())

    def respond(self, who: Identity, body: bytes, request: LeanRequest) -> HttpResponse:
        """The response with the answer of a push."""
        return _PREPARED.get(body) or self._failed(who, body, request)

    def _failed(self, who: Identity, body: bytes, request: LeanRequest) -> HttpResponse:
        if body.startswith(_MALFORMED) and not request.body_error:
            self._note_unreadable(who, "malformed", request)
        return _json_response(body)

    def _note_unreadable(self, who: Identity, code: str, request: LeanRequest) -> None:
        """Remember where a request came from that could not be read, for the page of its server."""
        if who.key_id:
            whose = Whose(who.customer_id, who.key_id)
            self.outbox.rejections.observe(whose, code, request, self.proxies)


class Ack(MachineView):
    """POST /api/v1/ack: a phone has shown a push. Answered at once; it is on the phone's display path."""

    def handle(self, who: Identity, request: LeanRequest) -> HttpResponse:
        """Answer; the receipt is kept once the answer is on its way."""
        if request.too_large or len(request.payload) > receipts.BODY_LIMIT:
            return self._refused("too_large", f"the ack is larger than {receipts.BODY_LIMIT // 1024} KB")
        if request.body_error:
            return self._refused("malformed", request.body_error)
        try:
            ack = receipts.read(request.payload)
        except receipts.AckRejected as rejected:
            return self._refused(rejected.code)
        asyncio.get_running_loop().call_soon(self._keep, who, request, ack)
        return _OK

    def _keep(self, who: Identity, request: LeanRequest, ack: wire.Ack) -> None:
        if who is KEYLESS:
            # An ack does not say whose it is, as a push does; only the newest servers name themselves in a header.
            try:
                who = self.keyless.identify(request.headers_get(SERVER_ID_HEADER) or "", request)
            except CallerRejected:
                self.outbox.receipts.leave_out("no_customer")
                return
        self.outbox.receipts.keep(who, ack)

    def _refused(self, code: str, detail: str = "") -> HttpResponse:
        return self._fail(judge.refusal(code), "", detail=detail)  # nothing is kept of it


def machine_views(outbox: Outbox, proxies: TrustedProxies) -> tuple[MachineView, MachineView]:
    """The views of the two endpoints on one outbox, behind these proxies: send_push and ack."""
    return SendPush(outbox, proxies), Ack(outbox, proxies)
