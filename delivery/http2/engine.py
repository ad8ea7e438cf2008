"""The HTTP/2 engine of both providers: which connection a request takes.

A Channel per (origin, credential) sends over one Lane and moves to a fresh one when the present one seems dead, so
that a silent connection does not swallow later pushes. Invariants: one post is at most one complete request on the
wire; done is called exactly once, on the loop, within the timeout; no redirect is followed; proxy, certificates and
host names come from the arguments alone, never from the environment; HTTP/2 over TLS or nothing.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec

from delivery.http2 import fields, frames
from delivery.http2.dial import Trust, Way
from delivery.http2.exchange import Exchange
from delivery.http2.lane import Lane
from delivery.outcomes.transport import TransportFault

IDLE_SECONDS: Final = 900.0
"""A channel unused for so long is closed."""
SWEEP_SECONDS: Final = 60.0
STREAMS_PER_CONNECTION: Final = 250
"""Requests in flight on a connection before one more may be opened, for providers that allow few on one."""
MOST_CONNECTIONS: Final = 8


class ChannelState(msgspec.Struct, frozen=True):
    """What metrics show of a channel; lanes is more than 1 while requests end on a connection that was given up."""

    origin: str
    credential_id: int
    lanes: int
    in_flight: int


class Channel:
    """The way to one origin with one credential. Nothing is opened before the first post."""

    def __init__(self, loop: asyncio.AbstractEventLoop, way: Way) -> None:
        """Take how to get there."""
        self.used_at = time.monotonic()
        self.closed = False
        self._loop, self._way = loop, way
        self._opening = fields.opening(way.authority)
        self._lane: Lane | None = None
        self._others: list[Lane] = []

    def post(
        self,
        path: str,
        head: bytes,
        body: bytes,
        timeout: float,
        done: Callable[[Exchange], None],
        tag: object = None,
    ) -> None:
        """Send one POST; done(exchange) is called within timeout seconds. See Exchange for what it tells.

        path begins with "/"; head is what fields.block() made of the other fields. UnicodeError if the path is not
        ASCII, ValueError if path and head are too long together; then nothing was sent and done is not called.
        """
        plain = path.encode("ascii")
        block = b"%b%b%b%b" % (self._opening, fields.text(plain), head, fields.ending(len(body)))
        if len(block) > frames.MOST:
            raise ValueError("the fields of the request are too long")
        self.used_at = now = time.monotonic()
        exchange = Exchange(block, body, time.time(), now, now + timeout, done, tag)
        self._put(exchange, now)

    def _put(self, exchange: Exchange, now: float) -> None:
        lane = self._lane
        if self.closed:
            exchange.fault = TransportFault.STOPPED
            if exchange.done is not None:
                self._loop.call_soon(exchange.done, exchange)
            return
        if lane is None or lane.seems_dead(now):
            lane = self._fresh_lane(lane)
            exchange.opened = True
        elif lane.load >= STREAMS_PER_CONNECTION or lane.load >= lane.most:
            lane = self._roomiest(lane, exchange, now)
        lane.post(exchange, now)

    def _pass_on(self, exchange: Exchange) -> None:
        """Take from a lane that has ended what it has not sent."""
        self._put(exchange, time.monotonic())

    def _new_lane(self) -> Lane:
        return Lane(self._loop, self._way, self._pass_on)

    def _fresh_lane(self, before: Lane | None) -> Lane:
        self._forget_closed()
        if before is not None:
            before.retire()
            if not before.closed:
                self._others.append(before)
        self._lane = self._new_lane()
        return self._lane

    def _forget_closed(self) -> None:
        self._others = [lane for lane in self._others if not lane.closed]

    def _roomiest(self, lane: Lane, exchange: Exchange, now: float) -> Lane:
        """The connection with the fewest requests; another one where all are full and the provider answers."""
        self._forget_closed()
        live = [other for other in self._others if not other.retired and not other.seems_dead(now)]
        best = min((lane, *live), key=_load)
        full = best.load >= min(STREAMS_PER_CONNECTION, best.most)
        if full and lane.answered and len(live) + 1 < MOST_CONNECTIONS:
            best = self._new_lane()
            exchange.opened = True
            self._others.append(best)
        return best

    def lanes(self) -> list[Lane]:
        """Return the lanes that are still open, those given up included."""
        lanes = [*self._others, self._lane] if self._lane is not None else self._others
        return [lane for lane in lanes if not lane.closed]

    def close(self) -> None:
        """Close all lanes; requests under way end as "stopped"."""
        self.closed = True
        for lane in self.lanes():
            lane.close()
        self._lane = None


def _load(lane: Lane) -> int:
    return lane.load


class Engine:
    """All channels of a process, on one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ca_file: str = "", proxy: str = "", no_proxy: str = "") -> None:
        """Take where trust and ways out come from.

        ca_file: PEM file of the certification authorities ("": certifi's); proxy: "http[s]://[user:password@]host:port"
        ("": none); no_proxy: hosts reached without it, separated by commas, as in NO_PROXY ("*": all).
        """
        self.loop = loop
        self.closed = False
        self._trust = Trust(ca_file, proxy, no_proxy)
        self._channels: dict[tuple[str, int], Channel] = {}
        self._sweep_timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def channel(self, origin: str, credential_id: int, cert_pem: str = "", key_pem: str = "") -> Channel:
        """Return the channel of a credential at an origin ("https://host[:port]").

        cert_pem and key_pem are the client certificate, with its chain, and its key; they are read at the first call
        only.
        """
        channel = self._channels.get((origin, credential_id))
        if channel is None:
            way = Way(origin, self._trust, cert_pem, key_pem)
            channel = self._channels[origin, credential_id] = Channel(self.loop, way)
            channel.closed = self.closed
        return channel

    def connections(self) -> list[ChannelState]:
        """Return the state of each channel, for metrics."""
        states = []
        for (origin, credential_id), channel in self._channels.items():
            lanes = channel.lanes()
            states.append(ChannelState(origin, credential_id, len(lanes), sum(map(_load, lanes))))
        return states

    def _sweep(self) -> None:
        """Close what nobody has used for long: a credential that was replaced, an app that is gone."""
        self._sweep_timer = self.loop.call_later(SWEEP_SECONDS, self._sweep)
        before = time.monotonic() - IDLE_SECONDS
        for key, channel in list(self._channels.items()):
            if channel.used_at < before:
                del self._channels[key]
                channel.close()

    async def close(self) -> None:
        """Close all connections; requests under way end as "stopped", and so does every later one."""
        self.closed = True
        self._sweep_timer.cancel()
        while self._channels:
            self._channels.popitem()[1].close()
