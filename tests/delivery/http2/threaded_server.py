"""A TLS server on a thread of its own, for tests that play a provider."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from delivery.sandbox import certificates


class ThreadedServer:
    """Listens on 127.0.0.1 from its making until stop(); origin says where."""

    def __init__(self, folder: Path, protocol: Callable[[], asyncio.Protocol], port: int = 0) -> None:
        """folder: the sandbox's certificates; protocol: makes one for each connection; port: 0 for any free one."""
        self._loop = asyncio.new_event_loop()
        self._listening = self._loop.create_server(
            protocol, "127.0.0.1", port, ssl=certificates.context(folder, "server")
        )
        self.origin = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    def _run(self) -> None:
        server = self._loop.run_until_complete(self._listening)
        self.origin = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
