"""The requests of one pooled connection, those that wait and those that are under way: their deadlines and their ends.

Invariants: on_done is called exactly once per request, within its deadline, and nothing raised by it gets out.
"""

import asyncio
import logging
import math
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
EARLY_SECONDS: Final = 0.05
"""Seconds by which a request may end before its deadline, never later: those of so short a time end together."""


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
        # Who has requests under way wakes for the first deadline alone, which hardly ever comes.
        self._timer: asyncio.TimerHandle | None = None
        self._first_deadline = math.inf  # of those that the timer was set for (time.monotonic)
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

    def _watch(self, deadline: float, now: float) -> None:
        """Set the timer for a deadline, earlier than any before it (both in time.monotonic)."""
        self._stop_timer()
        self._first_deadline, time_left = deadline, deadline - now
        if time_left > EARLY_SECONDS:
            time_left -= EARLY_SECONDS / 2  # for the loop may have other things to do first
        self._timer = self._loop.call_later(max(0.001, time_left), self._on_timer)

    def _stop_timer(self) -> None:
        self._first_deadline = math.inf
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
        self._stop_timer()
        self._expire()
        if not self.closed:
            sent = min((stream.deadline for stream in self._streams.values()), default=math.inf)
            first = min(sent, self._pending.first_deadline())
            if first < self._first_deadline:  # else what has ended has brought about others
                self._watch(first, time.monotonic())

    def _expire(self) -> None:
        """End the requests whose deadline is reached."""
        now = time.monotonic()
        limit = now + EARLY_SECONDS
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
