"""HTTP/2 client with a pool of connections per endpoint: which connection a request takes.

A Channel per (origin, credential) sends over one PooledConnection and moves to a fresh one when that one is stale, so
that a silent connection does not swallow later pushes. Invariants: one post is at most one complete request on the
wire; on_done is called exactly once, on the loop, within the timeout; no redirect is followed; proxy, certificates and
host names come from the arguments alone, never from the environment; HTTP/2 over TLS or nothing.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec

from delivery.http2 import hpack_encoding
from delivery.http2.addresses import DialError
from delivery.http2.backoff import Backoff
from delivery.http2.connection_sender import MAX_REQUEST_FIELDS
from delivery.http2.dial import Endpoint, TlsTrust
from delivery.http2.dialer import Dialer
from delivery.http2.peer_clock import PeerClock
from delivery.http2.pooled_connection import PooledConnection
from delivery.http2.stream import Stream
from delivery.outcomes.transport import TransportFault

IDLE_SECONDS: Final = 900.0
"""A channel unused for so long is closed."""
SWEEP_SECONDS: Final = 60.0
STREAMS_PER_CONNECTION: Final = 250
"""Requests in flight on a connection before one more may be opened, for providers that allow few on one."""
MAX_CONNECTIONS: Final = 8


class ChannelState(msgspec.Struct, frozen=True):
    """A channel's gauges; connections is more than 1 while requests end on a connection that was given up."""

    origin: str
    credential_id: int
    connections: int
    in_flight: int


class Channel:
    """The connection pool for one origin with one credential. Nothing is opened before the first post."""

    def __init__(self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint, dialer: Dialer) -> None:
        """endpoint: where its connections lead; dialer: opens them."""
        self.used_at = time.monotonic()
        self.closed = False
        self._loop, self._dialer = loop, dialer
        self._request_start = hpack_encoding.request_start(endpoint.authority)
        self._primary: PooledConnection | None = None
        self._others: list[PooledConnection] = []

    def post(
        self,
        path: str,
        field_block: bytes,
        body: bytes,
        timeout: float,
        on_done: Callable[[Stream], None],
        tag: object = None,
        tenant: int = 0,
        *,
        urgent: bool = False,
    ) -> None:
        """Send one POST; on_done(stream) is called within timeout seconds. See Stream for what it holds.

        tenant: whose it is; those of several tenants that have to wait go on in turn. urgent: ahead of others then.

        path begins with "/"; field_block is what hpack_encoding.field_block() made of the other fields. UnicodeError if
        the path is not ASCII, ValueError if the fields are too long together; then nothing was sent and on_done is not
        called.
        """
        encoded_path = hpack_encoding.string_literal(path.encode("ascii"))
        length = hpack_encoding.content_length_field(len(body))
        header_block = b"%b%b%b%b" % (self._request_start, encoded_path, field_block, length)
        if len(header_block) > MAX_REQUEST_FIELDS:
            raise ValueError("the fields of the request are too long")
        self.used_at = now = time.monotonic()
        stream = Stream(header_block, body, time.time(), now, now + timeout, on_done, tag, tenant, urgent=urgent)
        self._submit(stream, now)

    def _submit(self, stream: Stream, now: float) -> None:
        connection = self._primary
        if self.closed:
            stream.fault = TransportFault.STOPPED
            if stream.on_done is not None:
                self._loop.call_soon(stream.on_done, stream)
            return
        if connection is None or connection.is_stale(now):
            connection = self._replace_primary(connection)
            stream.opened_connection = True
        else:
            in_flight = connection.in_flight
            if in_flight >= STREAMS_PER_CONNECTION or in_flight >= connection.max_concurrent_streams:
                connection = self._least_loaded(connection, stream, now)
        connection.submit(stream, now)

    def _resubmit(self, stream: Stream) -> None:
        """Submit again what a connection that has ended has not sent."""
        self._submit(stream, time.monotonic())

    def _new_connection(self) -> PooledConnection:
        return PooledConnection(self._loop, self._dialer, self._resubmit, self._calm_down)

    def _calm_down(self, error: DialError) -> None:
        """Send nothing and dial nobody for a while: the provider asks for calm."""
        pause = self._dialer.channel.calm(error)
        if pause:
            for connection in self.connections():
                connection.hold(pause)

    def _replace_primary(self, before: PooledConnection | None) -> PooledConnection:
        self._drop_closed()
        if before is not None:
            before.drain()
            if not before.closed:
                self._others.append(before)
        self._primary = self._new_connection()
        return self._primary

    def _drop_closed(self) -> None:
        self._others = [other for other in self._others if not other.closed]

    def _least_loaded(self, primary: PooledConnection, stream: Stream, now: float) -> PooledConnection:
        """Return the connection with the fewest requests; a new one where all are full and the provider answers."""
        self._drop_closed()
        live = [other for other in self._others if not other.draining and not other.is_stale(now)]
        best = min((primary, *live), key=_in_flight)
        full = best.in_flight >= min(STREAMS_PER_CONNECTION, best.max_concurrent_streams)
        if full and primary.responded and len(live) + 1 < MAX_CONNECTIONS:
            best = self._new_connection()
            stream.opened_connection = True
            self._others.append(best)
        return best

    def connections(self) -> list[PooledConnection]:
        """Return the connections that are still open, those given up included."""
        every = [*self._others, self._primary] if self._primary is not None else self._others
        return [connection for connection in every if not connection.closed]

    def close(self) -> None:
        """Close all connections; requests under way end as TransportFault.STOPPED."""
        self.closed = True
        for connection in self.connections():
            connection.close()
        self._primary = None


def _in_flight(connection: PooledConnection) -> int:
    return connection.in_flight


class Engine:
    """The HTTP/2 client of a process: all its channels, on one loop.

    clock: the time of day for what it signs; on_sweep: what else is to be called once in SWEEP_SECONDS, to forget what
    is no longer used.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ca_file: str = "",
        proxy: str = "",
        no_proxy: str = "",
        *,
        patient: bool = True,
    ) -> None:
        """Take what is trusted, and the outgoing proxy.

        ca_file: PEM file of the certification authorities ("": certifi's); proxy: "http[s]://[user:password@]host:port"
        ("": none); no_proxy: hosts reached without it, separated by commas, as in NO_PROXY ("*": all); patient: a
        request waits, as long as its time lasts, for another dial after one has failed, else it fails with it.
        """
        self.loop = loop
        self.closed = False
        self.on_sweep: list[Callable[[], None]] = []
        self.clock = PeerClock()
        self._patient = patient
        self._origins: dict[str, Backoff] = {}
        self._trust = TlsTrust(ca_file, proxy, no_proxy)
        self._channels: dict[tuple[str, int], Channel] = {}
        self._sweep_timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def channel(
        self,
        origin: str,
        credential_id: int,
        cert_pem: str = "",
        key_pem: str = "",
        refusals: frozenset[str] = frozenset(),
    ) -> Channel:
        """Return the channel of a credential at an origin ("https://host[:port]").

        cert_pem and key_pem are the client certificate, with its chain, and its key; refusals are the reasons in a
        GOAWAY that turn the credential down: what was not sent ends with TransportFault.CREDENTIAL and that reason as
        its error. All are read at the first call only.
        """
        channel = self._channels.get((origin, credential_id))
        if channel is None:
            endpoint = Endpoint(origin, self._trust, cert_pem, key_pem, refusals)
            dialer = Dialer(self.loop, endpoint, self._origins.setdefault(origin, Backoff()), patient=self._patient)
            channel = self._channels[origin, credential_id] = Channel(self.loop, endpoint, dialer)
            channel.closed = self.closed
        return channel

    def channel_states(self) -> list[ChannelState]:
        """Return the state of each channel, for metrics."""
        states = []
        for (origin, credential_id), channel in self._channels.items():
            open_ = channel.connections()
            states.append(ChannelState(origin, credential_id, len(open_), sum(map(_in_flight, open_))))
        return states

    def _sweep(self) -> None:
        """Close what nobody has used for long: a credential that was replaced, an app that is gone; ask the idle."""
        self._sweep_timer = self.loop.call_later(SWEEP_SECONDS, self._sweep)
        now = time.monotonic()
        for key, channel in list(self._channels.items()):
            connections = channel.connections()
            if channel.used_at < now - IDLE_SECONDS and not any(map(_in_flight, connections)):
                del self._channels[key]
                channel.close()
                continue
            for connection in connections:
                connection.ping_if_idle(now)
        for forget in self.on_sweep:
            forget()
        origins = {origin for origin, _ in self._channels}
        self._origins = {origin: backoff for origin, backoff in self._origins.items() if origin in origins}

    async def close(self) -> None:
        """Close all connections; requests under way end as TransportFault.STOPPED, and so does every later one."""
        self.closed = True
        self._sweep_timer.cancel()
        while self._channels:
            self._channels.popitem()[1].close()
