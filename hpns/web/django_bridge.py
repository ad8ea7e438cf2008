"""RSGI-to-ASGI bridge to Django's normal handler with the full middleware: all requests but the push endpoints'.

A thin bridge from RSGI to ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html), since granian serves one
interface per process. Invariants: a request body is handed on in pieces and never beyond LIMIT bytes; a page is begun
when its request is whole and an answer when it is made (spool.py), so that neither slow senders nor slow readers take
a place of the few that page_limit.py gives out.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

from delivery.executors import ExecutorFullError
from hpns.web.page_limit import ConcurrencyLimit
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
BUSY = [("content-type", "text/plain"), ("retry-after", "5")]
FAILED = [("content-type", "text/plain")]
TOO_LARGE = [("content-type", "text/plain"), ("connection", "close")]

logger = logging.getLogger(__name__)


class Pages:
    """The RSGI handler of pages: call it with an RSGI scope and protocol and the decoded path."""

    def __init__(self) -> None:
        self.handler = ASGIHandler()
        self.proxies = TrustedProxies(settings.TRUSTED_PROXIES)
        self.draining = False  # set: each answer closes its connection
        self.limit, self.monitoring_limit = (
            ConcurrencyLimit(CONCURRENT, QUEUED, QUEUE_TIMEOUT),
            ConcurrencyLimit(2, QUEUED, QUEUE_TIMEOUT),
        )

    async def __call__(self, scope: Any, proto: Any, path: str) -> None:
        """Answer one request through Django."""
        length = scope.headers.get("content-length")
        if length is not None and (not length.isdigit() or int(length) > LIMIT):
            proto.response_str(413, TOO_LARGE, "The request is larger than 8 MB.\n")
            return
        limit = self.monitoring_limit if path.startswith(MONITORING_PATHS) else self.limit
        bridge = _Bridge(scope, proto, path, self.proxies, limit)
        if self.draining:
            bridge.more_headers = [("connection", "close")]
        try:
            await self.handler(bridge.scope, bridge.receive, bridge.send)
        finally:
            bridge.release_resources()
        if bridge.busy:
            proto.response_str(503, BUSY, "There are too many requests at the moment: try again in a few seconds.\n")
        elif bridge.timed_out:
            proto.response_str(408, TOO_LARGE, f"The request did not arrive within {BODY_TIMEOUT} s.\n")
        elif bridge.bytes_read > LIMIT:  # Django has been told that the sender went away
            proto.response_str(413, TOO_LARGE, "The request is larger than 8 MB.\n")


class _Bridge:
    def __init__(self, scope: Any, proto: Any, path: str, proxies: TrustedProxies, limit: ConcurrencyLimit) -> None:
        info = _RsgiRequestInfo(scope)
        address = proxies.client(info)
        self.proto = proto
        self.body = proto.__aiter__() if scope.method not in ("GET", "HEAD") else None
        self.bytes_read = 0
        self.until = asyncio.get_running_loop().time() + BODY_TIMEOUT
        self.timed_out = False  # the body did not come in time
        self.body_complete = False  # nothing of the request is left to be read
        self.limit, self.has_slot = limit, False
        self.busy = False  # there was no place for it
        self.status = 500
        self.headers: list[tuple[str, str]] = []
        self.more_headers: list[tuple[str, str]] = []
        self.spool: Spool | None = None  # for an answer that comes in pieces
        self.failed = False  # such an answer could not be kept
        host, _, port = scope.server.rpartition(":")
        client_port = scope.client.rpartition(":")[2]
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": scope.http_version,
            "method": scope.method,
            # Django and all that stands on it need not know of proxies: what they see is the client's.
            "scheme": "https" if proxies.is_encrypted(info) else "http",
            "path": path,
            "raw_path": scope.path.encode(),
            "query_string": scope.query_string.encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in _items(scope)],
            "server": (host, int(port)) if port.isdigit() else None,
            "client": (str(address), int(client_port) if client_port.isdigit() else 0) if address else None,
        }

    async def receive(self) -> dict[str, Any]:
        if self.body_complete:
            await self.proto.client_disconnect()
            return {"type": "http.disconnect"}
        # Not `async for`: granian gives out one iterator per request, and each loop would ask for another. Not anext()
        # with a default: around granian's awaitables it brings CPython 3.11 down.
        try:
            async with asyncio.timeout_at(self.until):
                chunk = None if self.body is None else await self.body.__anext__()
        except StopAsyncIteration:
            chunk = None
        except TimeoutError:
            self.body_complete = self.timed_out = True
            return {"type": "http.disconnect"}
        if chunk is None:
            self.body_complete = True
            self.has_slot = await self.limit.acquire()
            self.busy = not self.has_slot
            return (
                {"type": "http.disconnect"} if self.busy else {"type": "http.request", "body": b"", "more_body": False}
            )
        self.bytes_read += len(chunk)
        if self.bytes_read > LIMIT:
            self.body_complete = True
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": bytes(chunk), "more_body": True}

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in message["headers"]]
            self.headers += self.more_headers
        elif message["type"] == "http.response.body":
            body, more = message.get("body", b""), bool(message.get("more_body"))
            if self.spool is None and not more:
                self.proto.response_bytes(self.status, self.headers, body)
            elif not self.failed:
                await self._spool(body, more=more)

    async def _spool(self, body: bytes, *, more: bool) -> None:
        self.spool = self.spool or Spool()
        try:
            await self.spool.add(body)
            if not more:
                await self.spool.send(self.proto, self.status, self.headers)
        except (OSError, ExecutorFullError) as error:
            self.failed = True
            reason = getattr(error, "strerror", error)
            logger.error("a download could not be made, for want of a place for temporary files: %s", reason)
            self.proto.response_str(500, FAILED, "The download could not be made: tell the operator of this service.\n")

    def release_resources(self) -> None:
        """Release the slot, and remove the spool file of what was not sent."""
        if self.spool is not None:
            self.spool.close()
        if self.has_slot:
            self.has_slot = False
            self.limit.release()


class _RsgiRequestInfo:
    def __init__(self, scope: Any) -> None:
        self.peer, self.scheme = scope.client, scope.scheme
        self.raw_headers, self.headers_get = scope.headers, scope.headers.get


def _items(scope: Any) -> list[tuple[str, str]]:
    items = list(scope.headers.items())
    if scope.authority and not any(name == "host" for name, _ in items):
        items.append(("host", scope.authority))
    return items
