"""One HTTP/2 connection of the sandbox, on the `h2` package's frames.

Everything goes through this one server, the ordinary answers as well as the broken ones: a second server for the
faults would need its own port, and the code under test would reach it by another connection than the one it uses
otherwise. An ASGI server could not reset a stream, disown a request or stop in the middle of a body.

The settings are those that Apple's servers announce. Invariants: received bytes are acknowledged, at once or after the
windows' delay, whatever becomes of the request, so that one hanging push never closes the window of the others; a
stream is answered at most once, and forgotten when either side ends it.
"""

import asyncio
from typing import Any, ClassVar

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.frame

from delivery.sandbox.connections import RFC_WINDOW, Connections
from delivery.sandbox.journal import Request
from delivery.sandbox.providers import Ready

MOST_STREAMS = 1000
MOST_HEADER_BYTES = 8000
INTERNAL_ERROR = 2
GOAWAY_LINGER = 5.0


class Http2(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, connections: Connections) -> None:
        """connections: who answers, and who keeps count of the open ones."""
        self._all = connections
        config = h2.config.H2Configuration(client_side=False, header_encoding=None, validate_outbound_headers=False)
        self._h2 = h2.connection.H2Connection(config)
        self._requests: dict[int, Request] = {}
        self._answering: dict[int, asyncio.TimerHandle | None] = {}
        self._unsent: dict[int, bytes] = {}
        self._disowned_after: int | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the preface."""
        self._transport = transport
        self._number = self._all.opened(transport, "2")
        self._certificate = self._all.certificate(transport)
        self._h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: self._all.windows.stream,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: MOST_HEADER_BYTES,
            },
        )
        self._h2.initiate_connection()
        if self._all.windows.connection > RFC_WINDOW:
            self._h2.increment_flow_control_window(self._all.windows.connection - RFC_WINDOW)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets all that was open."""
        self._all.closed(self._transport)
        for timer in self._answering.values():
            if timer is not None:
                timer.cancel()
        self._requests.clear()
        self._answering.clear()
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        """Takes what the client sent, and sends what that makes due."""
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._flush()  # h2 has put a GOAWAY with the right code there
            self._transport.close()
            return
        for event in events:
            take = self._TAKES.get(type(event))
            if take is not None:
                take(self, event)
        self._flush()

    def _request(self, event: Any) -> None:
        if self._disowned_after is not None and event.stream_id > self._disowned_after:
            return
        special: dict[bytes, str] = {}
        headers: list[tuple[str, str]] = []
        for name, value in event.headers:
            if name[:1] == b":":
                special[name] = value.decode("latin-1")
            else:
                headers.append((name.decode("latin-1"), value.decode("latin-1")))
        self._requests[event.stream_id] = Request(
            headers,
            method=special.get(b":method", ""),
            host=special.get(b":authority", ""),
            path=special.get(b":path", ""),
            http="2",
            connection=self._number,
            stream=event.stream_id,
            certificate=self._certificate,
        )

    def _data(self, event: Any) -> None:
        size, delay = event.flow_controlled_length, self._all.windows.delay
        if size and delay:
            asyncio.get_running_loop().call_later(delay, self._acknowledge_late, size, event.stream_id)
        elif size:
            self._h2.acknowledge_received_data(size, event.stream_id)
        request = self._requests.get(event.stream_id)
        if request is not None:
            request.add(event.data)

    def _acknowledge_late(self, size: int, stream: int) -> None:
        try:
            self._h2.acknowledge_received_data(size, stream)
        except h2.exceptions.ProtocolError:
            return  # the connection has ended
        self._flush()

    def _ended(self, event: Any) -> None:
        request = self._requests.pop(event.stream_id, None)
        if request is None:
            return
        ready = self._all.providers.answer(request)
        if not ready.answer.delay:
            self._answer(event.stream_id, ready)
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(ready.answer.delay, self._answer_late, event.stream_id, ready)
        self._answering[event.stream_id] = timer

    def _reset(self, event: Any) -> None:
        self._forget(event.stream_id)

    def _window(self, event: Any) -> None:
        for stream in list(self._unsent) if event.stream_id == 0 else [event.stream_id]:
            if stream in self._unsent:
                self._send(stream, self._unsent.pop(stream))

    def _settings(self, event: Any) -> None:
        for stream in list(self._unsent):
            self._send(stream, self._unsent.pop(stream))

    _TAKES: ClassVar[dict[type, Any]] = {
        h2.events.RequestReceived: _request,
        h2.events.DataReceived: _data,
        h2.events.StreamEnded: _ended,
        h2.events.StreamReset: _reset,
        h2.events.WindowUpdated: _window,
        h2.events.RemoteSettingsChanged: _settings,
    }

    def _answer_late(self, stream: int, ready: Ready) -> None:
        if self._answering.pop(stream, None) is not None:
            self._answer(stream, ready)
            self._flush()

    def _answer(self, stream: int, ready: Ready) -> None:
        """Puts the answer, or the fault that stands for it, on the wire; nothing where the client has reset its stream,
        perhaps in the same read as the end of its request."""
        try:
            self._put(stream, ready)
        except h2.exceptions.ProtocolError:
            self._forget(stream)

    def _put(self, stream: int, ready: Ready) -> None:
        answer = ready.answer
        if answer.hang:
            self._answering[stream] = None
        elif answer.close:
            self._flush()
            self._transport.close()
        elif answer.goaway is not None:
            self._go_away(stream, answer.goaway)
        elif answer.reset is not None:
            self._h2.reset_stream(stream, answer.reset)
            self._forget(stream)
        else:
            alone = not ready.body and not answer.cut
            self._h2.send_headers(stream, [(":status", str(answer.status)), *ready.headers], end_stream=alone)
            if answer.cut:
                self._h2.send_data(stream, ready.body[: min(len(ready.body) // 2, 1000)])
                self._h2.reset_stream(stream, INTERNAL_ERROR)
            elif not alone:
                self._send(stream, ready.body)
            self._forget_unless_unsent(stream)

    def _send(self, stream: int, body: bytes) -> None:
        """Sends as much of a body as the client's windows let, and keeps the rest for when they open."""
        while True:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if len(body) <= room:
                self._h2.send_data(stream, body, end_stream=True)
                return
            if room <= 0:
                self._unsent[stream] = body
                return
            self._h2.send_data(stream, body[:room])
            body = body[room:]

    def _go_away(self, stream: int, code: int) -> None:
        """Disowns this request and all later ones; earlier ones are answered, then the connection ends.

        The frame is written by hand, because h2's own call ends its whole state at once.
        """
        self._flush()
        last = max(stream - 2, 0)
        if self._disowned_after is None or last < self._disowned_after:
            self._disowned_after = last
            frame = hyperframe.frame.GoAwayFrame(0, last_stream_id=last, error_code=code)
            self._transport.write(frame.serialize())
        for later in [other for other in (*self._requests, *self._answering) if other > last]:
            self._forget(later)
        asyncio.get_running_loop().call_later(GOAWAY_LINGER, self._transport.close)
        self._close_when_done()

    def _forget_unless_unsent(self, stream: int) -> None:
        if stream not in self._unsent:
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        self._requests.pop(stream, None)
        self._unsent.pop(stream, None)
        timer = self._answering.pop(stream, None)
        if timer is not None:
            timer.cancel()
        if self._disowned_after is not None:
            self._close_when_done()

    def _close_when_done(self) -> None:
        if not self._requests and not self._answering and not self._unsent:
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)
