"""One HTTP/2 connection, client side (RFC 9113): requests out (outgoing.py), answers in. It knows nothing of time or of
dialling.

What we send is simple, so this is less than a library: requests with a small body, no server push, no dynamic header
table, and answers that are cut off above MAX_ANSWER_BYTES, so that no window of ours ever closes. Invariants: an
exchange that was sent counts as NOT_SENT only where the peer has said that it did not process it; each is handed to
`ended` once, or left in `streams` for `lost`.
"""

import logging
from collections.abc import Callable
from typing import Final

from hpack import HPACKError

from delivery.http2 import frames
from delivery.http2.exchange import Exchange
from delivery.http2.frames import FrameError
from delivery.http2.heads import Heads
from delivery.http2.outgoing import MAX_ANSWER_BYTES, OUR_WINDOW, Outgoing
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import NOT_SENT

log = logging.getLogger(__name__)

_PING_BYTES: Final = 8


class Connection(Outgoing):
    """See the module. greeted: whether the peer has said its settings."""

    def __init__(
        self,
        ready: Callable[[], None],
        ended: Callable[[Exchange], None],
        lost: Callable[[TransportFault, str], None],
    ) -> None:
        """ready: more can be sent; ended: an exchange has; lost(fault, error): the connection has, or is of no use."""
        super().__init__(ready)
        self._ended, self._lost = ended, lost
        self.greeted = False
        self._parser = frames.Parser(MAX_ANSWER_BYTES)
        self._heads = Heads(MAX_ANSWER_BYTES)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended."""
        told = self.over or self.transport is None  # who still dials learns of it in another way
        self.over, self.fit = True, False
        if told:
            return
        # Without TLS's farewell, it was closed all the same.
        closed = error is None or "EOF" in str(error)
        self._lost(TransportFault.CLOSED if closed else TransportFault.RESET, str(error or ""))

    def data_received(self, data: bytes) -> None:
        """Take what the peer has sent."""
        if self.over:
            return
        try:
            for kind, flags, stream, content in self._parser.feed(data):
                self._take(kind, flags, stream, content)
                if self.over:
                    return
        except (FrameError, HPACKError) as error:
            self._break(str(error))
            return
        except Exception as error:
            log.exception("what a provider sent could not be taken")
            self._break(type(error).__name__)
            return
        if self._parser.flow > OUR_WINDOW // 2:
            self.write(frames.frame(frames.WINDOW_UPDATE, 0, 0, self._parser.flow.to_bytes(4, "big")))
            self._parser.flow = 0

    def _break(self, reason: str) -> None:
        """End the connection: the peer does not keep to HTTP/2, or we do not understand it."""
        if not self.over:
            self.close(frames.PROTOCOL_ERROR)
            self._lost(TransportFault.PROTOCOL, reason)

    def _take(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        if not self.greeted and kind != frames.SETTINGS:
            raise FrameError("no SETTINGS frame at first")
        if kind == frames.HEADERS:
            self._take_head(flags, stream, content)
        elif kind == frames.DATA:
            self._take_data(flags, stream, content)
        elif kind == frames.SETTINGS:
            self._take_settings(flags, content)
        elif kind == frames.WINDOW_UPDATE:
            self._take_window(stream, frames.number(content))
        elif kind == frames.RST_STREAM:
            self._take_reset(stream, frames.number(content))
        elif kind == frames.GOAWAY:
            self._take_goaway(frames.number(content))
        elif kind == frames.PUSH_PROMISE:
            raise FrameError("PUSH_PROMISE frame")
        elif kind == frames.PING:
            if len(content) != _PING_BYTES:
                raise FrameError("PING frame of a wrong size")
            if not flags & frames.ACK:
                self.acknowledge(frames.PING, content)

    def _take_head(self, flags: int, stream: int, block: bytes) -> None:
        status, told = self._heads.read(block)  # of a request that was given up, too: the next head may need it
        exchange = self.streams.get(stream)
        if exchange is None:
            return
        whole = flags & frames.END_STREAM
        if not exchange.status:
            if not status or (status < 200 and whole):
                raise FrameError("answer without a status")
            if status < 200:
                return  # an interim answer: the real one follows
            exchange.answered(status, told)
            if not whole and exchange.announced > MAX_ANSWER_BYTES:
                self._cut_off(exchange)
                return
        if whole:
            self._whole(exchange)

    def _take_data(self, flags: int, stream: int, content: bytes) -> None:
        exchange = self.streams.get(stream)
        if exchange is None:
            return
        if not exchange.status:
            raise FrameError("DATA frame before the status")
        exchange.received += len(content)
        if exchange.received > MAX_ANSWER_BYTES:
            self._cut_off(exchange)
            return
        if content:
            exchange.take(content)
        if flags & frames.END_STREAM:
            self._whole(exchange)

    def _whole(self, exchange: Exchange) -> None:
        if exchange.rest:  # answered before all of it was sent: the rest never will be
            self.forget(exchange)
        else:
            del self.streams[exchange.stream]
        self._ended(exchange)

    def _cut_off(self, exchange: Exchange) -> None:
        """An answer's body that is too long is not waited for; its status counts."""
        exchange.cut()
        self.forget(exchange)
        self._ended(exchange)

    def _take_settings(self, flags: int, content: bytes) -> None:
        if flags & frames.ACK:
            return
        for key, value in frames.read_settings(content):
            if key == frames.MAX_CONCURRENT_STREAMS:
                self.most = value
            elif key == frames.INITIAL_WINDOW_SIZE:
                self.resize(value)
        self.acknowledge(frames.SETTINGS)
        if not self.greeted:
            self.greeted = self.fit = True
        self.go_on()

    def _take_window(self, stream: int, more: int) -> None:
        if stream == 0 and not more:
            raise FrameError("WINDOW_UPDATE frame out of bounds")
        self.grant(stream, more)

    def _take_reset(self, stream: int, code: int) -> None:
        exchange = self.streams.pop(stream, None)
        if exchange is None:
            return
        if code == frames.REFUSED_STREAM:
            self._disowned(exchange)
            return
        exchange.fault, exchange.error = TransportFault.RESET, f"stream reset with error {code}"
        exchange.cut()
        self._ended(exchange)

    def _disowned(self, exchange: Exchange) -> None:
        if not exchange.status:  # what was answered was processed, whatever is said later
            exchange.fault, exchange.wire = TransportFault.REFUSED_STREAM, NOT_SENT
        exchange.cut()
        self._ended(exchange)

    def _take_goaway(self, last: int) -> None:
        """The peer takes no new requests; it disowns those after `last`, and goes on with the others."""
        self.fit = False
        for stream in [stream for stream in self.streams if stream > last]:
            if (exchange := self.streams.pop(stream, None)) is not None:
                self._disowned(exchange)
        self._ready()
