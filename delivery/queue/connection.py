"""One pipelined connection to Valkey: commands leave in one write for each turn of the loop, replies come in order.

It watches over its server: a peer that owes replies and says nothing is broken off, one that owes nothing is sent a
PING now and then, and the kernel looks after what neither of these sees. Time is counted in looks at the connection,
not by the clock: a process that stood still itself has looked once, and blames nobody. A connection that owes nothing
is looked at seldom, and often again from the next command on.

Invariants: a command is written at most once; each future gets its reply or ConnectionLost, within a bounded time.

Protocol: RESP2, https://valkey.io/topics/protocol/. Keepalive: tcp(7), RFC 9293 3.8.4; TCP_USER_TIMEOUT: RFC 5482.
"""

import asyncio
import collections
import logging
import math
import socket
from collections.abc import Callable
from typing import Any, Final

import hiredis

logger = logging.getLogger(__name__)
pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command

# Seconds without a byte from a server that owes replies after which its connection is broken off.
REPLY_TIMEOUT: Final = 2.0
# Seconds between two looks at a connection while replies are owed; while the server itself holds back the one that
# comes next; and while none is owed, after which it is sent a PING if it has said nothing meanwhile.
LOOK_INTERVAL: Final = 0.25
BLOCKED_INTERVAL: Final = 2.0
PING_INTERVAL: Final = 2.0
# Commands that the server itself holds back, and where they say for how many seconds at most (0: without end).
BLOCKING: Final = {"BLMOVE": -1, "BLPOP": -1, "BRPOP": -1, "BRPOPLPUSH": -1, "BLMPOP": 1}
# Seconds: of silence before the kernel probes a peer and between two probes; until what was sent must be acknowledged.
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, USER_TIMEOUT = 5, 2, 8


class ConnectionLost(ConnectionError):
    """The connection is down, or broke before the answer came."""


def refuse(future: "asyncio.Future[Any] | None") -> None:
    """Let a future end as ConnectionLost, because its command was not written."""
    if future is not None and not future.done():
        future.set_exception(ConnectionLost("Valkey is away"))
        future.exception()  # seen: whoever dropped the future does not care


class Connection(asyncio.Protocol):
    """See the module.

    `waiting` are the futures of the replies that are owed, None where nobody asked for one; `ended` is done once the
    connection is closed.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_closed: "Callable[[Connection], None]", timeout: float = REPLY_TIMEOUT
    ) -> None:
        """`timeout`: seconds of silence that are borne while replies are owed."""
        self._loop, self._on_closed, self._timeout = loop, on_closed, timeout
        self._reader = hiredis.Reader()
        self.waiting: collections.deque[asyncio.Future[Any] | None] = collections.deque()
        self._unwritten: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Seconds that are left to commands with a time of their own.
        self._time_left: dict[asyncio.Future[Any], float] = {}
        self._heard = False
        self._silent = 0.0  # seconds of looks without a byte, one after the other, while replies were owed
        self._pause = LOOK_INTERVAL  # from the last look to the next one
        self._rests = False  # whether that is longer than it is to be while replies are owed
        self.closed = False
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            _watch_peer(sock)
        self._look_after(LOOK_INTERVAL)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._reader.feed(data)
        gets, waiting = self._reader.gets, self.waiting
        while (answer := gets()) is not False:
            future = waiting.popleft()
            if future is not None:
                if self._time_left:
                    self._time_left.pop(future, None)
                if not future.done():
                    future.set_result(answer)
            elif isinstance(answer, hiredis.ReplyError):
                logger.error("Valkey answered a command with an error: %s", answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._unwritten.clear()
        self._time_left.clear()
        for future in self.waiting:
            if future is not None and not future.done():
                future.set_exception(ConnectionLost("the connection to Valkey broke"))
                future.exception()  # seen: whoever dropped the future does not care
        self.waiting.clear()
        self._on_closed(self)
        if not self.ended.done():  # whoever waited for it may have been cancelled
            self.ended.set_result(None)

    def post(self, commands: bytes, count: int, last: "asyncio.Future[Any] | None" = None) -> bool:
        """Write `count` packed commands; `last` gets the answer to the last one (an Exception object if refused).

        Returns False, having written nothing, when the connection is closed; `last` then raises ConnectionLost.
        """
        if self.closed:
            refuse(last)
            return False
        waiting = self.waiting
        for _ in range(count - 1):
            waiting.append(None)
        waiting.append(last)
        if not self._unwritten:
            self._loop.call_soon(self._write)
            if self._rests:
                self._look_after(LOOK_INTERVAL)
        self._unwritten.append(commands)
        return True

    def execute(self, *command: Any, timeout: float | None = None) -> "asyncio.Future[Any]":
        """Write one command and return the future of its answer.

        ConnectionLost when the connection is or goes down, which it does when the answer takes longer than `timeout`
        seconds. A command that blocks may take its own time and as long again as any other; others need no `timeout`.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        if timeout is None and command[0] in BLOCKING:
            timeout = (float(command[BLOCKING[command[0]]]) or math.inf) + self._timeout
        if self.post(pack(command), 1, future) and timeout is not None:
            self._time_left[future] = timeout + LOOK_INTERVAL
        return future

    def _write(self) -> None:
        commands = b"".join(self._unwritten)
        self._unwritten.clear()
        # What was posted to a connection that broke in the same turn has got ConnectionLost.
        if commands and self._transport is not None:
            self._transport.write(commands)

    def _look_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._pause, self._rests = seconds, seconds > LOOK_INTERVAL
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        overdue, passed = False, self._pause
        for future in self._time_left:
            self._time_left[future] -= passed
            overdue = overdue or self._time_left[future] <= 0
        waiting, heard, self._heard = self.waiting, self._heard, False
        blocked = bool(waiting) and waiting[0] in self._time_left  # what has a time of its own holds up all behind it
        if heard or not waiting or blocked:
            self._silent = 0.0
        else:
            self._silent += passed
            overdue = overdue or self._silent > self._timeout
        if not waiting and not heard and self._rests:
            self.post(pack(("PING",)), 1)
        if overdue:
            logger.error("Valkey owes %d replies and sends none: the connection is broken off", len(waiting))
            self.abort()
        self._look_after(self._next_pause(blocked=blocked))

    def _next_pause(self, *, blocked: bool) -> float:
        """Seconds until the next look."""
        if not self.waiting:
            return PING_INTERVAL
        if blocked:
            return max(LOOK_INTERVAL, min(BLOCKED_INTERVAL, *self._time_left.values()))
        return LOOK_INTERVAL

    def abort(self) -> None:
        """Break the connection off at once; whoever waits gets ConnectionLost."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection when everything is written; whoever waits gets ConnectionLost."""
        self._write()
        if self._transport is not None:
            self._transport.close()


def _watch_peer(sock: socket.socket) -> None:
    """Let the kernel notice a peer that is gone, also while nothing is sent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT * 1000)
