"""The scope of an ASGI request as its client sent it, whatever proxies it came through.

Django and all that stands on it need not know of proxies: the address and the scheme that they see are the client's.
Invariant: only a trusted proxy's headers say who the client is (tenants/network.py).
"""

from typing import Any

from hpns.web.asgi_types import ASGIApp, Message, Receive, Send
from hpns.web.request_head import Headers
from tenants.network import TrustedProxies


class ClientScope:
    """ASGI middleware: calls `app` with the client's own address and scheme."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self._app, self._proxies = app, proxies

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(seen_through_proxies(scope, self._proxies), receive, send)


class _ScopeInfo:
    """See network.RequestInfo."""

    def __init__(self, scope: Message) -> None:
        host, port = scope["client"]
        self.peer, self.scheme = f"[{host}]:{port}" if ":" in host else f"{host}:{port}", scope["scheme"]
        self.raw_headers = Headers.of(scope["headers"])
        self.headers_get = self.raw_headers.get


def seen_through_proxies(scope: Message, proxies: TrustedProxies) -> dict[str, Any]:
    """The scope with the client's own address (None: nobody says it) and scheme."""
    info = _ScopeInfo(scope)
    address = proxies.client(info)
    return {
        **scope,
        "scheme": "https" if proxies.is_encrypted(info) else "http",
        "client": (str(address), scope["client"][1]) if address else None,
    }
