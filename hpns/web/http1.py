"""HTTP/1.1 server connection on the asyncio loop: requests are read by request_reader.py and answered by exchanges.

A protocol of our own because the bounds that a public address needs are decided in here, and uvicorn's protocol has
none of them: it bounds neither heads nor the time for them, answers a malformed request ahead of the requests before
it, keeps any number of pipelined requests, reads on without end once a request is answered, and loses the body of a
request with an Upgrade. Invariants: answers go out in the order of their requests; every state in which the peer is
waited for has a deadline (connections.py); what is read ahead, kept and discarded is bounded; where a connection is
closed before its request was read, the peer still gets to read the answer.
"""

import asyncio
import collections
from http import HTTPStatus
from typing import Final, cast

from hpns.web.connections import AddressEntry, Waiting
from hpns.web.exchange import Exchange, Host, Routed
from hpns.web.flow_control import FlowControl, Pause
from hpns.web.request_head import RequestHead
from hpns.web.request_reader import RequestError, RequestReader
from hpns.web.response_framing import ResponseFraming

# Requests that may wait for the answer to an earlier one on their connection.
PIPELINED_MAX: Final = 16
# Bytes of chunk sizes, extensions and trailers beside a body, and of the head that came with its beginning.
OVERHEAD_MAX: Final = 128 * 1024
# Bytes that are read and thrown away so that a sender gets to read an answer that was given before its request's end.
DISCARD_MAX: Final = 4 * 1024 * 1024


class HttpConnection(FlowControl):
    """One connection, by httptools and exchanges. `peer`: "address:port"."""

    __slots__ = (
        "_active", "_buffer", "_current", "_error", "_host", "_is_at_eof", "_is_feeding", "_is_released", "_peer",
        "_queue", "_raw", "_reader", "accepting", "address", "routed", "waiting",
    )  # fmt: skip

    def __init__(self, host: Host, address: AddressEntry, peer: str) -> None:
        super().__init__()
        self._host, self.address, self._peer = host, address, peer
        self.accepting: asyncio.Task[None] | None = None  # until it is made
        self._reader: RequestReader | None = None  # None: what comes is discarded
        self._buffer = host.head_buffer
        self._is_released = self._is_at_eof = self._is_feeding = False
        self._active: Exchange | None = None  # whose turn it is to write
        self._queue: collections.deque[Exchange] | None = None  # those after it
        self.routed: Routed | None = None
        self._current: Exchange | None = None  # the last one whose head was read
        self._error = 0  # the status of what could not be read; its answer is the last
        self._raw = 0  # bytes that came since the head of the current request, or since nothing is read any more
        self.waiting: Waiting | None = None
        self._wait(host.first)

    # --- The transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is accepted; with TLS, the handshake is done."""
        self._transport = cast(asyncio.Transport, transport)
        if self._is_released:  # there was no room for it any more
            self._transport.abort()
            return
        encrypted = transport.get_extra_info("ssl_object")
        tls = (encrypted.version() or "") if encrypted is not None else ""
        callbacks = (self._on_head, self._on_body, self._on_complete)
        self._reader = RequestReader(self._peer, self._host.scheme, *callbacks, tls)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whomever."""
        self.is_lost = True
        self._wait(None)
        self._release()
        self._stop_reading()
        self.resume_writing()
        for exchange in (self._active, *(self._queue or ())):
            if exchange is not None and not exchange.answered:
                exchange.on_lost()
        self._active = self._queue = self._current = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Small for heads and what comes with them, so that little is held before it is judged."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come."""
        self._raw += nbytes
        reader = self._reader
        if reader is None:
            if self._raw > DISCARD_MAX:
                self.abort()
            else:
                self._host.discards.spend(self, nbytes)
            return
        if self._current is not None and self._current.answered:
            self._host.discards.spend(self, nbytes)
        self._is_feeding = True
        try:
            reader.feed(self._buffer[:nbytes])
        except RequestError as error:
            if self._reader is not None:
                self._on_error(error.status)
        finally:
            self._is_feeding = False
        if self._reader is None:
            reader.close()
        else:
            self._settle()

    def eof_received(self) -> bool:
        """The peer will send nothing more; true keeps the connection open for answers."""
        self._is_at_eof = True
        current, active = self._current, self._active
        if current is not None and not current.complete and not current.answered:
            current.keep_alive = False
            current.on_broken("its body did not arrive whole")
        # TLS cannot be half-closed (asyncio); and who closes a page's connection does not wait for the page.
        return active is not None and not active.answered and active.outlives_eof and self._host.scheme == "http"

    # --- The reader's callbacks

    def _on_head(self, head: RequestHead, keep_alive: bool) -> bool:
        queue = self._queue
        if self._reader is None or (queue is not None and len(queue) >= PIPELINED_MAX):
            raise RequestError(429)
        self._wait(None)
        self._raw = 0
        self._current = exchange = self._host.exchange(self, head, keep_alive=keep_alive)
        if self._active is None:
            self._active = exchange
            exchange.start()
        else:
            if queue is None:
                queue = self._queue = collections.deque()
            queue.append(exchange)
            self.pause_reading(Pause.PIPELINED)
        return self.routed is not None and self.routed.target == head.target

    def _on_body(self, data: bytes) -> None:
        if (current := self._current) is not None:
            current.received += len(data)
            if not current.answered:
                current.on_body(data)

    def _on_complete(self) -> None:
        if (current := self._current) is not None:
            current.complete = True
            if current.answered:
                self._finish(current)
            else:
                current.on_complete()

    def _on_error(self, status: int) -> None:
        """What has come is no request, or more than is read: nothing is read any more."""
        self._stop_reading()
        current = self._current
        if current is not None and not current.complete:
            current.keep_alive = False
            if current.answered:
                self._close(linger=True)
            else:
                current.on_broken("its body did not arrive whole")
        elif self._active is not None:
            self._error = status  # its turn will come
        elif not self.is_lost:
            self._answer_error(status)

    # --- What exchanges call

    @property
    def has_more(self) -> bool:
        """Whether other requests wait for the end of this answer."""
        return bool(self._queue)

    def on_answered(self, exchange: Exchange) -> None:
        """All of the answer is written."""
        exchange.answered = True
        if exchange.complete or not exchange.keep_alive:
            self._finish(exchange)
        elif not self._is_feeding:
            self._settle()

    # --- States

    def _settle(self) -> None:
        """All that has come is read: wait for what is to come, in the state that has the right deadline."""
        reader, current, host = self._reader, self._current, self._host
        if reader is None:
            return
        if reader.is_in_head:
            self._wait(host.head)
        elif current is None:
            self._wait(host.first if self.waiting is host.first else host.idle)
        elif current.complete:
            self._wait(None)
        elif self._raw - current.received > OVERHEAD_MAX or (current.answered and current.received > DISCARD_MAX):
            self._on_error(400)
        else:
            self._buffer = host.body_buffer
            if current.answered:
                self._wait(host.body)
                return
            waiting = current.on_incomplete()
            if not current.answered:  # for its head alone
                self._wait(waiting)

    def _finish(self, exchange: Exchange) -> None:
        """The turn of an exchange is over."""
        if not exchange.keep_alive:
            self._close(linger=not exchange.complete)
            return
        self._buffer = self._host.head_buffer
        if exchange is self._current:
            self._current = None
        if self._queue:
            self._active = following = self._queue.popleft()
            if not self._queue:
                self.resume_reading(Pause.PIPELINED)
            following.start()
            if not self._is_feeding:
                self._settle()
            return
        self._active = None
        if self._error:
            self._answer_error(self._error)
        elif self._is_at_eof:
            self._close(linger=False)
        elif not self._is_feeding:
            self._settle()

    def on_timeout(self, waiting: Waiting) -> None:
        """See connections.Connection."""
        host, current = self._host, self._current
        self._wait(None)
        if waiting is host.head:
            self._on_error(408)
        elif waiting is host.linger:
            self.abort()
        elif waiting is host.body and current is not None and not current.answered:
            current.keep_alive = False
            current.on_broken(f"its body did not arrive within {waiting.seconds:g} s")
        else:
            self.close_idle()

    def close_idle(self) -> None:
        """See connections.Connection."""
        self._wait(None)
        if self._transport is None or not self._transport.get_write_buffer_size():
            self._release()  # else it has its place until the last answer is read: a process that drains waits for that
        self._stop_reading()
        if self._transport is not None:
            self._transport.close()
        elif self.accepting is not None:
            self.accepting.cancel()

    def _answer_error(self, status: int) -> None:
        text = HTTPStatus(status).phrase.encode() + b"\n"
        headers = [(b"content-type", b"text/plain")]
        framing = ResponseFraming(status, headers, len(text), method="GET", version="1.1")
        self.write(framing.head(self._host.date, keep_alive=False) + text)
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Close it when all is written. `linger`: what still comes is read and thrown away for a while, for if it were
        left unread the peer would be sent a reset, and would lose the answer with it (RFC 9112, 9.6)."""
        self._stop_reading()
        self._active = self._queue = self._current = None
        if self._transport is None or self.is_lost:
            return
        if not linger or self._is_at_eof:
            self._wait(None)
            self._transport.close()
            return
        self._raw = 0
        self._buffer = self._host.body_buffer
        self._wait(self._host.linger)
        self.resume_reading(Pause.PIPELINED | Pause.WRITING | Pause.PAGE | Pause.BUDGET)
        if self._host.scheme == "http":
            self._transport.write_eof()

    def _stop_reading(self) -> None:
        if self._reader is not None:
            if not self._is_feeding:
                self._reader.close()
            self._reader = None

    def _release(self) -> None:
        if not self._is_released:
            self._is_released = True
            self._host.table.release(self.address)

    def _wait(self, waiting: Waiting | None) -> None:
        before = self.waiting
        if before is not waiting:
            if before is not None:
                before.remove(self)
            self.waiting = waiting
            if waiting is not None:
                waiting.add(self, self._host.now())
