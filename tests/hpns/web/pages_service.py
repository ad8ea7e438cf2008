"""A pages process and the proxy before it, on the loop of a test: real HTTP over a real Unix socket, any handler."""

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn

from hpns.web.pages_app import PagesApp, server_config
from hpns.web.pages_proxy import PagesProxy

Handler = Callable[[dict[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[..., Awaitable[None]]], Any]


class Request:
    """One request through the proxy: `status`, `headers` and `body` once it has ended."""

    def __init__(self, scope: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        self.scope = scope
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.taking = asyncio.Event()  # clear it, and nothing more is taken of the response
        self.taking.set()
        self.left = asyncio.Event()  # set it, and the client is gone
        self._messages = messages

    async def receive(self) -> dict[str, Any]:
        """ASGI's."""
        if self._messages:
            return self._messages.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """ASGI's."""
        await self.taking.wait()
        if message["type"] == "http.response.start":
            assert self.status == 0
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]


class Service:
    """What the tests talk to. `seen`: the scopes that the handler was called with; `bodies`: what they were sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.proxy = PagesProxy(str(path))
        self.seen: list[dict[str, Any]] = []

    def request(
        self,
        path: str = "/",
        method: str = "GET",
        body: bytes | None = b"",
        client: str = "203.0.113.9",
        query: bytes = b"",
        **headers: str,
    ) -> Request:
        """A request. body: None is one that never comes; `x_name` among the headers becomes `x-name`."""
        lines = [(b"host", b"push.example.com")]
        lines += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        if body and "content_length" not in headers:
            lines.append((b"content-length", str(len(body)).encode()))
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": lines,
            "scheme": "https",
            "client": (client, 4711),
            "server": ("127.0.0.1", 8066),
        }
        messages = [] if body is None else [{"type": "http.request", "body": body, "more_body": False}]
        return Request(scope, messages)

    async def run(self, request: Request) -> Request:
        """Run a request to its end."""
        async with asyncio.timeout(20):
            await self.proxy(request.scope, request.receive, request.send)
        return request

    async def get(self, path: str = "/", **more: Any) -> Request:
        """Make a request and run it."""
        return await self.run(self.request(path, **more))


@asynccontextmanager
async def listening(path: Path, handler: Handler, service: Service | None = None) -> AsyncIterator[None]:
    """A pages process that listens at `path`."""

    async def noting(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if service is not None:
            service.seen.append(scope)
        await handler(scope, receive, send)

    server = uvicorn.Server(server_config(PagesApp(noting), drain_seconds=1))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        serving = asyncio.create_task(server._serve([listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            await serving
            os.unlink(path)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Service]:
    """A pages process with this handler, and a proxy to it."""
    with tempfile.TemporaryDirectory(prefix="hpns-pages-") as folder:
        service = Service(Path(folder) / "pages.sock")
        async with listening(service.path, handler, service):
            yield service
            await service.proxy.close()


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A handler that answers with what was sent to it."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": message["body"]})
