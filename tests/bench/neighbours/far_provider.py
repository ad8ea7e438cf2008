"""A provider that is far away and has the windows of RFC 9113: 65,535 bytes for a stream and for the connection.

    python -m tests.bench.neighbours.far_provider PORT CERTIFICATES

Each way takes half of ROUND_TRIP. It takes every push and looks at none; one for a phone whose token begins with SILENT
is never answered. Prints READY.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from delivery.sandbox import certificates

ROUND_TRIP: Final = 0.05
SILENT: Final = "51" * 8


class FarProvider(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        self._h2 = h2.connection.H2Connection(config)
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()
        self._silent: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface."""
        self._transport = transport
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take what came, half a round trip later."""
        self._loop.call_later(ROUND_TRIP / 2, self._process, data)

    def _process(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            events = []
            self._transport.close()
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.RequestReceived):
                if f"/{SILENT}" in dict(event.headers)[":path"]:
                    self._silent.add(event.stream_id)
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id not in self._silent:
                headers = [(":status", "200"), ("apns-id", "6f4c1b6a-8c1c-5e3a-9d9d-0a0b0c0d0e0f")]
                self._h2.send_headers(event.stream_id, headers, end_stream=True)
        self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._loop.call_later(ROUND_TRIP / 2, self._transport.write, data)


async def serve(port: int, folder: Path) -> None:
    """Serve until the process is ended."""
    tls = certificates.context(folder, "server")
    server = await asyncio.get_running_loop().create_server(FarProvider, "127.0.0.1", port, ssl=tls, backlog=1000)
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
