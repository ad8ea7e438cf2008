"""One libcurl multi handle on the event loop: normally one HTTP/2 connection with many requests on it.

Invariants: the body of a request comes from a reader that cannot rewind, so libcurl never sends it a second time by
itself; done is called exactly once per request and never from inside a libcurl callback; nothing raised by done gets
out.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import pycurl

from delivery.senders.exchange import Exchange, forget
from delivery.senders.faults import HTTP2_STREAM
from delivery.senders.idle import IdleSockets
from delivery.verdict import MAYBE

log = logging.getLogger(__name__)

STREAMS_PER_CONNECTION: Final = 250
"""Requests in flight per connection before one more may be opened, for providers that allow few streams on one."""
MOST_CONNECTIONS: Final = 8
KEPT_HANDLES: Final = 512
_GOING_AWAY: Final = "reset by curl"
"""What libcurl says of a stream that was ended by a GOAWAY with an error; the peer's own RST_STREAM reads otherwise."""
QUIET_SECONDS: Final = 1.5
"""A lane on which requests wait and that has answered nothing for so long seems dead."""


class Lane:
    """A connection, seen from the requests' side.

    quiet_since is when it answered last, or when its first request began to wait (time.monotonic).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, options: Sequence[tuple[int, Any]]) -> None:
        """Make it ready; the connection is opened by the first request. options: what all handles have in common."""
        self.in_flight: set[Exchange] = set()
        self.quiet_since = time.monotonic()
        self._loop = loop
        self._options = options
        self._free: list[Exchange] = []
        self._watched: dict[int, int] = {}
        self._idle = IdleSockets()
        self._timer: asyncio.Handle | None = None
        self._soon = False
        self._connections = 1
        self.closed = False
        self._unfit = self._retired = False
        self._multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, 1000)
        multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)

    def post(
        self,
        url: str,
        headers: list[str],
        body: bytes,
        timeout_ms: int,
        done: Callable[[Exchange], None],
        tag: object,
        want_date: bool,
    ) -> None:
        """Send one request; done(exchange) follows within timeout_ms (at least 1)."""
        exchange = self._free.pop() if self._free else Exchange(self._options)
        exchange.prepare(url, headers, body, timeout_ms, want_date)
        exchange.done, exchange.tag = done, tag
        exchange.at = time.time()
        exchange.started = now = time.monotonic()
        waiting = self.in_flight
        if not waiting:
            self.quiet_since = now
        elif len(waiting) >= self._connections * STREAMS_PER_CONNECTION and self._connections < MOST_CONNECTIONS:
            self._allow_one_more_connection()
        waiting.add(exchange)
        self._multi.add_handle(exchange.curl)

    def _allow_one_more_connection(self) -> None:
        self._connections += 1
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, self._connections)

    def seems_dead(self, now: float) -> bool:
        """Tell whether requests should rather take another lane; now: time.monotonic()."""
        if self.in_flight:
            return self._unfit or now - self.quiet_since > QUIET_SECONDS
        return self._unfit or self._idle.any_hung_up()

    def retire(self) -> None:
        """Take no further requests; those under way go on, and the lane closes after the last of them."""
        self._retired = True
        if not self.in_flight:
            self._loop.call_soon(self.close)

    def close(self) -> None:
        """End at once: what is under way ends as "stopped"."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for fd, events in self._watched.items():
            self._unwatch(fd, events)
        stopped, self.in_flight = self.in_flight, set()
        for exchange in stopped:
            self._multi.remove_handle(exchange.curl)
            exchange.stop()
            self._tell(exchange)
            exchange.curl.close()
        for exchange in self._free:
            exchange.curl.close()
        self._free.clear()
        # In a thread of its own: libcurl waits for a name look-up that is still under way, for seconds if DNS is
        # silent.
        threading.Thread(target=self._multi.close, daemon=True).start()

    def _unwatch(self, fd: int, events: int) -> None:
        if events & pycurl.POLL_IN:
            self._loop.remove_reader(fd)
        if events & pycurl.POLL_OUT:
            self._loop.remove_writer(fd)

    def _watch(self, events: int, fd: int, multi: object, data: object) -> None:
        """Watch fd as libcurl wishes (its CURLMOPT_SOCKETFUNCTION)."""
        if self.closed:
            return
        before = self._watched.get(fd, 0)
        if events == pycurl.POLL_REMOVE:
            self._watched.pop(fd, None)
            self._unwatch(fd, before)
            self._idle.left(fd)
            return
        if not before:
            self._idle.taken(fd)
        self._watched[fd] = events
        self._unwatch(fd, before & ~events)
        fresh = events & ~before
        if fresh & pycurl.POLL_IN:
            self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
        if fresh & pycurl.POLL_OUT:
            self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)

    def _set_timer(self, milliseconds: int) -> None:
        """Call back in so many milliseconds; -1: not at all (its CURLMOPT_TIMERFUNCTION)."""
        if milliseconds == 0 and self._soon:
            return  # each request of a burst asks for it
        self._soon = milliseconds == 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.closed or milliseconds < 0:
            return
        if milliseconds == 0:
            self._timer = self._loop.call_soon(self._time_is_up)
        else:
            self._timer = self._loop.call_later(milliseconds / 1000, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer, self._soon = None, False
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, events: int) -> None:
        """Let libcurl work on one socket, then tell what has ended."""
        if self.closed:
            return
        self._multi.socket_action(fd, events)
        left = 1
        while left and not self.closed:
            left, whole, broken = self._multi.info_read()
            for curl in whole:
                self._end(curl.exchange, 0, "")
            for curl, code, message in broken:
                self._end(curl.exchange, code, message)
        if self._retired and not self.in_flight:
            self.close()

    def _end(self, exchange: Exchange, code: int, message: str) -> None:
        exchange.conclude(code, message)
        now = time.monotonic()
        exchange.ms = int((now - exchange.started) * 1000)
        if exchange.status:
            self.quiet_since = now
            if self._connections == 1:  # one at first, so that a burst shares it; from now on one may drain (GOAWAY)
                self._allow_one_more_connection()
        elif code == pycurl.E_OPERATION_TIMEDOUT:
            self._unfit = self._unfit or self.quiet_since <= exchange.started
        elif exchange.word == "refused_stream" or (code == HTTP2_STREAM and _GOING_AWAY in message):
            self._unfit = True  # libcurl takes no more requests for this connection, nor opens another beside it
        elif exchange.wire == MAYBE and code != HTTP2_STREAM:
            self._unfit = True  # libcurl may keep a connection that was reset and offer it to the next request
        self._multi.remove_handle(exchange.curl)
        self.in_flight.discard(exchange)
        self._tell(exchange)
        if len(self._free) < KEPT_HANDLES and not self.closed:
            self._free.append(exchange)
        else:
            exchange.curl.close()

    def _tell(self, exchange: Exchange) -> None:
        done, exchange.done = exchange.done, forget
        try:
            done(exchange)
        except Exception:
            log.exception("What follows an answer failed; the connection goes on")
