"""One connection of a pool: its dial, what it is still good for, and its end.

A request that no connection is there for waits for one, through as many dials as its time allows, and shares them with
all others. Invariants: a request is written to this connection or to none, and never from inside submit is on_done
called; what was never written when the connection ends is handed back, for another one to send.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from delivery.http2 import frames
from delivery.http2.addresses import DialError
from delivery.http2.connection import Connection
from delivery.http2.dialer import Dialer
from delivery.http2.pooled_requests import UNRESPONSIVE_SECONDS, PooledRequests
from delivery.http2.stream import Stream
from delivery.outcomes.transport import TransportFault

IDLE_SECONDS: Final = 600.0
"""A connection that lay idle for so long is not used again: what is on the way may have forgotten it."""
FRESH_SECONDS: Final = 0.2
"""A connection that is younger is not given up because a request that waited for it has no time left."""
PING_AFTER: Final = 30.0
"""A connection that lay idle for so long is asked by PING whether it lives, whenever the pool is looked through."""
PING_SECONDS: Final = 5.0


class PooledConnection(PooledRequests):
    """A connection of a pool, see the module. responded tells whether it has answered anything yet, draining whether it
    takes no more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        dialer: Dialer,
        resubmit: Callable[[Stream], None],
        on_calm: Callable[[DialError], None],
    ) -> None:
        """Open nothing: the first request does.

        resubmit: takes what another connection may send; on_calm(error): the peer asks for calm, in these words.
        """
        super().__init__(loop)
        self.responded = self.draining = False
        self._dialer, self._resubmit, self._on_calm = dialer, resubmit, on_calm
        self._dial_task: asyncio.Task[None] | None = None
        self._dialling_since: float | None = None  # None: the dial waits for its turn
        self._refuses = False  # the last that it said of a request was REFUSED_STREAM
        self._doubtful = True  # it has not answered yet, or it refuses, or gets few requests at once
        self._caution: int | None = None  # see Dialer
        self._answers = 0  # as long as it is doubtful

    @property
    def max_concurrent_streams(self) -> int:
        """How many requests at once the provider takes on it."""
        return self._connection.max_concurrent_streams if self._connection is not None else 1_000_000

    def submit(self, stream: Stream, now: float) -> None:
        """Send one request, at once if there is room for it; now: time.monotonic()."""
        if not self._streams and not self._pending.count and not self._refuses:
            self.unresponsive_since = now
        connection = self._connection
        if connection is not None and not self._pending.count and connection.can_send(len(stream.unsent_body)):
            connection.send(stream)
        else:
            self._pending.add(stream)
            if connection is None and self._dial_task is None:
                self._dial_task = self._loop.create_task(self._dial())
        if stream.deadline < self._first_deadline:  # of hardly any request
            self._watch(stream.deadline, now)

    async def _dial(self) -> None:
        connection = None
        try:
            while connection is None:
                try:
                    connection = await self._dialer.open(self._make_connection, self._begin_dial)
                except DialError as error:
                    self._dialling_since = None
                    # A credential that was turned down is not better the next time, and the app may have another.
                    if not self._pending.count or not self._dialer.patient or error.fault == TransportFault.CREDENTIAL:
                        self._dial_task = None
                        self._end(error.fault, str(error))
                        return
        finally:
            self._dial_task = None
        if self.closed:
            connection.close()
            return
        self.unresponsive_since = time.monotonic()
        self._connection, self._streams = connection, connection.streams
        self._caution = self._dialer.caution
        connection.limit_streams(connection.max_concurrent_streams, self._caution)
        if self._held:
            connection.hold()
        self._send_pending()

    def _make_connection(self) -> Connection:
        return Connection(
            self._send_pending, self._stream_ended, self._connection_lost, self._notice, self._dialer.refusals
        )

    def _begin_dial(self) -> None:
        self._dialling_since = time.monotonic()

    def _send_pending(self) -> None:
        connection, pending = self._connection, self._pending
        if connection is None:
            return
        while pending.count and connection.can_send(len(pending.first().unsent_body)):
            connection.send(pending.take())
        if connection.settings_received and not connection.accepts_streams:
            self._unusable = True
            if connection.refusal:  # elsewhere it would be turned down as well
                self._fail_all(self._pending.take_all(), TransportFault.CREDENTIAL, connection.refusal)
            else:
                self._resubmit_all(self._pending.take_all())
            self._close_if_drained()

    def _resubmit_all(self, unsent: list[Stream]) -> None:
        for stream in unsent:
            self._resubmit(stream)

    def is_stale(self, now: float) -> bool:
        """Tell whether requests should rather take another connection; now: time.monotonic()."""
        if self.closed or self._unusable:
            return True
        connection = self._connection
        if connection is None:  # who waits for a turn to dial would wait for the same one elsewhere
            return self._dialling_since is not None and now - self._dialling_since > UNRESPONSIVE_SECONDS
        if self._streams or self._pending.count or self._refuses:
            return not self._held and now - self.unresponsive_since > UNRESPONSIVE_SECONDS
        # The peer's close_notify may lie in the socket while we decide.
        return now - self.unresponsive_since > IDLE_SECONDS or connection.is_stale()

    def _is_hanging(self, now: float, since: float) -> bool:
        if self._connection is None or self._held:
            return False
        if self.responded:
            return self.unresponsive_since <= since
        return now - self.unresponsive_since > FRESH_SECONDS

    def _reason(self) -> DialError | None:
        since = self._dialling_since
        hangs = since is not None and time.monotonic() - since > UNRESPONSIVE_SECONDS
        waits = self._held if self._connection is not None else not hangs
        return self._dialer.reason() if waits else None

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: the peer asks for calm. What is under way goes on."""
        self._held = True
        if self._connection is not None:
            self._connection.hold()
        self._loop.call_later(seconds, self._release)

    def _release(self) -> None:
        self._held = False
        if self._connection is not None:
            self.unresponsive_since = time.monotonic()
            self._connection.release()

    def ping_if_idle(self, now: float) -> None:
        """Ask an idle connection by PING whether it lives, so that no push has to find out; now: time.monotonic()."""
        connection = self._connection
        if connection is not None and not self.in_flight and now - self.unresponsive_since > PING_AFTER:
            connection.ping()
            self._loop.call_later(PING_SECONDS, self._judge_ping, connection)

    def _judge_ping(self, connection: Connection) -> None:
        if self._connection is connection and connection.ping_unanswered:
            self._unusable = True
            self._close_if_drained()

    def drain(self) -> None:
        """Take no further requests; those under way go on, and the connection closes after the last of them."""
        self.draining = True
        self._close_if_drained()

    def close(self) -> None:
        """End at once: what is under way ends as TransportFault.STOPPED."""
        self._end(TransportFault.STOPPED, "")

    def _close_now(self) -> None:
        self.closed = True
        self._stop_timer()
        if self._dial_task is not None:
            self._dial_task.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close_if_drained(self) -> None:
        """Close what takes no more requests and has none left; a dial ends with the last that waits for it."""
        connection = self._connection
        if not (self.draining or self._unusable or connection is None) or self.in_flight or self.closed:
            return
        if connection is not None and connection.refusal:
            pass  # counted when it was said
        elif connection is not None and connection.goaway_text:
            self._count_unproductive(TransportFault.GOAWAY, connection.goaway_text)
        elif connection is not None and connection.used:
            self._count_unproductive(TransportFault.TIMEOUT_CONNECT, "")
        self._close_now()

    def _end(self, fault: TransportFault, error: str) -> None:
        """Fail all requests."""
        if not self.closed:
            self._close_now()
            self._fail_all([*self._take_sent(), *self._pending.take_all()], fault, error)

    def _connection_lost(self, fault: TransportFault, error: str) -> None:
        """Fail the requests that are under way, and let another connection send the others."""
        if self.closed:
            return
        self._count_unproductive(fault, error)
        if not self._dialer.patient:
            self._end(fault, error)
            return
        self._close_now()
        sent, pending = self._take_sent(), self._pending.take_all()
        self._fail_all(sent, fault, error)
        self._resubmit_all(pending)

    def _notice(self, error_code: int, text: str, *, goaway: bool) -> None:
        """Hear of a GOAWAY, or that the peer asks for calm."""
        self._dialer.log_notice(error_code, text)
        connection = self._connection
        if connection is not None and connection.refusal:
            # Counted here, and as what it is: the next who would dial is told so, and dials no more than in each pause.
            self._dialer.channel.failed(DialError(TransportFault.CREDENTIAL, connection.refusal))
        elif connection is not None and connection.taken is not None:
            few = connection.taken < connection.max_concurrent_streams
            self._dialer.caution = connection.taken if few else None
        if error_code == frames.ENHANCE_YOUR_CALM:
            self._on_calm(DialError(TransportFault.GOAWAY if goaway else TransportFault.REFUSED_STREAM, text))

    def _count_unproductive(self, fault: TransportFault, text: str) -> None:
        """Let a connection that ends without a single answer count like a dial that has failed."""
        if not self.responded:
            self._dialer.channel.failed(DialError(fault, text))

    def _stream_ended(self, stream: Stream) -> None:
        """Complete a stream: its response is whole, or the provider has reset it."""
        if stream.status:
            if self._doubtful:
                self._regain_trust()
        elif stream.fault == TransportFault.REFUSED_STREAM:
            self._refuses = self._doubtful = True  # this request alone was not taken (RFC 9113, 8.7)
        self._complete(stream)
        if self._pending.count:
            self._send_pending()
        if self._unusable or self.draining:
            self._close_if_drained()

    def _regain_trust(self) -> None:
        """Hear of an answer while the connection is in doubt."""
        self._answers += 1
        self.responded, self._refuses = True, False
        self._dialer.channel.succeeded()
        connection = self._connection
        if self._caution is not None and self._answers > self._caution and connection is not None:
            self._caution = self._dialer.caution = None
            connection.limit_streams(connection.max_concurrent_streams, None)
        self._doubtful = self._caution is not None
