"""A faulty HTTP/2 server over TLS, on a thread of its own, that misbehaves as the last segment of the path says.

The sandbox has the faults that a provider shows now and then; this has those that need a worse server, and it knows
which requests it owns up to. Invariant: `taken` counts the complete requests that it neither refused nor disowned.
"""

import asyncio
import collections
import random
import socket
import struct
import time
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hyperframe.frame

from delivery.sandbox import certificates
from tests.delivery.http2.threaded_server import ThreadedServer

REFUSED_STREAM, INTERNAL_ERROR, ENHANCE_YOUR_CALM = 7, 2, 11


class RoughServer(ThreadedServer):
    """Listens on a free port at origin; ca_file says what to trust.

    disown_every: of all requests each so many-th is disowned by a GOAWAY, with those behind it; goaway: its error code
    and debug data.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        """folder: for its certificates; port: 0 for any free one."""
        self.complete: collections.Counter[str] = collections.Counter()
        self.taken: collections.Counter[str] = collections.Counter()
        self.connections = 0
        self.disown_every = self.came = 0
        self.goaway = (0, b"")
        self.ca_file = str(certificates.ensure(folder))
        super().__init__(folder, lambda: _Connection(self), port)


class _Connection(asyncio.Protocol):
    """One connection. A request's path ends with BEHAVIOUR or BEHAVIOUR_NUMBER."""

    def __init__(self, server: RoughServer) -> None:
        self._server = server
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._names: dict[int, str] = {}
        self._last_owned: int | None = None
        self._transport: Any = None
        self._deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server.connections += 1
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            for event in self._h2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self._names[event.stream_id] = dict(event.headers)[":path"].rpartition("/")[2]
                elif isinstance(event, h2.events.DataReceived):
                    self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self._complete(event.stream_id)
            self._flush()
        except h2.exceptions.ProtocolError:
            self._transport.close()

    def _flush(self) -> None:
        self._transport.write(self._h2.data_to_send())

    def _complete(self, stream_id: int) -> None:
        name = self._names[stream_id]
        behaviour = name.partition("_")[0]
        self._server.complete[name] += 1
        if self._last_owned is not None and stream_id > self._last_owned:
            return
        self._server.came += 1
        if self._server.disown_every and self._server.came % self._server.disown_every == 0:
            self._do_retire(stream_id)
            return
        if behaviour not in ("refuse", "disown", "retire", "hesitate"):
            self._server.taken[name] += 1
        getattr(self, f"_do_{behaviour}")(stream_id)

    def _do_ok(self, stream_id: int) -> None:
        self._h2.send_headers(stream_id, [(":status", "200")], end_stream=True)

    def _do_deaf(self, stream_id: int) -> None:
        """Answer, and hear nothing from then on."""
        self._do_ok(stream_id)
        self._deaf = True

    def _do_later(self, stream_id: int) -> None:
        asyncio.get_running_loop().call_later(random.random() / 50, self._answer_late, stream_id)  # noqa: S311

    def _answer_late(self, stream_id: int) -> None:
        try:
            self._do_ok(stream_id)
            self._flush()
        except h2.exceptions.ProtocolError:
            pass  # it was disowned, or the connection has ended

    def _do_slow(self, stream_id: int) -> None:
        """Answer after a third of a second."""
        asyncio.get_running_loop().call_later(0.3, self._answer_late, stream_id)

    def _do_gone(self, stream_id: int) -> None:
        """Apple's word that the device is dead."""
        self._h2.send_headers(stream_id, [(":status", "410")])
        self._h2.send_data(stream_id, b'{"reason":"Unregistered"}', end_stream=True)

    def _do_ago(self, stream_id: int) -> None:
        """The same, with since when: a minute ago."""
        self._h2.send_headers(stream_id, [(":status", "410")])
        moment = int((time.time() - 60) * 1000)
        self._h2.send_data(stream_id, b'{"reason":"Unregistered","timestamp":%d}' % moment, end_stream=True)

    def _do_refuse(self, stream_id: int) -> None:
        """REFUSED_STREAM; of the name "refuse_once" only the first time."""
        name = self._names[stream_id]
        if name == "refuse_once" and self._server.complete[name] > 1:
            self._do_ok(stream_id)
        else:
            self._h2.reset_stream(stream_id, REFUSED_STREAM)

    def _do_renew(self, stream_id: int) -> None:
        """REFUSED_STREAM, then Apple's word that the token has expired, then an answer."""
        tries = self._server.complete[self._names[stream_id]]
        if tries == 1:
            self._h2.reset_stream(stream_id, REFUSED_STREAM)
        elif tries == 2:
            self._h2.send_headers(stream_id, [(":status", "403")])
            self._h2.send_data(stream_id, b'{"reason":"ExpiredProviderToken"}', end_stream=True)
        else:
            self._do_ok(stream_id)

    def _do_calm(self, stream_id: int) -> None:
        self._h2.reset_stream(stream_id, ENHANCE_YOUR_CALM)

    def _do_break(self, stream_id: int) -> None:
        self._h2.reset_stream(stream_id, INTERNAL_ERROR)

    def _do_breakonce(self, stream_id: int) -> None:
        """RST_STREAM after it was taken, the first time."""
        if self._server.complete[self._names[stream_id]] > 1:
            self._do_ok(stream_id)
        else:
            self._do_break(stream_id)

    def _do_busy(self, stream_id: int) -> None:
        """503 so many times as the name says, asking for a pause of the seconds that it says: "busy_2_1"."""
        name = self._names[stream_id]
        times, seconds = name.split("_")[1:3]
        if self._server.complete[name] > int(times):
            self._do_ok(stream_id)
            return
        fields = [("retry-after", seconds)] if seconds != "0" else []
        self._h2.send_headers(stream_id, [(":status", "503"), *fields])
        self._h2.send_data(stream_id, b'{"reason":"ServiceUnavailable"}', end_stream=True)

    def _do_dying(self, stream_id: int) -> None:
        """503 with a pause of a minute, and from then on Apple's word that the device is dead."""
        if self._server.complete[self._names[stream_id]] > 1:
            self._do_gone(stream_id)
            return
        self._h2.send_headers(stream_id, [(":status", "503"), ("retry-after", "60")])
        self._h2.send_data(stream_id, b'{"reason":"ServiceUnavailable"}', end_stream=True)

    def _do_failing(self, stream_id: int) -> None:
        """503 with a pause of a minute, then that the topic is bad; "failing_2" is taken the third time."""
        tries = self._server.complete[self._names[stream_id]]
        if tries > 2 and self._names[stream_id] == "failing_2":
            self._do_ok(stream_id)
            return
        status, reason = (b"503", b"ServiceUnavailable") if tries == 1 else (b"400", b"BadTopic")
        fields = [("retry-after", "60")] if tries == 1 else []
        self._h2.send_headers(stream_id, [(":status", status.decode()), *fields])
        self._h2.send_data(stream_id, b'{"reason":"%b"}' % reason, end_stream=True)

    def _do_trouble(self, stream_id: int) -> None:
        """502 with a page, as a proxy in front of a provider writes one, the first time."""
        if self._server.complete[self._names[stream_id]] > 1:
            self._do_ok(stream_id)
            return
        self._h2.send_headers(stream_id, [(":status", "502")])
        self._h2.send_data(stream_id, b"<html>", end_stream=True)

    def _do_disown(self, stream_id: int) -> None:
        """GOAWAY that takes neither this request nor a later one."""
        self._goaway(max(0, stream_id - 2))

    def _do_own(self, stream_id: int) -> None:
        """GOAWAY that owns up to this request, and no answer to it."""
        self._goaway(stream_id)

    def _goaway(self, last: int) -> None:
        self._last_owned = last
        for stream_id, name in self._names.items():
            if stream_id > last and self._server.taken[name]:
                self._server.taken[name] -= 1
        self._h2.close_connection(last_stream_id=last)
        self._flush()
        asyncio.get_running_loop().call_later(0.03, self._transport.close)

    def _do_retire(self, stream_id: int) -> None:
        """GOAWAY that takes neither this request nor a later one; the earlier ones are answered, then it closes.

        Of the name "retire_once" only the first time.
        """
        name = self._names[stream_id]
        if name == "retire_once" and self._server.complete[name] > 1:
            self._do_ok(stream_id)
            return
        self._last_owned = max(0, stream_id - 2)
        code, debug_data = self._server.goaway
        frame = hyperframe.frame.GoAwayFrame(0, self._last_owned, error_code=code, additional_data=debug_data)
        self._flush()
        self._transport.write(frame.serialize())
        asyncio.get_running_loop().call_later(0.1, self._transport.close)

    def _do_hesitate(self, stream_id: int) -> None:
        """As "retire", a second later; of the name "hesitate_once" only the first time."""
        if self._names[stream_id] == "hesitate_once" and self._server.complete["hesitate_once"] > 1:
            self._do_ok(stream_id)
        else:
            asyncio.get_running_loop().call_later(1.0, self._do_retire, stream_id)

    def _do_drain(self, stream_id: int) -> None:
        """GOAWAY that owns up to this request, which is answered a second later on a connection that stays open."""
        self._last_owned = stream_id
        frame = hyperframe.frame.GoAwayFrame(0, last_stream_id=stream_id, error_code=0)
        self._transport.write(frame.serialize())
        asyncio.get_running_loop().call_later(1.0, self._answer_late, stream_id)

    def _do_close(self, stream_id: int) -> None:
        self._transport.close()

    def _do_abort(self, stream_id: int) -> None:
        """Break the TCP connection off with a RST."""
        raw: socket.socket = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _do_garbage(self, stream_id: int) -> None:
        self._transport.write(b"\xff" * 100)

    def _do_silence(self, stream_id: int) -> None:
        """Take it and say nothing."""

    def _do_leave(self, stream_id: int) -> None:
        """Answer, and close the connection a little later, while it lies idle."""
        self._do_ok(stream_id)
        asyncio.get_running_loop().call_later(0.03, self._transport.close)

    def _do_early(self, stream_id: int) -> None:
        """Only an interim answer."""
        self._h2.send_headers(stream_id, [(":status", "103")])

    def _do_half(self, stream_id: int) -> None:
        """The head of an answer, and no end."""
        self._h2.send_headers(stream_id, [(":status", "410")])

    def _do_flood(self, stream_id: int) -> None:
        """An answer with a body that is much too long."""
        self._h2.send_headers(stream_id, [(":status", "400"), ("content-length", "1000000000")])

    def _do_redirect(self, stream_id: int) -> None:
        self._h2.send_headers(stream_id, [(":status", "307"), ("location", "/3/device/ok_elsewhere")], end_stream=True)
