"""HTTP/1.1 on the provider port, for clients that do not offer h2: Google's own libraries fetch their tokens this way.

FCM answers here too, as the real one does; Apple does not. Invariant: one request at a time on a connection, and every
fault of an answer has its nearest HTTP/1.1 meaning (a reset, a GOAWAY and a cut body all end the connection).
"""

import asyncio
from typing import Any

import h11

from delivery.sandbox.connections import Connections
from delivery.sandbox.journal import Request
from delivery.sandbox.providers import Ready, provider_of

MOST_HEAD = 64 * 1024


class Http1(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, connections: Connections) -> None:
        """connections: who answers, and who keeps count of the open ones."""
        self._all = connections
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        self._request: Request | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for a request."""
        self._transport = transport
        self._number = self._all.opened(transport, "1.1")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets what was to come."""
        self._all.closed(self._transport)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Takes what the client sent."""
        try:
            self._h11.receive_data(data)
            self._step()
        except h11.RemoteProtocolError:
            self._transport.close()

    def eof_received(self) -> bool:
        """The client will send nothing more; the connection ends with it."""
        return False

    def _step(self) -> None:
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data) and self._request is not None:
                self._request.add(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                request, self._request = self._request, None
                self._take(request)
            elif isinstance(event, h11.ConnectionClosed):
                self._transport.close()
                return
            else:  # NEED_DATA, or PAUSED until the answer is out
                return

    def _begin(self, event: h11.Request) -> None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
        if any(name == "expect" and value.lower() == "100-continue" for name, value in headers):
            self._write(h11.InformationalResponse(status_code=100, headers=[]))
        self._count += 1
        self._request = Request(
            headers,
            method=event.method.decode("latin-1"),
            host=dict(headers).get("host", ""),
            path=event.target.decode("latin-1"),
            http="1.1",
            connection=self._number,
            stream=self._count,
            certificate=self._all.certificate(self._transport),
        )

    def _take(self, request: Request) -> None:
        if provider_of(request) == "apns":
            self._send_response(
                505, [("content-type", "text/plain")], b"Apple speaks HTTP/2 alone: offer h2 by ALPN.\n"
            )
            return
        ready = self._all.providers.answer(request)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(ready.answer.delay, self._answer, ready) if ready.answer.delay else None
        if self._timer is None:
            self._answer(ready)

    def _answer(self, ready: Ready) -> None:
        self._timer = None
        answer = ready.answer
        if answer.hang:
            return
        if answer.close or answer.goaway is not None:
            self._transport.close()
        elif answer.reset is not None:
            self._transport.abort()
        elif answer.cut:
            self._write(h11.Response(status_code=answer.status, headers=self._head(ready.headers, ready.body)))
            self._write(h11.Data(data=ready.body[: len(ready.body) // 2]))
            self._transport.close()
        else:
            self._send_response(answer.status, ready.headers, ready.body)
            self._step()

    def _send_response(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self._write(h11.Response(status_code=status, headers=self._head(headers, body)))
        if body and status not in (204, 304):
            self._write(h11.Data(data=body))
        self._write(h11.EndOfMessage())
        if self._h11.our_state is h11.MUST_CLOSE:
            self._transport.close()
        else:
            self._h11.start_next_cycle()

    @staticmethod
    def _head(headers: list[tuple[str, str]], body: bytes) -> list[tuple[bytes, bytes]]:
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        return [*encoded, (b"content-length", str(len(body)).encode())]

    def _write(self, event: Any) -> None:
        data = self._h11.send(event)
        if data and not self._transport.is_closing():
            self._transport.write(data)
