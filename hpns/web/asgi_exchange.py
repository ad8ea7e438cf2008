"""Exchange of everything that is no machine endpoint: an ASGI 3 application is called for it.

https://asgi.readthedocs.io/en/latest/specs/www.html. Invariants: the application gets no more of a body than it asks
for, and waits in send() as long as the reader is slow; an answer that breaks off ends with its connection, so that
nobody takes the half for the whole.
"""

import asyncio
import logging
from typing import Final

from hpns.web.asgi_types import ASGIApp, Message
from hpns.web.connections import Waiting
from hpns.web.exchange import Connection, Host
from hpns.web.flow_control import Pause, SlowReaderError
from hpns.web.machine_exchange import CONTINUE
from hpns.web.request_head import RequestHead
from hpns.web.response_framing import ResponseFraming

# Bytes of a body that are read ahead of the application.
READ_AHEAD: Final = 64 * 1024

logger = logging.getLogger(__name__)


class AsgiExchange:
    """See exchange.Exchange."""

    outlives_eof = False  # whoever closes a page does not wait for it

    def __init__(
        self, host: Host, connection: Connection, app: ASGIApp, head: RequestHead, scope: Message, *, keep_alive: bool
    ) -> None:
        self._host, self._connection, self._app = host, connection, app
        self._head, self._scope = head, scope
        self.keep_alive = keep_alive
        self.received = 0
        self.complete = self.answered = False
        self._expects_continue = b"expect" in head.headers.lines
        self._chunks: list[bytes] = []
        self._ahead = 0
        self._event = asyncio.Event()
        self._is_gone = False  # the rest of the request will not come, or nobody reads the answer
        self._is_taken = False  # all of the body
        self._start: Message | None = None
        self._framing: ResponseFraming | None = None  # of an answer that is begun

    def start(self) -> None:
        """All requests before it are answered."""
        self._host.spawn(self._run())

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._chunks.append(data)
        self._ahead += len(data)
        if self._ahead > READ_AHEAD:
            self._connection.pause_reading(Pause.PAGE)
        self._event.set()

    def on_complete(self) -> None:
        """The request is whole."""
        self._event.set()

    def on_incomplete(self) -> Waiting | None:
        """The application has a deadline of its own for the body."""
        return None

    def on_broken(self, _reason: str) -> None:
        """The rest of the body will not come."""
        self._is_gone = True
        self._event.set()

    def on_lost(self) -> None:
        """The connection is gone."""
        self._is_gone = True
        self._event.set()

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self.receive, self.send)
        except SlowReaderError:
            logger.debug("a reader took nothing of an answer for too long")
        except ConnectionError as error:
            logger.warning("an answer broke off: %s", error)
        except Exception:
            logger.exception("a page failed outside of Django")
        if self.answered or self._connection.is_lost:
            return
        if self._framing is not None or self._is_gone:
            self._connection.abort()
            return
        self._start = {"status": 500, "headers": [(b"content-type", b"text/plain")]}
        await self.send({"type": "http.response.body", "body": b"Internal Server Error\n"})

    async def receive(self) -> Message:
        """ASGI's receive()."""
        if self._expects_continue and self._framing is None:
            self._expects_continue = False
            self._connection.write(CONTINUE)
        while not (self._chunks or self._is_gone or self.answered or (self.complete and not self._is_taken)):
            self._event.clear()
            await self._event.wait()
        if self.answered or self._is_taken or not (self._chunks or self.complete):
            return {"type": "http.disconnect"}
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._ahead = [], 0
        self._connection.resume_reading(Pause.PAGE)
        self._is_taken = self.complete
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def send(self, message: Message) -> None:
        """ASGI's send(); waits until the reader has taken enough. Raises SlowReaderError, FramingError."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        await self._connection.drain()
        if self.answered or self._connection.is_lost or self._start is None:
            return
        body, more = bytes(message.get("body", b"")), bool(message.get("more_body"))
        head, framing = b"", self._framing
        if framing is None:
            framing = self._framing = self._framing_of(self._start, None if more else len(body))
            head = framing.head(self._host.date, keep_alive=self.keep_alive)
        self._connection.write(head + framing.piece(body, more=more))
        if not more:
            self._chunks.clear()
            self._connection.resume_reading(Pause.PAGE)
            self._connection.on_answered(self)
            self._event.set()

    def _framing_of(self, start: Message, length: int | None) -> ResponseFraming:
        """Begin the answer, and see whether the connection goes on after it."""
        headers, head = list(start.get("headers", ())), self._head
        framing = ResponseFraming(start["status"], headers, length, method=head.method, version=head.version)
        if (
            any(name.lower() == b"connection" and b"close" in value.lower() for name, value in headers)
            or not framing.is_delimited
            or (self._expects_continue and not self.complete)  # nobody knows whether the body will come
            or (self._host.is_draining and not self._connection.has_more)
        ):
            self.keep_alive = False
        return framing
