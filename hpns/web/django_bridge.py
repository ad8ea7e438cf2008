"""RSGI-to-ASGI bridge: all requests but the push endpoints' go on to the monitoring endpoints and the pages.

A thin bridge from RSGI to ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html), since granian serves one
interface per process. Invariant: an answer is begun when it is whole (spool.py), for granian takes pieces as fast as
they come.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings

from hpns.web.spool import Spool
from tenants.network import TrustedProxies

FAILED = [("content-type", "text/plain")]

logger = logging.getLogger(__name__)


class Pages:
    """The RSGI handler: call it with an RSGI scope, protocol and the decoded path. `handler`: an ASGI application."""

    def __init__(self, handler: Callable[..., Awaitable[None]]) -> None:
        self.handler = handler
        self.proxies = TrustedProxies(settings.TRUSTED_PROXIES)
        self.draining = False  # set: each answer closes its connection

    async def __call__(self, scope: Any, proto: Any, path: str) -> None:
        """Answer one request."""
        bridge = _Bridge(scope, proto, path, self.proxies)
        if self.draining:
            bridge.more_headers = [("connection", "close")]
        try:
            await self.handler(bridge.scope, bridge.receive, bridge.send)
        finally:
            bridge.release_resources()


class _Bridge:
    def __init__(self, scope: Any, proto: Any, path: str, proxies: TrustedProxies) -> None:
        info = _RsgiRequestInfo(scope)
        address = proxies.client(info)
        self.proto = proto
        self.body = proto.__aiter__() if scope.method not in ("GET", "HEAD") else None
        self.body_complete = False  # nothing of the request is left to be read
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
            chunk = None if self.body is None else await self.body.__anext__()
        except StopAsyncIteration:
            chunk = None
        if chunk is None:
            self.body_complete = True
            return {"type": "http.request", "body": b"", "more_body": False}
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
        except OSError as error:
            self.failed = True
            logger.error("a download could not be made, for want of a place for temporary files: %s", error.strerror)
            self.proto.response_str(500, FAILED, "The download could not be made: tell the operator of this service.\n")

    def release_resources(self) -> None:
        """Remove the spool file of what was not sent."""
        if self.spool is not None:
            self.spool.close()


class _RsgiRequestInfo:
    def __init__(self, scope: Any) -> None:
        self.peer, self.scheme = scope.client, scope.scheme
        self.raw_headers, self.headers_get = scope.headers, scope.headers.get


def _items(scope: Any) -> list[tuple[str, str]]:
    items = list(scope.headers.items())
    if scope.authority and not any(name == "host" for name, _ in items):
        items.append(("host", scope.authority))
    return items
