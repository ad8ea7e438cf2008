"""What the canary makes of peers: well, silent, wrong, endless, and with a certificate that nobody has signed."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from billing.incidents.http_client import Request, exchange
from delivery.sandbox import certificates
from tests.stage import free_port

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"status":"OK"}'


@contextmanager
def peer(answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server for one connection, which `answer` speaks with once the request's head has come; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection if context is None else context.wrap_socket(connection, server_side=True) as open_one:
                open_one.recv(65536)
                answer(open_one)
                over.wait(10)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    over.set()
    listener.close()
    thread.join(10)


def ask(port: int, *, scheme: str = "http", seconds: float = 10.0) -> tuple[int, bytes, str]:
    response = exchange([Request("POST", f"{scheme}://127.0.0.1:{port}/t/x/api/v1/send_push", b"{}")], seconds)[0]
    return response.status, response.body, response.problem


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"status\r\n7\r\n":"OK"}\r\n0\r\n\r\n',
    ],
)
def test_an_answer_is_read_whole_however_it_is_framed(answer: bytes) -> None:
    with peer(lambda open_one: open_one.sendall(answer)) as port:
        assert ask(port) == (200, b'{"status":"OK"}', "")


def test_a_peer_that_says_nothing_costs_the_deadline_and_no_more() -> None:
    with peer(lambda _: None) as port:
        assert ask(port, seconds=0.5)[2] == "no answer within 0.5 s"


def test_a_peer_that_drips_is_given_up_as_well() -> None:
    def drip(open_one: socket.socket) -> None:
        open_one.sendall(GOOD[:20])

    with peer(drip) as port:
        assert ask(port, seconds=0.5) == (200, b"", "no answer within 0.5 s")


def test_nobody_there_is_told_without_the_address() -> None:
    assert ask(free_port())[2] == "unreachable: ConnectionRefusedError"


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_http_is_told(answer: bytes) -> None:
    with peer(lambda open_one: open_one.sendall(answer)) as port:
        assert ask(port)[2].startswith("unreachable: Http")


def test_an_answer_without_an_end_is_not_kept() -> None:
    def flood(open_one: socket.socket) -> None:
        with suppress(OSError):
            open_one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 2_000_000)

    with peer(flood) as port:
        status, body, problem = ask(port)
        assert (status, problem) == (200, "unreachable: ValueError") or "Http" in problem
        assert len(body) < 700_000


def over_tls(folder: Path, name: str) -> tuple[int, bytes, str]:
    """Ask a server with one of the sandbox's certificates."""
    with peer(lambda open_one: open_one.sendall(GOOD), certificates.context(folder, name)) as port:
        return ask(port, scheme="https")


def test_a_certificate_of_a_known_authority_is_accepted_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ensure(tmp_path)))
    assert over_tls(tmp_path, "server") == (200, b'{"status":"OK"}', "")
    status, _, problem = over_tls(tmp_path, "wrong")
    assert status == 0
    assert problem.startswith("the certificate is not accepted")
