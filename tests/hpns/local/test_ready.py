"""What bin/run asks whether the service is ready: also where TLS ends at the front door."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from delivery.sandbox import certificates
from hpns.local import ready


class Ready(http.server.BaseHTTPRequestHandler):
    """Says that it is."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, bool]]:
    """A front door, by its port, and whether it speaks TLS."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    if request.param:
        certificates.ensure(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, request.param
    server.shutdown()
    server.server_close()
    thread.join(10)


def until(check: Callable[[], bool], _seconds: float) -> bool:
    """Ask a few times, as the supervisor does."""
    return any(check() for _ in range(3))


def test_the_front_door_is_found_ready_whether_it_speaks_tls_or_not(door: tuple[int, bool]) -> None:
    port, tls = door
    assert ready.wait(SimpleNamespace(until=until), port) is tls  # type: ignore[arg-type]
