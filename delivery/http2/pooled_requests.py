"""The requests of one pooled connection, those that wait and those that are under way: their deadlines and their ends.

Invariants: on_done is called exactly once per request, within its deadline, and nothing raised by it gets out.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from typing import Final

from delivery.http2.addresses import DialError
from delivery.http2.connection import Connection
from delivery.http2.stream import Stream
from delivery.http2.waiting_streams import WaitingStreams
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import NOT_SENT

log = logging.getLogger(__name__)

UNRESPONSIVE_SECONDS: Final = 1.5
"""A connection on which requests wait and that has answered nothing for so long is taken for dead; so is a dial."""
TIMER_INTERVAL: Final = 0.05
"""Seconds between two looks at the deadlines; a request may end by so much earlier, never later."""


class PooledRequests(ABC):
    """The requests of a pooled connection, see the module.

    unresponsive_since is when the connection answered last, or when its first request began to wait (time.monotonic);
    closed tells whether it has ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start without any."""
        self.unresponsive_since = time.monotonic()
        self.closed = False
        self._loop = loop
        self._pending = WaitingStreams()
        self._streams: dict[int, Stream] = {}  # the connection's own
        self._connection: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unusable = self._held = False

    @property
    def in_flight(self) -> int:
        """How many requests have no response yet, those included that wait to be sent."""
        return len(self._streams) + self._pending.count

    @abstractmethod
    def _send_pending(self) -> None:
        """Send pending requests, as far as the connection takes them."""

    @abstractmethod
    def _close_if_drained(self) -> None:
        """Close a connection that takes no more requests and has none left."""

    @abstractmethod
    def _reason(self) -> DialError | None:
        """Return why nothing can be sent, None where it is not known."""

    @abstractmethod
    def _is_hanging(self, now: float, since: float) -> bool:
        """Tell whether the connection has answered nothing since a request began (time.monotonic)."""

    def _watch(self, time_left: float) -> None:
        """Start the timer for a request that has so many seconds left."""
        if self._timer is None:
            self._timer = self._loop.call_later(max(0.001, min(TIMER_INTERVAL, time_left)), self._on_timer)
        elif time_left < TIMER_INTERVAL:
            self._loop.call_later(max(0.001, time_left), self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take_sent(self) -> list[Stream]:
        """Remove and return the open streams; what has come of their responses is not whole."""
        sent = list(self._streams.values())
        self._streams.clear()
        for stream in sent:
            stream.discard_body()
        return sent

    def _fail_all(self, streams: list[Stream], fault: TransportFault, error: str) -> None:
        for stream in streams:
            if not stream.status:
                stream.fault, stream.error = fault, error
            self._complete(stream)

    def _on_timer(self) -> None:
        self._timer = None
        self._expire()
        if (self._streams or self._pending.count) and not self.closed:
            self._timer = self._loop.call_later(TIMER_INTERVAL, self._on_timer)

    def _expire(self) -> None:
        """End the requests whose deadline is reached."""
        now = time.monotonic()
        limit = now + TIMER_INTERVAL
        expired_pending = self._pending.take_until(limit)
        expired_sent = [stream for stream in self._streams.values() if stream.deadline <= limit]
        for stream in expired_sent:
            if self._connection is not None:
                self._connection.cancel(stream)
            stream.discard_body()
        for stream in (*expired_sent, *expired_pending):
            if not stream.status:
                self._name_fault(stream)
                self._unusable = self._unusable or self._is_hanging(now, stream.started)
            self._complete(stream)
        if expired_sent or expired_pending:
            self._send_pending()
            self._close_if_drained()

    def _name_fault(self, stream: Stream) -> None:
        """Say of an expired request why there was no answer: what kept it from being sent, or that none came."""
        stream.fault = TransportFault.TIMEOUT
        if stream.wire == NOT_SENT:
            reason = None if stream.stream_id else self._reason()
            stream.fault = TransportFault.TIMEOUT_CONNECT if reason is None else reason.fault
            stream.error = "" if reason is None else str(reason)

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
