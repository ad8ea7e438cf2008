"""The other leaf of the front door: Django's normal handler, with the full middleware, behind granian's RSGI.

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

from hpns.web.page_limit import Gate
from hpns.web.spool import Spool
from tenants.network import TrustedProxies

# Bytes of a page's request body: forms and small files. Django spools it to disk, so this bounds disk, not memory.
LIMIT = 8 * 1024 * 1024
# Seconds for a page's request body to arrive.
PATIENCE = 30
# Pages that one process makes at once, and that wait for it; far below what PostgreSQL has connections for.
AT_ONCE, WAITING = 16, 256
# Seconds until a page that waits is refused.
WAIT = 10.0
# What watches us asks no database, and has to be answered just when there are too many pages.
WATCHING = ("/health/", "/metrics")
BUSY = [("content-type", "text/plain"), ("retry-after", "5")]
FAILED = [("content-type", "text/plain")]
TOO_LARGE = [("content-type", "text/plain"), ("connection", "close")]

logger = logging.getLogger(__name__)


class Pages:
    """Call it with an RSGI scope and protocol and the decoded path."""

    def __init__(self) -> None:
        self.handler = ASGIHandler()
        self.proxies = TrustedProxies(settings.TRUSTED_PROXIES)
        self.leaving = False  # set: each answer closes its connection
        self.gate, self.side_gate = Gate(AT_ONCE, WAITING, WAIT), Gate(2, WAITING, WAIT)

    async def __call__(self, scope: Any, proto: Any, path: str) -> None:
        """Answer one request through Django."""
        length = scope.headers.get("content-length")
        if length is not None and (not length.isdigit() or int(length) > LIMIT):
            proto.response_str(413, TOO_LARGE, "The request is larger than 8 MB.\n")
            return
        gate = self.side_gate if path.startswith(WATCHING) else self.gate
        bridge = _Bridge(scope, proto, path, self.proxies, gate)
        if self.leaving:
            bridge.more_headers = [("connection", "close")]
        try:
            await self.handler(bridge.scope, bridge.receive, bridge.send)
        finally:
            bridge.leave()
        if bridge.busy:
            proto.response_str(503, BUSY, "There are too many requests at the moment: try again in a few seconds.\n")
        elif bridge.late:
            proto.response_str(408, TOO_LARGE, f"The request did not arrive within {PATIENCE} s.\n")
        elif bridge.read > LIMIT:  # Django has been told that the sender went away
            proto.response_str(413, TOO_LARGE, "The request is larger than 8 MB.\n")


class _Bridge:
    def __init__(self, scope: Any, proto: Any, path: str, proxies: TrustedProxies, gate: Gate) -> None:
        asked = _Asked(scope)
        address = proxies.client(asked)
        self.proto = proto
        self.body = proto.__aiter__() if scope.method not in ("GET", "HEAD") else None
        self.read = 0
        self.until = asyncio.get_running_loop().time() + PATIENCE
        self.late = False  # the body did not come in time
        self.whole = False  # nothing of the request is left to be read
        self.gate, self.inside = gate, False
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
            "scheme": "https" if proxies.is_encrypted(asked) else "http",
            "path": path,
            "raw_path": scope.path.encode(),
            "query_string": scope.query_string.encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in _items(scope)],
            "server": (host, int(port)) if port.isdigit() else None,
            "client": (str(address), int(client_port) if client_port.isdigit() else 0) if address else None,
        }

    async def receive(self) -> dict[str, Any]:
        if self.whole:
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
            self.whole = self.late = True
            return {"type": "http.disconnect"}
        if chunk is None:
            self.whole = True
            self.inside = await self.gate.enter()
            self.busy = not self.inside
            return (
                {"type": "http.disconnect"} if self.busy else {"type": "http.request", "body": b"", "more_body": False}
            )
        self.read += len(chunk)
        if self.read > LIMIT:
            self.whole = True
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
                await self._keep(body, more=more)

    async def _keep(self, body: bytes, *, more: bool) -> None:
        self.spool = self.spool or Spool()
        try:
            await self.spool.add(body)
            if not more:
                await self.spool.send(self.proto, self.status, self.headers)
        except OSError as error:
            self.failed = True
            logger.error("a download could not be made, for want of a place for temporary files: %s", error.strerror)
            self.proto.response_str(500, FAILED, "The download could not be made: tell the operator of this service.\n")

    def leave(self) -> None:
        """The page is made: its place is free, and nothing is left of what was not sent."""
        if self.spool is not None:
            self.spool.close()
        if self.inside:
            self.inside = False
            self.gate.leave()


class _Asked:
    def __init__(self, scope: Any) -> None:
        self.peer, self.scheme = scope.client, scope.scheme
        self.raw_headers, self.headers_get = scope.headers, scope.headers.get


def _items(scope: Any) -> list[tuple[str, str]]:
    items = list(scope.headers.items())
    if scope.authority and not any(name == "host" for name, _ in items):
        items.append(("host", scope.authority))
    return items
