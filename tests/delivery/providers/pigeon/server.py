"""The pigeon post's server: HTTP/2 over TLS on a thread of its own; it answers by the loft's name and the key."""

import asyncio
import json
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events

from tests.delivery.http2.threaded_server import ThreadedServer

SECRET = "coo-coo-secret"


class PigeonServer(ThreadedServer):
    """Listens on `port` with the certificates in `folder`; flights holds what it took, as (authorization, body)."""

    def __init__(self, folder: Path, port: int) -> None:
        self.flights: list[tuple[str, dict[str, Any]]] = []
        super().__init__(folder, lambda: _Connection(self), port)


class _Connection(asyncio.Protocol):
    def __init__(self, server: PigeonServer) -> None:
        self._server = server
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._authorization: dict[int, str] = {}
        self._bodies: dict[int, bytes] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._h2.initiate_connection()
        self._transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self._authorization[event.stream_id] = dict(event.headers).get(b"authorization", b"").decode()
                self._bodies[event.stream_id] = b""
            elif isinstance(event, h2.events.DataReceived):
                self._bodies[event.stream_id] += event.data
            elif isinstance(event, h2.events.StreamEnded):
                self._answer(event.stream_id)
        self._transport.write(self._h2.data_to_send())

    def _answer(self, stream: int) -> None:
        key, body = self._authorization.pop(stream), json.loads(self._bodies.pop(stream))
        self._server.flights.append((key, body))
        status = 401 if key != SECRET else 404 if body["loft"].startswith("nobodys") else 200
        self._h2.send_headers(stream, [(":status", str(status))], end_stream=True)
