"""RSGI application of the web process, served by granian: serves the push endpoints, and passes pages on.

The two machine endpoints go to delivery.ingest.api on a lean request: no middleware, no thread. Health, metrics and
version are answered here as well (watching/endpoints.py); everything else is a page, and goes on to the pages process
(web/pages_proxy.py). RSGI because an ASGI server costs a push about
as much as the whole of Django does on this path.
https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md

Invariant: nothing here redirects, and a path that is not known is 404 at once: a redirect turns a push into a GET.
"""

import asyncio
import gc
import os
import time
import zlib
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
os.environ.setdefault("DATABASE_ROLE", "web")

import django

django.setup()

from django.conf import settings

from delivery.ingest.api import LeanRequest, machine_views
from delivery.ingest.outbox import Outbox
from delivery.metrics import counting
from hpns.celery import app as celery_app
from hpns.watching.endpoints import Monitoring
from hpns.watching.readiness import Observer
from hpns.web import draining, spool
from hpns.web.django_bridge import Pages
from hpns.web.pages_proxy import PagesProxy
from tenants.directory.live import DIRECTORY
from tenants.supervision import supervise

SEND_PUSH, ACK = "/api/v1/send_push", "/api/v1/ack"
KEY_PATH = "/t/"
CONNECTION_CLOSE = ("connection", "close")
# Seconds that a process waits for the queue and the directory before it serves; without them every push is a FAIL.
STARTUP_TIMEOUT = 3.0
# A body over the limit is read on up to this many times the limit, so that its sender gets to read our answer.
DISCARD_FACTOR = 16


class RsgiApplication:
    """The RSGI callbacks, one object per process: __rsgi_init__ at the start, __rsgi__ per request, __rsgi_del__."""

    def __init__(self) -> None:
        celery_app.finalize()
        self.outbox = Outbox()
        self.send_push, self.ack = machine_views(self.outbox)
        self.proxy = PagesProxy()
        self.observer = Observer(self.outbox, self.proxy.probe)
        self.pages = Pages(Monitoring(self.observer, self.proxy))
        self.limit = int(settings.BODY_LIMIT)
        self.headers = [("content-type", "application/json")]
        self.clock = time.monotonic
        self.body_readers: dict[Any, float] = {}
        self._tasks: list[asyncio.Task[Any]] = []

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start what runs beside the requests, on the loop that will serve them."""
        if draining.INHERITED.listener is not None:
            self._drainer = draining.Drainer(loop, draining.INHERITED.listener, self.begin_draining)
        loop.run_until_complete(self.start())
        loop.call_soon(draining.signal_ready)

    def begin_draining(self) -> None:
        """Begin draining: each answer closes its connection; another process takes the next one, or none does."""
        self.headers = [*self.headers, CONNECTION_CLOSE]
        self.pages.draining = True

    async def start(self) -> None:
        """Connect to the queue, begin to follow the directory, wait a little until pushes can be taken."""
        self.outbox.start()
        loop = asyncio.get_running_loop()
        self._tasks = [
            supervise("the directory's follower", DIRECTORY.follow),
            supervise("the deadlines of bodies", self._enforce_body_deadlines),
            supervise("the look at the stores", self.observer.observe),
            supervise("the export of metrics", lambda: counting.export("ingest"), essential=False),
        ]
        until = loop.time() + STARTUP_TIMEOUT
        while not (self.outbox.ready and DIRECTORY.ready) and loop.time() < until:
            await asyncio.sleep(0.01)
        gc.collect()
        gc.set_threshold(20_000, 50, 100)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush the outbox and close."""
        loop.run_until_complete(self.stop())

    async def stop(self) -> None:
        """See __rsgi_del__."""
        for task in self._tasks:
            task.cancel()
        spool.unlink_all()
        await self.proxy.close()
        await self.outbox.close()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Answer one request."""
        path: str = scope.path  # granian has undone its %-escapes
        if path.endswith(SEND_PUSH) and _is_prefix(path[: -len(SEND_PUSH)]):
            view = self.send_push
        elif path.endswith(ACK) and _is_prefix(path[: -len(ACK)]):
            view = self.ack
        else:
            await self.pages(scope, proto, path)
            return
        request = LeanRequest(scope, path)
        if request.method == "POST":
            await self.read(scope, proto, request)
        response = await view(request)
        headers = self.headers
        if response.status_code != 200:
            headers = [*headers[1:], *((name.lower(), value) for name, value in response.headers.items())]
        proto.response_bytes(response.status_code, headers, response.content)

    async def read(self, scope: Any, proto: Any, request: LeanRequest) -> None:
        """Read the body into the request, bounded in size and time; a body that cannot be used is noted there."""
        headers = scope.headers
        length = headers.get("content-length")
        encoding = headers.get("content-encoding")
        # Whatever waits for the body, and can be told to stop waiting.
        reader: Any = None
        try:
            if length is not None and len(length) < 7 and int(length) <= self.limit:
                reader = proto()
                self.body_readers[reader] = self.clock()
                body = await reader
            else:
                reader = asyncio.current_task()
                self.body_readers[reader] = self.clock()
                body = await self._read_bounded(proto, request)
        except asyncio.CancelledError:  # by _watch
            if isinstance(reader, asyncio.Task):
                reader.uncancel()
            request.body_error = f"its body did not arrive within {settings.BODY_DEADLINE:g} s"
            return
        except (RuntimeError, ValueError) as error:
            request.body_error = f"its body did not arrive whole ({type(error).__name__})"
            return
        finally:
            self.body_readers.pop(reader, None)
        if request.too_large:
            return
        if length is not None and length.isdigit() and len(body) < int(length):
            request.body_error = "its body did not arrive whole"
        elif encoding is not None and encoding.lower() not in ("", "identity"):
            body = self._decompressed(body, encoding.lower(), request)
        request.payload = body

    async def _enforce_body_deadlines(self) -> None:
        """Once a second, cancel reading bodies over the deadline: a timer per request would cost as decoding does."""
        while True:
            await asyncio.sleep(1)
            latest = self.clock() - settings.BODY_DEADLINE
            for reader, since in list(self.body_readers.items()):
                if since < latest:
                    reader.cancel()

    async def _read_bounded(self, proto: Any, request: LeanRequest) -> bytes:
        chunks, size = [], 0
        async for chunk in proto:
            size += len(chunk)
            if size <= self.limit:
                chunks.append(chunk)
            elif size > self.limit * DISCARD_FACTOR:
                break
        if size > self.limit:
            request.too_large = size
            return b""
        return b"".join(chunks)

    def _decompressed(self, body: bytes, encoding: str, request: LeanRequest) -> bytes:
        if encoding not in ("gzip", "x-gzip"):
            request.body_error = "its Content-Encoding is not gzip"
            return b""
        decompressor = zlib.decompressobj(wbits=31)
        try:
            plain = decompressor.decompress(body, self.limit + 1)
        except zlib.error:
            request.body_error = "its body is not gzip, as its Content-Encoding says"
            return b""
        if len(plain) > self.limit:
            request.too_large = len(plain)
            return b""
        if not decompressor.eof or decompressor.unused_data:
            request.body_error = "its gzip body does not end where it should"
            return b""
        return plain


def _is_prefix(prefix: str) -> bool:
    """Whether a prefix of the path is one under which machines are served: none, or /t/KEY."""
    return not prefix or (prefix.startswith(KEY_PATH) and "/" not in prefix[len(KEY_PATH) :] and len(prefix) > 3)


application = RsgiApplication()
