"""Pages and pushes side by side at the real front door: what happens to pages, pushes do not notice."""

import json
import os
import signal
from pathlib import Path

from hpns.web.pages_proxy import BODY_MAX, TARGET_MAX
from tests.hpns.web_server import ACK, PUSH, SEND_PUSH, Server, answer, receive, request
from tests.waiting import PATIENCE, wait_for

OK = b'{"status":"OK"}'
LOGIN = "/account/login/"


def page(web: Server, path: str = LOGIN) -> int:
    """The status of a page."""
    return answer(web.send(request(path, method="GET")), "GET").status


def push(web: Server) -> bytes:
    """The answer to a push."""
    return answer(web.send(request(f"/t/{web.stores.key}{SEND_PUSH}", PUSH))).read()


def test_while_there_is_no_pages_process_pushes_go_on_and_then_there_is_another(web: Server) -> None:
    assert page(web) == 200
    (before,) = web.pages_processes()
    os.kill(before, signal.SIGKILL)
    assert push(web) == OK
    # Whoever asks in the meantime waits for the next one.
    wait_for(lambda: page(web) == 200, PATIENCE, "pages are there again")
    assert web.pages_processes() != [before]
    assert "the pages process ended by itself with code -9" in web.log()


def test_health_metrics_and_version_are_told_while_pages_stand_still(web: Server) -> None:
    (process,) = web.pages_processes()
    os.kill(process, signal.SIGSTOP)
    try:
        for path in ("/health/live", "/health/ready", "/version", "/metrics"):
            for method in ("GET", "HEAD"):
                sent = request(path, method=method).replace(b"Host: localhost", b"Host: 10.0.3.17:8066")
                found = answer(web.send(sent), method)
                # No worker runs here.
                assert found.status == (503 if path == "/health/ready" else 200), path
                assert (found.read() == b"") is (method == "HEAD")
        assert push(web) == OK
    finally:
        os.kill(process, signal.SIGCONT)
    assert page(web) == 200


def test_bodies_that_are_withheld_lie_on_no_disk_and_keep_nobody_from_a_page(web: Server) -> None:
    folder = Path(web.stores.env["TMPDIR"])
    before = set(folder.rglob("*"))
    large = request(LOGIN, b"b" * 8 * 1024 * 1024, close=False)[:-1]
    fitting = request(LOGIN, b"b" * (BODY_MAX - 1024), close=False)[:-1]
    connections = [web.connect() for _ in range(24)]
    try:
        for number, connection in enumerate(connections):
            connection.sendall(large[:100_000] if number % 2 else fitting)
        assert receive(connections[1])[0] == 413
        assert page(web) == 200
        assert push(web) == OK
        processes = [*web.processes(), *web.pages_processes()]
        links = [path for process in processes for path in Path(f"/proc/{process}/fd").iterdir()]
        opened = [str(path.readlink()) for path in links if path.is_symlink()]
        assert [name for name in opened if name.startswith(str(folder)) and "(deleted)" in name] == []
        assert {path for path in set(folder.rglob("*")) - before if path.is_file()} == set()
    finally:
        for connection in connections:
            connection.close()


def test_an_address_longer_than_any_browsers_is_refused_and_a_push_with_its_key_is_not(web: Server) -> None:
    found = answer(web.send(request("/" + "a" * 58_000, b"x")))
    assert found.status == 414
    assert answer(web.send(request(f"/t/{web.stores.key}/api/v1/ack", ACK))).read() == OK
    told = json.loads(answer(web.send(request("/t/" + "a" * TARGET_MAX + SEND_PUSH, PUSH))).read())
    assert told["error"].startswith("unknown_key ")
