"""The HTTP/2 engine of both providers: which connection a request takes.

A Channel per (origin, credential) sends over one Lane and moves to a fresh one when the present one seems dead, so
that a silent connection does not swallow later pushes. Invariants: one post is at most one complete request on the
wire; done is called exactly once, on the loop, within the timeout; no redirect is followed; proxy, certificates and
host names come from the arguments alone, never from the environment; HTTP/2 over TLS or nothing.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import certifi
import msgspec
import pycurl

from delivery.senders.exchange import Exchange
from delivery.senders.lane import Lane

IDLE_SECONDS: Final = 900.0
"""A channel unused for so long is closed."""
SWEEP_SECONDS: Final = 60.0
KEEPALIVE_SECONDS: Final = 30
CONNECTION_IDLE_SECONDS: Final = 600
MAX_ANSWER_BYTES: Final = 65_536


class ChannelState(msgspec.Struct, frozen=True):
    """What metrics show of a channel; lanes is more than 1 while requests end on a connection that was given up."""

    origin: str
    credential_id: int
    lanes: int
    in_flight: int


class Channel:
    """The way to one origin with one credential. Nothing is opened before the first post."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: list[tuple[int, Any]]) -> None:
        """Take the libcurl options that all its requests share."""
        self.used_at = time.monotonic()
        self._loop = loop
        self._options = options
        self._lane: Lane | None = None
        self._given_up: list[Lane] = []

    def post(
        self,
        url: str,
        headers: list[str],
        body: bytes,
        timeout: float,
        done: Callable[[Exchange], None],
        tag: object = None,
        want_date: bool = False,
    ) -> None:
        """Send one request; done(exchange) is called within timeout seconds. See Exchange for what it tells.

        UnicodeError if the url or a header is not ASCII; then nothing was sent and done is not called.
        """
        self.used_at = now = time.monotonic()
        lane = self._lane
        if lane is None or lane.seems_dead(now):
            lane = self._fresh_lane()
        lane.post(url, headers, body, max(1, int(timeout * 1000)), done, tag, want_date)

    def _fresh_lane(self) -> Lane:
        self._given_up = [lane for lane in self._given_up if not lane.closed]
        if self._lane is not None:
            self._given_up.append(self._lane)
            self._lane.retire()
        self._lane = Lane(self._loop, self._options)
        return self._lane

    def lanes(self) -> list[Lane]:
        """Return the lanes that are still open, those given up included."""
        lanes = [*self._given_up, self._lane] if self._lane is not None else self._given_up
        return [lane for lane in lanes if not lane.closed]

    def close(self) -> None:
        """Close all lanes; requests under way end as "stopped"."""
        for lane in self.lanes():
            lane.close()
        self._lane = None


class Engine:
    """All channels of a process, on one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ca_file: str = "", proxy: str = "", no_proxy: str = "") -> None:
        """Take where trust and ways out come from.

        ca_file: PEM file of the certification authorities ("": certifi's); proxy: "http[s]://[user:password@]host:port"
        ("": none); no_proxy: hosts reached without it, separated by commas, as in NO_PROXY ("*": all).
        """
        self.loop = loop
        self.closed = False
        self._options: list[tuple[int, Any]] = [
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE),
            (pycurl.PIPEWAIT, 1),
            (pycurl.POST, 1),
            (pycurl.USERAGENT, ""),
            (pycurl.UPLOAD_BUFFERSIZE, 16_384),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.CAINFO, ca_file or certifi.where()),
            (pycurl.PROXY, proxy),
            (pycurl.NOPROXY, no_proxy),
            (pycurl.TCP_KEEPALIVE, 1),
            (pycurl.TCP_KEEPIDLE, KEEPALIVE_SECONDS),
            (pycurl.TCP_KEEPINTVL, KEEPALIVE_SECONDS),
            (pycurl.MAXAGE_CONN, CONNECTION_IDLE_SECONDS),
            (pycurl.MAXFILESIZE, MAX_ANSWER_BYTES),
        ]
        if proxy.startswith("https:"):
            self._options.append((pycurl.PROXY_CAINFO, ca_file or certifi.where()))
        self._channels: dict[tuple[str, int], Channel] = {}
        self._sweep_timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def channel(self, origin: str, credential_id: int, cert_pem: str = "", key_pem: str = "") -> Channel:
        """Return the channel of a credential at an origin ("https://host[:port]").

        cert_pem and key_pem are the client certificate, with its chain, and its key; they are read at the first call
        only.
        """
        channel = self._channels.get((origin, credential_id))
        if channel is None:
            options = self._options
            if cert_pem:
                options = [
                    *options,
                    # In TLS 1.3 a refused certificate shows only after the request was sent, and often as a mere reset.
                    (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2 | pycurl.SSLVERSION_MAX_TLSv1_2),
                    (pycurl.SSLCERTTYPE, "PEM"),
                    (pycurl.SSLKEYTYPE, "PEM"),
                    (pycurl.SSLCERT_BLOB, cert_pem.encode()),
                    (pycurl.SSLKEY_BLOB, key_pem.encode()),
                ]
            channel = self._channels[origin, credential_id] = Channel(self.loop, options)
        return channel

    def connections(self) -> list[ChannelState]:
        """Return the state of each channel, for metrics."""
        states = []
        for (origin, credential_id), channel in self._channels.items():
            lanes = channel.lanes()
            states.append(ChannelState(origin, credential_id, len(lanes), sum(len(lane.in_flight) for lane in lanes)))
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
