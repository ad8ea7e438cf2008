"""The pages as an ASGI application: Django's normal handler with the full middleware, within bounds.

Invariants: a request body is handed on in pieces and never beyond LIMIT bytes; a page is begun when its request is
whole and an answer when it is made (spool.py), so that neither slow senders nor slow readers take a place of the few
that page_limit.py gives out.
"""

import asyncio
import logging
from typing import Any, cast

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

from hpns.web.asgi_exchange import ASGIApp, Message, Receive, Send
from hpns.web.page_limit import ConcurrencyLimit
from hpns.web.request_head import Headers
from hpns.web.spool import Spool
from tenants.network import TrustedProxies

# Bytes of a page's request body: forms and small files. Django spools it to disk, so this bounds disk, not memory.
LIMIT = 8 * 1024 * 1024
# Seconds for a page's request body to arrive.
BODY_TIMEOUT = 30
# Pages that one process makes at once, and that wait for it; far below what PostgreSQL has connections for.
CONCURRENT, QUEUED = 16, 256
# Seconds until a page that waits is refused.
QUEUE_TIMEOUT = 10.0
# What watches us asks no database, and has to be answered just when there are too many pages.
MONITORING_PATHS = ("/health/", "/metrics")
Refusal = tuple[int, str, list[tuple[bytes, bytes]]]
BUSY: Refusal = (
    503,
    "There are too many requests at the moment: try again in a few seconds.\n",
    [(b"retry-after", b"5")],
)
FAILED: Refusal = (500, "The download could not be made: tell the operator of this service.\n", [])
CLOSE = [(b"connection", b"close")]
TIMED_OUT = (408, f"The request did not arrive within {BODY_TIMEOUT} s.\n", CLOSE)
TOO_LARGE = (413, "The request is larger than 8 MB.\n", CLOSE)

logger = logging.getLogger(__name__)


class Pages:
    """The ASGI application of pages."""

    def __init__(self) -> None:
        self.handler = cast(ASGIApp, ASGIHandler())
        self.proxies = TrustedProxies(settings.TRUSTED_PROXIES)
        self.limit, self.monitoring_limit = (
            ConcurrencyLimit(CONCURRENT, QUEUED, QUEUE_TIMEOUT),
            ConcurrencyLimit(2, QUEUED, QUEUE_TIMEOUT),
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request through Django."""
        length = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if length is not None and int(length) > LIMIT:
            await _refuse(send, TOO_LARGE)
            return
        limit = self.monitoring_limit if scope["path"].startswith(MONITORING_PATHS) else self.limit
        page = Page(receive, limit)
        try:
            await self.handler(seen_through_proxies(scope, self.proxies), page.receive, page.send)
        finally:
            page.release()
        try:
            if page.refusal is not None:
                await _refuse(send, page.refusal)
            elif page.start is not None and page.is_whole:
                await page.spool.send(send, page.start)
        finally:
            page.spool.close()


class Page:
    """One request on its way to Django, and Django's answer on its way back. `refusal`: what is answered instead."""

    def __init__(self, receive: Receive, limit: ConcurrencyLimit) -> None:
        self._receive = receive
        self._limit, self._has_slot = limit, False
        self._bytes_read = 0
        self._until = asyncio.get_running_loop().time() + BODY_TIMEOUT
        self._is_read = False  # nothing of the request is left to be read
        self.refusal: Refusal | None = None
        self.start: Message | None = None  # of the answer
        self.spool = Spool()
        self.is_whole = False

    async def receive(self) -> Message:
        """ASGI's receive(), for Django: the last piece comes once there is a place for the page."""
        if self._is_read:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            return self._refused(TIMED_OUT)
        if message["type"] != "http.request":
            self._is_read = True
            return message
        self._bytes_read += len(message["body"])
        if self._bytes_read > LIMIT:
            return self._refused(TOO_LARGE)
        if not message["more_body"]:
            self._is_read = True
            self._has_slot = await self._limit.acquire()
            if not self._has_slot:
                return self._refused(BUSY)
        return message

    def _refused(self, refusal: Refusal) -> Message:
        self._is_read, self.refusal = True, refusal
        return {"type": "http.disconnect"}  # all that Django has to know

    async def send(self, message: Message) -> None:
        """ASGI's send(), for Django: the answer is kept until it is made."""
        if message["type"] == "http.response.start":
            self.start = message
        elif self.refusal is None:
            try:
                await self.spool.add(bytes(message.get("body", b"")))
            except OSError as error:
                logger.error("a page could not be made, for want of a place for temporary files: %s", error.strerror)
                self.refusal = FAILED
                return
            self.is_whole = not message.get("more_body")

    def release(self) -> None:
        """Give the place back."""
        if self._has_slot:
            self._has_slot = False
            self._limit.release()


async def _refuse(send: Send, refusal: Refusal) -> None:
    status, text, headers = refusal
    headers = [(b"content-type", b"text/plain"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


class _ScopeInfo:
    """See network.RequestInfo."""

    def __init__(self, scope: Message) -> None:
        host, port = scope["client"]
        self.peer, self.scheme = f"[{host}]:{port}" if ":" in host else f"{host}:{port}", scope["scheme"]
        self.raw_headers = Headers.of(scope["headers"])
        self.headers_get = self.raw_headers.get


def seen_through_proxies(scope: Message, proxies: TrustedProxies) -> dict[str, Any]:
    """The scope with the client's own address and scheme: Django and all that stands on it need not know of proxies."""
    info = _ScopeInfo(scope)
    address = proxies.client(info)
    return {
        **scope,
        "scheme": "https" if proxies.is_encrypted(info) else "http",
        "client": (str(address), scope["client"][1]) if address else None,
    }
