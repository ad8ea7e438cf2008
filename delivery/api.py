"""The two endpoints that machines call: send_push and ack, in the language of the push proxy.

DRF views with a dispatch of their own: DRF's authentication and its exceptions, none of its content negotiation,
parsing and rendering, which would cost ten times the rest (a Mattermost server sends no Content-Type and reads one flat
object of strings). Limits are no throttles of DRF's but intake's: they depend on the push, are given back with its
answer, and what is over one has its row in the log. Invariant: what the caller did wrong is HTTP 200 with FAIL and a
reason, because a Mattermost server drops the reason, the push and the connection on any other status; only a wrong
method is 405, for that is no push at all.
"""

import logging
from collections.abc import Awaitable, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from rest_framework.authentication import BaseAuthentication
from rest_framework.views import APIView

from delivery import intake, meters, outcomes, receipts, wire
from delivery.outbox import Outbox
from tenants.authentication import KEYLESS, KeyAuthentication, Keyless
from tenants.refused import NoKey, Refused
from tenants.snapshot import Identity

logger = logging.getLogger(__name__)

JSON = "application/json"


class LeanRequest(HttpRequest):
    """A request of the hot path: what nobody asks for is never made. `headers_get` looks a header up by lower case."""

    scheme = ""  # what the connection itself speaks; Django's own looks into META

    def __init__(self, scope: Any, path: str, body: bytes = b"", too_large: int = 0) -> None:
        """`scope`: method, headers, scheme and client as granian's RSGI has them."""
        # HttpRequest.__init__ makes six dictionaries that no machine endpoint looks at.
        self.method, self.path, self.path_info = scope.method, path, path
        self.door = scope
        self.scheme = scope.scheme
        self.raw_headers = scope.headers
        self.headers_get = self.raw_headers.get
        self.payload = body
        self.too_large = too_large  # bytes read of a body that was cut off for its size
        self.trouble = ""  # why the body cannot be used, other than its size

    @property
    def peer(self) -> str:
        """Whom the connection is with, as "address:port"."""
        return self.door.client  # type: ignore[no-any-return]

    @property
    def META(self) -> dict[str, Any]:  # type: ignore[override]  # noqa: N802  Django's name
        """CGI-like names, made when asked for."""
        return {
            "REQUEST_METHOD": self.method,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.raw_headers.items()},
        }

    @property
    def GET(self) -> QueryDict:  # type: ignore[override]  # noqa: N802  Django's name
        """No query means anything here."""
        return QueryDict("")


def _answer(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type=JSON)


_OK = _answer(wire.OK_BODY)
_REMOVE = _answer(wire.REMOVE_BODY)
_PREPARED = {wire.OK_BODY: _OK, wire.REMOVE_BODY: _REMOVE}


class MachineView(APIView):
    """An APIView for one outbox: authenticate, post; every refusal in the push proxy's language."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (KeyAuthentication,)

    def __init__(self, outbox: Outbox) -> None:
        super().__init__()
        self.outbox = outbox
        self.keyless = Keyless()
        # Made once per view, not per request as DRF does: they hold no state of a request.
        self.authenticators = [make() for make in self.authentication_classes]

    async def __call__(self, request: LeanRequest) -> HttpResponse:
        """Answer one request. Never raises: an error of ours is logged and told as FAIL."""
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "POST"})
        try:
            for authenticator in self.authenticators:
                request.user, request.auth = authenticator.authenticate(request)  # type: ignore[attr-defined,misc,arg-type]
            return await self.take(request.user, request)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001  refused() logs what is not a refusal
            return self.refused(error)

    def take(self, who: Identity, request: LeanRequest) -> Awaitable[HttpResponse]:
        """Handle an authenticated request."""
        raise NotImplementedError

    def refused(self, error: Exception) -> HttpResponse:
        """Put an exception in the push proxy's language: a Refused is a refusal, all others are faults of ours."""
        trace = self.outbox.trace()
        details: dict[str, str] = {}
        if isinstance(error, Refused):
            verdict, details = outcomes.refusal(error.code), error.details
        else:
            logger.error("a request failed inside", exc_info=error, extra={"trace": trace})
            verdict = outcomes.refusal("internal_error")
        meters.turned_away(verdict.code)
        # Not at INFO: whoever knows the address could fill the log. The metrics count them.
        logger.debug("refused a request", extra={"trace": trace, "code": verdict.code})
        return _answer(wire.fail_body(outcomes.text(verdict, trace, contact=settings.SUPPORT_CONTACT, **details)))


class SendPush(MachineView):
    """POST /api/v1/send_push: one push; the answer is its true outcome, or OK once it is late and safely queued."""

    async def take(self, who: Identity, request: LeanRequest) -> HttpResponse:
        """Hand the push over and wait for its answer."""
        if who is KEYLESS and (request.too_large or request.trouble):
            raise NoKey
        if request.too_large:
            body = await intake.too_large(self.outbox, who, request.too_large)
        elif request.trouble:
            body = await intake.unreadable(self.outbox, who, request.trouble)
        elif who is KEYLESS:
            body = await intake.accept_keyless(self.outbox, self.keyless, request, request.payload)
        else:
            body = await intake.accept(self.outbox, who, request.payload)
        return _PREPARED.get(body) or _answer(body)


class Ack(MachineView):
    """POST /api/v1/ack: a phone has shown a push. Answered at once; it is on the phone's display path."""

    async def take(self, who: Identity, request: LeanRequest) -> HttpResponse:
        """Note the receipt and answer."""
        if request.too_large or request.trouble:
            refusal = outcomes.refusal("too_large" if request.too_large else "malformed")
            return _answer(
                wire.fail_body(outcomes.text(refusal, self.outbox.trace(), detail=request.trouble or "too large"))
            )
        code = receipts.accept(request.payload)
        if code:
            return _answer(wire.fail_body(outcomes.text(outcomes.refusal(code), self.outbox.trace())))
        return _OK


def machines(outbox: Outbox) -> tuple[MachineView, MachineView]:
    """The two endpoints on one outbox: send_push and ack."""
    return SendPush(outbox), Ack(outbox)
