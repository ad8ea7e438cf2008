"""Monitoring endpoints of a web process: /health/live, /health/ready, /metrics and /version, as an ASGI application.

They are answered by the web process itself, under any name (Host) and beside every gate: a load balancer asks by
address, and just when there is too much of everything else. All other requests go on to the pages.
Invariant: none of them waits for a store on the event loop; the answer that costs most is made once a second, and a
connection gets no more than one a second.
"""

import asyncio
import json
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from django.conf import settings

from delivery.executors import BoundedExecutor
from hpns.watching import metrics_page
from hpns.watching.readiness import Observer
from hpns.web.asgi_types import ASGIApp, Message, Receive, Send

METHODS: Final = ("GET", "HEAD")
KEY_PATH: Final = "/t/"
# Seconds for which a rendered page of metrics is shown to whoever asks, and for one to be rendered.
METRICS_SHARED: Final = 1.0
METRICS_SECONDS: Final = 8.0
TEXT: Final = "text/plain; charset=utf-8"
# Seconds between two answers on one connection: nobody needs to know more often, and whoever asks without a pause must
# not keep us from pushes. Connections that are remembered.
PACE_SECONDS: Final = 1.0
PACED_MAX: Final = 4096

logger = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A response in full."""

    status: int
    content_type: str
    body: bytes


class Monitoring:
    """The ASGI application, one per web process, on its loop. `pages` gets whatever is not asked of us."""

    def __init__(self, observer: Observer, pages: ASGIApp) -> None:
        self._observer, self._pages = observer, pages
        self._metrics: asyncio.Future[tuple[bytes, str]] | None = None
        self._metrics_at = 0.0
        self._answered_at: OrderedDict[object, float] = OrderedDict()
        # One thread of its own: a store that hangs must keep nobody else waiting for one.
        self._thread = BoundedExecutor("metrics", threads=1, queued=1)
        self._endpoints: dict[str, Callable[[Message], Awaitable[Answer]]] = {
            "/health/live": self._live,
            "/health/ready": self._ready,
            "/metrics": self._prometheus,
            "/version": self._version,
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request of scope type "http", or pass it on."""
        path: str = scope["path"]
        endpoint = self._endpoints.get(path)
        if endpoint is None and path.startswith(KEY_PATH) and path.endswith("/version") and path.count("/") == 3:
            endpoint = self._version  # under a key's prefix: a Mattermost support packet asks for it
        if endpoint is None:
            await self._pages(scope, receive, send)
            return
        await self._pace(scope["client"])
        if scope["method"] not in METHODS:
            await _send(send, Answer(405, TEXT, b""), [(b"allow", b"GET, HEAD")])
        else:
            await _send(send, await endpoint(scope), [], head=scope["method"] == "HEAD")

    async def _pace(self, connection: object) -> None:
        """Wait until a second has passed since the last answer on this connection (address and port)."""
        wait = self._answered_at.pop(connection, 0.0) + PACE_SECONDS - time.monotonic()
        if wait > 0:
            # Spread, so that many who began together do not come in one moment, again and again.
            await asyncio.sleep(wait * random.uniform(1.0, 1.5))  # noqa: S311
        self._answered_at[connection] = time.monotonic()
        if len(self._answered_at) > PACED_MAX:
            self._answered_at.popitem(last=False)

    async def _live(self, _scope: Message) -> Answer:
        return _json({"status": "live"})

    async def _ready(self, _scope: Message) -> Answer:
        """200 when a push would be taken, sent and answered; else 503 with what is missing."""
        health = self._observer.health()
        report = {
            "status": "ready" if health.ready else "not ready",
            "missing": health.missing,
            "amiss": health.amiss,
            "workers": health.workers,
        }
        return _json(report, 200 if health.ready else 503)

    async def _version(self, _scope: Message) -> Answer:
        return _json({"version": settings.VERSION, "hash": settings.VERSION})

    async def _prometheus(self, scope: Message) -> Answer:
        """The metrics of all processes of this host; who may read them is settings.METRICS_TOKEN."""
        names = [name.decode("latin-1") for name, _ in scope["headers"]]
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        address = scope["client"][0] if scope["client"] else ""
        if not metrics_page.may_read(address, names, authorization.decode("latin-1")):
            return Answer(404, TEXT, b"404 page not found\n")
        now = time.monotonic()
        if self._metrics is None or (self._metrics.done() and now - self._metrics_at > METRICS_SHARED):
            self._metrics_at = now
            self._metrics = asyncio.ensure_future(self._thread.run(metrics_page.render))
        try:
            async with asyncio.timeout(METRICS_SECONDS):
                body, content_type = await asyncio.shield(self._metrics)
        except TimeoutError:
            logger.error("the metrics were not there within %g s", METRICS_SECONDS)
            return Answer(503, TEXT, b"the metrics are not there at the moment\n")
        return Answer(200, content_type, body)


def _json(content: object, status: int = 200) -> Answer:
    return Answer(status, "application/json", json.dumps(content).encode())


async def _send(send: Send, answer: Answer, more: list[tuple[bytes, bytes]], *, head: bool = False) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
