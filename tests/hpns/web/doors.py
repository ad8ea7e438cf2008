"""A front door in this process for its tests: on a socket of its own, with an endpoint and pages of the tests' own."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
from rest_framework.authentication import BaseAuthentication

from delivery.ingest.api import MachineView
from delivery.ingest.lean_request import LeanRequest
from hpns.web.front_door import FrontDoor
from tenants.directory.snapshot import Identity
from tenants.network import TrustedProxies, networks
from tenants.refusals import UnknownKey
from tests.delivery.web_process import ACME, proxies
from tests.waiting import PATIENCE

LIMIT = 64 * 1024
OK = b'{"status":"OK"}'


class Keys(BaseAuthentication):
    """The key in the path is good unless it is "unknown"; a number in it is the key's number."""

    def authenticate(self, request: Any) -> tuple[Identity, None]:
        key = request.path.split("/")[2]
        if key == "unknown":
            raise UnknownKey
        return (msgspec.structs.replace(ACME, key_id=int(key)) if key.isdigit() else ACME), None


class Endpoint(MachineView):
    """Answers OK once `open` is set, and keeps what it was given."""

    authentication_classes = (Keys,)

    def __init__(self) -> None:
        traces = itertools.count(1)
        super().__init__(SimpleNamespace(trace=lambda: f"t-{next(traces)}"), proxies())  # type: ignore[arg-type]
        self.open = asyncio.Event()
        self.open.set()
        self.requests: list[tuple[bytes, int, str]] = []

    def handle(self, who: Identity, request: LeanRequest) -> "asyncio.Future[bytes]":
        self.requests.append((request.take_payload(), request.too_large, request.body_error))
        return asyncio.ensure_future(self._answer())

    async def _answer(self) -> bytes:
        await self.open.wait()
        return OK


class Door:
    """A running front door. `pages` may be replaced; by default they say which path was asked for."""

    def __init__(self, *, trusted: str = "", body_deadline: float = 5.0) -> None:
        self.endpoint = Endpoint()
        self.scopes: list[Any] = []
        self.bodies: list[bytes] = []
        self.server = FrontDoor(
            lambda path: self.endpoint if path.startswith("/t/") else None,
            self._pages,
            body_limit=LIMIT,
            body_deadline=body_deadline,
            proxies=TrustedProxies(networks([trusted] if trusted else [])),
        )

    async def _pages(self, scope: Any, receive: Any, send: Any) -> None:
        await self.pages(scope, receive, send)

    async def pages(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async def connect(self, source: str = "127.0.0.1") -> "Caller":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
        return Caller(reader, writer)

    async def ask(self, request: bytes) -> bytes:
        """All that comes on a fresh connection until it is closed."""
        caller = await self.connect()
        caller.send(request)
        return await caller.rest()


class Caller:
    """One connection to the door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer, by its Content-Length."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body

    async def rest(self) -> bytes:
        """All that comes until the other side closes."""
        try:
            async with asyncio.timeout(20):
                return await self.reader.read()
        except ConnectionResetError:
            return b""
        finally:
            self.writer.close()

    async def is_closed(self) -> bool:
        return await self.rest() == b""


@contextlib.asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Door]:
    """A door that serves until the end of the block."""
    door = Door(**options)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        listener.setblocking(False)
        door.port = listener.getsockname()[1]
        door.server.start(listener, None)
        try:
            yield door
        finally:
            await door.server.close()


def push(body: bytes = b"{}", key: str = "good", extra: bytes = b"", length: int | None = None) -> bytes:
    """A push's bytes; `length`: what it says its body's is; `extra`: whole lines of headers."""
    size = len(body) if length is None else length
    return b"POST /t/%b/push HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n%b" % (key.encode(), size, extra, body)


async def until(check: Any) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE):
        while not check():
            await asyncio.sleep(0.005)
