"""Asks the monitoring endpoints as a web process does, without one."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from hpns.watching.endpoints import Monitoring
from hpns.watching.readiness import Observer

_ports = itertools.count(1024)


class Response(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Intake:
    """An outbox that is connected, or not."""

    ready = True


async def no_pages(_seconds: float) -> str:
    """A pages process that answers."""
    return ""


def monitoring(observer: Observer | None = None) -> Monitoring:
    """The endpoints; what is none of them is told as 599."""

    async def pages(_scope: dict[str, Any], _receive: object, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 599, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return Monitoring(observer or Observer(Intake(), no_pages), pages)


async def ask(
    application: Monitoring,
    path: str,
    method: str = "GET",
    address: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
    port: int = 0,
) -> Response:
    """The response to one request; port: the client's, 0 for a connection of its own."""
    sent: list[Mapping[str, Any]] = []
    lines = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": lines, "scheme": "http"}
    scope["client"] = (address, port or next(_ports)) if address else None

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    await application(scope, receive, send)
    start, *pieces = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Response(start["status"], found, b"".join(piece["body"] for piece in pieces))


def asked(path: str, method: str = "GET", address: str = "127.0.0.1", **more: Any) -> Response:
    """The same, by fresh endpoints on a loop of their own."""
    return asyncio.run(ask(monitoring(), path, method, address, **more))
