"""One connection to a provider with the requests that wait for it, and the clock that ends each of them in time.

Invariants: done is called exactly once per request, within its deadline, and never from inside post; nothing raised by
done gets out; a request is written to this connection or to none.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from delivery.http2.addresses import DialError
from delivery.http2.connection import Connection
from delivery.http2.dial import Way
from delivery.http2.exchange import Exchange
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import NOT_SENT

log = logging.getLogger(__name__)

QUIET_SECONDS: Final = 1.5
"""A lane on which requests wait and that has answered nothing for so long seems dead."""
IDLE_SECONDS: Final = 600.0
"""A connection that lay idle for so long is not used again: what is on the way may have forgotten it."""
TICK: Final = 0.05
"""Seconds between two looks at the deadlines; a request may end by so much earlier, never later."""


class Lane:
    """See the module. quiet_since is when it answered last, or when its first request began to wait (time.monotonic);
    answered tells whether it has answered anything yet, retired whether it takes no more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, way: Way, pass_on: Callable[[Exchange], None]) -> None:
        """Make it ready; the connection is opened by the first request. pass_on: takes what another lane may send."""
        self._pass_on = pass_on
        self.quiet_since = time.monotonic()
        self.closed = self.answered = self.retired = False
        self._loop, self._way = loop, way
        self._waiting: deque[Exchange] = deque()
        self._connection: Connection | None = None
        self._streams: dict[int, Exchange] = {}
        self._dialling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unfit = False

    @property
    def load(self) -> int:
        """How many requests have no end yet."""
        return len(self._streams) + len(self._waiting)

    @property
    def most(self) -> int:
        """How many requests at once the provider takes on it."""
        return self._connection.most if self._connection is not None else 1_000_000

    def post(self, exchange: Exchange, now: float) -> None:
        """Send one request, at once if there is room for it; now: time.monotonic()."""
        if not self._streams and not self._waiting:
            self.quiet_since = now
        connection = self._connection
        if connection is not None and not self._waiting and connection.room(len(exchange.rest)):
            connection.send(exchange)
        else:
            self._waiting.append(exchange)
            if connection is None and self._dialling is None:
                self._dialling = self._loop.create_task(self._dial())
        left = exchange.deadline - now
        if self._timer is None:
            self._timer = self._loop.call_later(max(0.001, min(TICK, left)), self._tick)
        elif left < TICK:
            self._loop.call_later(max(0.001, left), self._expire)

    async def _dial(self) -> None:
        try:
            connection = await self._way.open(self._loop, lambda: Connection(self._go_on, self._ended, self._lost))
        except DialError as error:
            self._lost(error.fault, str(error))
            return
        except Exception as error:  # noqa: BLE001  its text is not told: it may quote the proxy's password
            log.error("a connection could not be opened, in an unforeseen way: %s", type(error).__name__)
            self._lost(TransportFault.CONNECT, type(error).__name__)
            return
        finally:
            self._dialling = None
        if self.closed:
            connection.close()
            return
        self._connection, self._streams = connection, connection.streams
        self._go_on()

    def _go_on(self) -> None:
        """Send what waits, as far as there is room."""
        connection, waiting = self._connection, self._waiting
        if connection is None:
            return
        while waiting and connection.room(len(waiting[0].rest)):
            connection.send(waiting.popleft())
        if connection.greeted and not connection.fit:
            self._unfit = True
            self._leave(list(waiting))
            self._close_if_over()

    def _leave(self, unsent: list[Exchange]) -> None:
        """Give what was never written to another connection; not from one that ends before it answers anything."""
        if not self.answered:
            self._end_all(unsent, TransportFault.REFUSED_STREAM, "")
            return
        self._waiting.clear()
        for exchange in unsent:
            self._pass_on(exchange)

    def seems_dead(self, now: float) -> bool:
        """Tell whether requests should rather take another lane; now: time.monotonic()."""
        if self.closed or self._unfit:
            return True
        if self._streams or self._waiting:
            return now - self.quiet_since > QUIET_SECONDS
        connection = self._connection
        # The peer's farewell may lie in the socket while we decide.
        return connection is not None and (now - self.quiet_since > IDLE_SECONDS or connection.left())

    def retire(self) -> None:
        """Take no further requests; those under way go on, and the lane closes after the last of them."""
        self.retired = True
        self._close_if_over()

    def close(self) -> None:
        """End at once: what is under way ends as TransportFault.STOPPED."""
        if self.closed:
            return
        self._shut()
        self._end_all([*self._sent(), *self._waiting], TransportFault.STOPPED, "")

    def _shut(self) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dialling is not None:
            self._dialling.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close_if_over(self) -> None:
        if (self.retired or self._unfit) and not self._streams and not self._waiting and not self.closed:
            self._shut()

    def _lost(self, fault: TransportFault, error: str) -> None:
        """The connection has ended, or could not be opened."""
        if self.closed:
            return
        self._shut()
        self._end_all([*self._sent(), *self._waiting], fault, error)

    def _sent(self) -> list[Exchange]:
        """Take what was sent and has no end yet; what has come of its answers is not whole."""
        sent = list(self._streams.values())
        self._streams.clear()
        for exchange in sent:
            exchange.cut()
        return sent

    def _end_all(self, exchanges: list[Exchange], fault: TransportFault, error: str) -> None:
        self._waiting.clear()
        for exchange in exchanges:
            if not exchange.status:
                exchange.fault, exchange.error = fault, error
            self._end(exchange)

    def _tick(self) -> None:
        self._timer = None
        self._expire()
        if (self._streams or self._waiting) and not self.closed:
            self._timer = self._loop.call_later(TICK, self._tick)

    def _expire(self) -> None:
        """End what has waited for long enough."""
        limit = time.monotonic() + TICK
        late = [exchange for exchange in self._waiting if exchange.deadline <= limit]
        if late:
            self._waiting = deque(exchange for exchange in self._waiting if exchange.deadline > limit)
        due = [exchange for exchange in self._streams.values() if exchange.deadline <= limit]
        for exchange in due:
            if self._connection is not None:
                self._connection.forget(exchange)
            exchange.cut()
        for exchange in (*due, *late):
            if not exchange.status:
                exchange.fault = TransportFault.TIMEOUT_CONNECT if exchange.wire == NOT_SENT else TransportFault.TIMEOUT
                self._unfit = self._unfit or self.quiet_since <= exchange.started
            self._end(exchange)
        if due or late:
            self._go_on()
            self._close_if_over()

    def _ended(self, exchange: Exchange) -> None:
        """An answer is whole, or the provider has broken its stream off."""
        if exchange.status:
            self.answered = True
        elif exchange.fault == TransportFault.REFUSED_STREAM:
            self._unfit = True
        self._end(exchange)
        if self._waiting:
            self._go_on()
        if self._unfit or self.retired:
            self._close_if_over()

    def _end(self, exchange: Exchange) -> None:
        done, exchange.done = exchange.done, None
        if done is None:
            return  # the end of another brought about its own
        now = time.monotonic()
        exchange.ms = int((now - exchange.started) * 1000)
        if exchange.status:
            self.quiet_since = now
            exchange.fault = exchange.error = ""
        try:
            done(exchange)
        except Exception:
            log.exception("What follows an answer failed; the connection goes on")
