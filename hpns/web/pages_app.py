"""ASGI application of the pages process: Django's normal handler behind the gates, its responses made whole.

A request comes from a web process (pages_proxy.py), over a Unix socket that nobody else can reach, with its body
whole. Who asks, and over which scheme, is in one header of the web process's, and becomes the ASGI scope's own again.
Invariants: Django runs in a thread of ours that belongs to one request at a time, and a place in a gate is given back
only when that thread is free: a caller who leaves ends the waiting, and not the count. A response is made whole before
its first byte goes (page_spool.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import uvicorn
from asgiref.sync import ThreadSensitiveContext
from django.db import connections

from delivery.executors import ExecutorFullError
from hpns.web.asgi_types import ASGIApp, Message, Receive, Send
from hpns.web.page_gates import Gate, Gates, Place
from hpns.web.page_limit import Refusal, Shares
from hpns.web.page_spool import FILES_MAX, FILES_SHARE, Spool, SpoolFullError
from hpns.web.pages_protocol import CLIENT_HEADER, PROBE
from tenants import waiting_outside
from tenants.ticks import tick

# Bytes of a body, above what the web process lets through.
BODY_MAX: Final = 1024 * 1024
BACKLOG: Final = 2048
# Seconds until a request that is refused is told so: whoever asks again at once must not keep us busy with refusals.
REFUSAL_SECONDS: Final = 1.0
# Threads that keep their connections to the database for the next page: a new one costs as much as ten queries.
WARM: Final = 2
# Seconds between two looks of the server whether it is to end.
EXIT_INTERVAL: Final = 0.5
PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")
BUSY: Final = {
    Refusal.SHARE: "Too many requests from your address or of this customer are being answered at the moment",
    Refusal.FULL: "There are too many requests at the moment",
}

logger = logging.getLogger(__name__)


class PagesApp:
    """The ASGI 3.0 application, one per process and event loop. `handler` makes the pages: Django's."""

    def __init__(self, handler: ASGIApp) -> None:
        self._handler = handler
        self._gates = Gates()
        self._files = Shares(FILES_MAX, FILES_SHARE)
        # Threads without a page, with their connections to the database and without; `_kept` counts those, too, that
        # are about to be among the first.
        self._warm: list[ThreadPoolExecutor] = []
        self._kept = 0
        self._idle: list[ThreadPoolExecutor] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (scope type "http")."""
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        given = [value for name, value in scope["headers"] if name == CLIENT_HEADER]
        if len(given) != 1:
            await _text(send, 204 if scope["path"] == PROBE else 400, "")
            return
        scheme, address, port = given[0].decode("ascii").split(" ")
        scope["scheme"] = scheme
        scope["client"] = None if address == "-" else (address, int(port) if port.isdigit() else 0)
        scope["headers"] = [each for each in scope["headers"] if each[0] != CLIENT_HEADER]
        body = await _read(receive)
        if body is not None:
            await self._serve(scope, body, receive, send)

    async def _serve(self, scope: Message, body: bytes, receive: Receive, send: Send) -> None:
        gate, keys = self._gates.gate(scope), self._gates.shares(scope)
        # From here on all that can come is that the caller leaves.
        leaving = asyncio.ensure_future(receive())
        spool = Spool(self._files, keys)
        try:
            refusal = await _admit(leaving, gate, keys)
            if leaving.done():
                return
            if refusal is not None:
                await asyncio.wait([leaving], timeout=REFUSAL_SECONDS)
                await _busy(send, gate, f"{BUSY[refusal]}: try again in a few seconds.\n")
                return
            try:
                await self._make(scope, body, leaving, Place(gate, self._gates.waiting, keys), spool)
            except (SpoolFullError, ExecutorFullError):
                await _busy(send, gate, "Other downloads wait for their readers: try again in a few minutes.\n")
            except OSError as error:
                logger.error(
                    "a download could not be made, for want of a place for temporary files: %s", error.strerror
                )
                await _text(send, 500, "The download could not be made: tell the operator of this service.\n")
            else:
                if spool.complete:
                    await spool.replay(send)
        finally:
            leaving.cancel()
            spool.close()

    async def _make(
        self,
        scope: Message,
        body: bytes,
        leaving: "asyncio.Future[Any]",
        place: Place,
        spool: Spool,
    ) -> None:
        """Have Django make the response, in a thread of its own; its view may leave the place (waiting_outside)."""
        thread = self._thread()
        loop = asyncio.get_running_loop()
        waiting_outside.ON_WAIT.set(lambda: _soon(loop, place.leave))
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Message:
            message = next(messages, None)
            if message is None:
                await asyncio.wait([leaving])
                message = {"type": "http.disconnect"}
            return message

        try:
            async with ThreadSensitiveContext(executor=thread):
                await self._handler(scope, receive, spool.capture)
            self._gates.remember(scope)
        finally:
            # The view of a caller who has left may be at it still, and until it ends it has its place.
            keep = self._kept < WARM
            try:
                freed = asyncio.wrap_future(thread.submit(_keep if keep else connections.close_all))
            except RuntimeError:  # there is no such thread, and none can be started
                place.end()
                raise
            self._kept += keep
            idle = self._warm if keep else self._idle
            freed.add_done_callback(lambda _: self._free(thread, idle, place))

    def _thread(self) -> ThreadPoolExecutor:
        if self._warm:
            self._kept -= 1
            return self._warm.pop()
        return self._idle.pop() if self._idle else ThreadPoolExecutor(1, thread_name_prefix="page")

    def _free(self, thread: ThreadPoolExecutor, idle: list[ThreadPoolExecutor], place: Place) -> None:
        idle.append(thread)
        place.end()


class PagesServer(uvicorn.Server):
    """uvicorn's server, which looks twice a second whether it is to end, and not ten times: it makes no dates, and
    there is no number of requests after which it ends."""

    async def main_loop(self) -> None:
        """Serve until `should_exit`."""
        while not self.should_exit:
            await tick(EXIT_INTERVAL)


def server_config(app: PagesApp, *, drain_seconds: int) -> uvicorn.Config:
    """Make the settings of the server of pages; drain_seconds: for the pages that are made when it is to end."""
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # The web process says who asks, and it alone can reach us: no header of a client's is believed.
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=drain_seconds,
    )


def _soon(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Call it on the loop, from a page's thread; no longer once the loop has ended, and then no place matters."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(act)


def _keep() -> None:
    """Leave a thread its connections; Django closes those that are too old, or broken, before the next page."""


async def _admit(leaving: "asyncio.Future[Any]", gate: Gate, keys: tuple[str, ...]) -> Refusal | None:
    """Acquire a place. Where the caller leaves first, `leaving` is done and no place is held."""
    admission = asyncio.create_task(gate.limit.acquire(keys))
    try:
        await asyncio.wait([leaving, admission], return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        if not admission.cancel() and admission.result() is None:
            gate.limit.release(keys)
        raise
    if not leaving.done():
        return admission.result()
    if not admission.cancel() and admission.result() is None:
        gate.limit.release(keys)
    return None


async def _read(receive: Receive) -> bytes | None:
    """The body; None when the sender has left or sends more than any web process lets through."""
    pieces, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > BODY_MAX:
            return None
        if not message.get("more_body"):
            return b"".join(pieces)


async def _busy(send: Send, gate: Gate, text: str) -> None:
    await _text(send, 503, text, (b"retry-after", str(gate.retry_after).encode()))


async def _text(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = text.encode()
    length = [] if status == 204 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [PLAIN, *length, *headers]})
    await send({"type": "http.response.body", "body": body})
