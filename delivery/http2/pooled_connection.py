"""One connection of a pool, with the requests that wait for it and the timer that holds their deadlines.

Invariants: on_done is called exactly once per request, within its deadline, and never from inside submit; nothing
raised by on_done gets out; a request is written to this connection or to none.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from delivery.http2.addresses import DialError
from delivery.http2.connection import Connection
from delivery.http2.dial import Endpoint
from delivery.http2.stream import Stream
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import NOT_SENT

log = logging.getLogger(__name__)

UNRESPONSIVE_SECONDS: Final = 1.5
"""A connection on which requests wait and that has answered nothing for so long is taken for dead."""
IDLE_SECONDS: Final = 600.0
"""A connection that lay idle for so long is not used again: what is on the way may have forgotten it."""
TIMER_INTERVAL: Final = 0.05
"""Seconds between two looks at the deadlines; a request may end by so much earlier, never later."""


class PooledConnection:
    """A connection of a pool, see the module.

    unresponsive_since is when it answered last, or when its first request began to wait (time.monotonic); responded
    tells whether it has answered anything yet, draining whether it takes no more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint, resubmit: Callable[[Stream], None]) -> None:
        """Open nothing: the first request does. resubmit: takes what another connection may send."""
        self._resubmit = resubmit
        self.unresponsive_since = time.monotonic()
        self.closed = self.responded = self.draining = False
        self._loop, self._endpoint = loop, endpoint
        self._pending: deque[Stream] = deque()
        self._connection: Connection | None = None
        self._streams: dict[int, Stream] = {}
        self._dial_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unusable = False

    @property
    def in_flight(self) -> int:
        """How many requests have no response yet, those included that wait to be sent."""
        return len(self._streams) + len(self._pending)

    @property
    def max_concurrent_streams(self) -> int:
        """How many requests at once the provider takes on it."""
        return self._connection.max_concurrent_streams if self._connection is not None else 1_000_000

    def submit(self, stream: Stream, now: float) -> None:
        """Send one request, at once if there is room for it; now: time.monotonic()."""
        if not self._streams and not self._pending:
            self.unresponsive_since = now
        connection = self._connection
        if connection is not None and not self._pending and connection.can_send(len(stream.unsent_body)):
            connection.send(stream)
        else:
            self._pending.append(stream)
            if connection is None and self._dial_task is None:
                self._dial_task = self._loop.create_task(self._dial())
        time_left = stream.deadline - now
        if self._timer is None:
            self._timer = self._loop.call_later(max(0.001, min(TIMER_INTERVAL, time_left)), self._on_timer)
        elif time_left < TIMER_INTERVAL:
            self._loop.call_later(max(0.001, time_left), self._expire)

    async def _dial(self) -> None:
        try:
            connection = await self._endpoint.open(
                self._loop, lambda: Connection(self._send_pending, self._stream_ended, self._connection_lost)
            )
        except DialError as error:
            self._connection_lost(error.fault, str(error))
            return
        except Exception as error:  # noqa: BLE001  its text is not logged: it may quote the proxy's password
            log.error("opening a connection failed with an unexpected %s", type(error).__name__)
            self._connection_lost(TransportFault.CONNECT, type(error).__name__)
            return
        finally:
            self._dial_task = None
        if self.closed:
            connection.close()
            return
        self._connection, self._streams = connection, connection.streams
        self._send_pending()

    def _send_pending(self) -> None:
        """Send pending requests, as far as the connection takes them."""
        connection, pending = self._connection, self._pending
        if connection is None:
            return
        while pending and connection.can_send(len(pending[0].unsent_body)):
            connection.send(pending.popleft())
        if connection.settings_received and not connection.accepts_streams:
            self._unusable = True
            self._resubmit_all(list(pending))
            self._close_if_drained()

    def _resubmit_all(self, unsent: list[Stream]) -> None:
        """Submit to another connection what was never written; not from one that ends before it answers anything."""
        if not self.responded:
            self._fail_all(unsent, TransportFault.REFUSED_STREAM, "")
            return
        self._pending.clear()
        for stream in unsent:
            self._resubmit(stream)

    def is_stale(self, now: float) -> bool:
        """Tell whether requests should rather take another connection; now: time.monotonic()."""
        if self.closed or self._unusable:
            return True
        if self._streams or self._pending:
            return now - self.unresponsive_since > UNRESPONSIVE_SECONDS
        connection = self._connection
        # The peer's close_notify may lie in the socket while we decide.
        return connection is not None and (now - self.unresponsive_since > IDLE_SECONDS or connection.is_stale())

    def drain(self) -> None:
        """Take no further requests; those under way go on, and the connection closes after the last of them."""
        self.draining = True
        self._close_if_drained()

    def close(self) -> None:
        """End at once: what is under way ends as TransportFault.STOPPED."""
        if self.closed:
            return
        self._close_now()
        self._fail_all([*self._take_sent(), *self._pending], TransportFault.STOPPED, "")

    def _close_now(self) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dial_task is not None:
            self._dial_task.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close_if_drained(self) -> None:
        if (self.draining or self._unusable) and not self._streams and not self._pending and not self.closed:
            self._close_now()

    def _connection_lost(self, fault: TransportFault, error: str) -> None:
        """Fail all requests: the connection has ended, or could not be opened."""
        if self.closed:
            return
        self._close_now()
        self._fail_all([*self._take_sent(), *self._pending], fault, error)

    def _take_sent(self) -> list[Stream]:
        """Remove and return the open streams; what has come of their responses is not whole."""
        sent = list(self._streams.values())
        self._streams.clear()
        for stream in sent:
            stream.discard_body()
        return sent

    def _fail_all(self, streams: list[Stream], fault: TransportFault, error: str) -> None:
        self._pending.clear()
        for stream in streams:
            if not stream.status:
                stream.fault, stream.error = fault, error
            self._complete(stream)

    def _on_timer(self) -> None:
        self._timer = None
        self._expire()
        if (self._streams or self._pending) and not self.closed:
            self._timer = self._loop.call_later(TIMER_INTERVAL, self._on_timer)

    def _expire(self) -> None:
        """End the requests whose deadline is reached."""
        limit = time.monotonic() + TIMER_INTERVAL
        expired_pending = [stream for stream in self._pending if stream.deadline <= limit]
        if expired_pending:
            self._pending = deque(stream for stream in self._pending if stream.deadline > limit)
        expired_sent = [stream for stream in self._streams.values() if stream.deadline <= limit]
        for stream in expired_sent:
            if self._connection is not None:
                self._connection.cancel(stream)
            stream.discard_body()
        for stream in (*expired_sent, *expired_pending):
            if not stream.status:
                stream.fault = TransportFault.TIMEOUT_CONNECT if stream.wire == NOT_SENT else TransportFault.TIMEOUT
                self._unusable = self._unusable or self.unresponsive_since <= stream.started
            self._complete(stream)
        if expired_sent or expired_pending:
            self._send_pending()
            self._close_if_drained()

    def _stream_ended(self, stream: Stream) -> None:
        """Complete a stream: its response is whole, or the provider has reset it."""
        if stream.status:
            self.responded = True
        elif stream.fault == TransportFault.REFUSED_STREAM:
            self._unusable = True
        self._complete(stream)
        if self._pending:
            self._send_pending()
        if self._unusable or self.draining:
            self._close_if_drained()

    def _complete(self, stream: Stream) -> None:
        on_done, stream.on_done = stream.on_done, None
        if on_done is None:
            return  # the end of another brought about its own
        now = time.monotonic()
        stream.ms = int((now - stream.started) * 1000)
        if stream.status:
            self.unresponsive_since = now
            stream.fault = stream.error = ""
        try:
            on_done(stream)
        except Exception:
            log.exception("the callback of a request raised; the connection goes on")
