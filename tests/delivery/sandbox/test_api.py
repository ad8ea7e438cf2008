"""The sandbox's own API, its ring of requests, its accounts file, its certificates and its start."""

import asyncio
import http.client
import json
import math
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from delivery.sandbox import certificates, demo
from delivery.sandbox.answers import Answer
from delivery.sandbox.journal import Journal, Request
from tests.delivery.sandbox.client import DEVICE, Pusher
from tests.sandbox_fixture import ROOT, SandboxClient


def ask(sandbox: SandboxClient, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(sandbox.page).netloc, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_a_request_is_kept_with_all_that_matters_and_without_its_token(sandbox: SandboxClient, push: Pusher) -> None:
    push.apns(apns_id="0f1e2d3c-4b5a-4678-8796-a5b4c3d2e1f0", cookie="secret=1")
    [request] = sandbox.requests(DEVICE)
    assert (request["provider"], request["method"], request["http"]) == ("apns", "POST", "2")
    assert request["json"]["aps"]["badge"] == 3
    assert request["headers"]["apns-id"] == "0f1e2d3c-4b5a-4678-8796-a5b4c3d2e1f0"
    shape = request["headers"]["authorization"]
    assert (shape["jwt_header"]["kid"], shape["iss"], shape["claims"]) == (demo.KEY_ID, demo.TEAM_ID, ["iat", "iss"])
    text = json.dumps(request)
    assert push.token not in text
    assert push.token.rsplit(".", 1)[1] not in text
    assert "secret" not in text


def test_requests_are_found_by_marker_provider_and_number(sandbox: SandboxClient, push: Pusher) -> None:
    push.apns()
    push.apns("b2" * 32)
    push.fcm()
    assert [len(sandbox.requests(marker)) for marker in ("", "b2b2", "messages:send", "nowhere")] == [3, 1, 1, 0]
    assert [request["provider"] for request in sandbox.requests(provider="fcm")] == ["fcm"]
    last = sandbox.requests()[0]["number"]
    assert len(sandbox.requests(since=last)) == 2


def test_a_waiting_reader_is_answered_when_enough_has_come(sandbox: SandboxClient, push: Pusher) -> None:
    late = threading.Timer(0.1, push.apns)
    late.start()
    started = time.monotonic()
    assert len(sandbox.requests(DEVICE, count=1)) == 1
    assert time.monotonic() - started < 20
    late.join()
    assert sandbox.requests(DEVICE, count=2, wait=0.1)[0]["token"] == DEVICE


def test_the_counters_tell_what_was_answered(sandbox: SandboxClient, push: Pusher) -> None:
    push.apns()
    push.apns("dead0410" + "0" * 56)
    state = sandbox.state()
    assert state["received"] == {"apns": 2}
    assert state["answered"] == {"apns 200": 1, "apns 410 Unregistered": 1}


def test_the_ring_never_grows_over_its_size() -> None:
    journal = Journal(10)
    for at in range(1000):
        request = Request([], method="POST", host="h", path=f"/{at}", http="2", connection=1, stream=1)
        journal.add("apns", str(at), request, Answer(), by="success")
    assert [entry.number for entry in journal.find()] == list(range(991, 1001))
    assert (journal.last, journal.received["apns"]) == (1000, 1000)


async def test_waiting_leaves_nothing_behind() -> None:
    journal = Journal()
    assert not await journal.changed(0.01)
    waiting = asyncio.create_task(journal.changed(5))
    await asyncio.sleep(0)
    journal.clear()
    assert await waiting
    assert journal._waiters == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/scripts", '{"marker": "a", "answers": [{"status": 99}]}'),
        ("PUT", "/api/scripts", '{"marker": "a", "answers": [{"colour": "red"}]}'),
        ("PUT", "/api/scripts", '{"marker": "a", "answers": []}'),
        ("PUT", "/api/scripts", '{"marker": "a", "answers": [{"headers": {"a b": "c"}}]}'),
        ("PUT", "/api/mode", '{"mode": "sideways"}'),
        ("PUT", "/api/settings", "no json"),
        ("GET", "/api/requests?since=x", ""),
    ],
)
def test_what_the_api_does_not_understand_changes_nothing(
    sandbox: SandboxClient, method: str, path: str, body: str
) -> None:
    status, text = ask(sandbox, method, path, body)
    assert status == 400
    assert json.loads(text)["error"]
    assert ask(sandbox, "GET", "/api/scripts")[1].strip() == "[]"


def test_unknown_paths_are_not_found(sandbox: SandboxClient) -> None:
    for path in ("/api/nothing", "/api/", "/api/__init__", "/static/../pages.py", "/favicon.ico"):
        assert ask(sandbox, "GET", path)[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost.evil.example:80"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_foreign_names_and_foreign_pages_are_refused(
    sandbox: SandboxClient, headers: dict[str, str], status: int
) -> None:
    assert ask(sandbox, "GET", "/api/state", **headers)[0] == status
    assert ask(sandbox, "PUT", "/api/settings", "{}", **headers)[0] == status


def test_the_pages_own_origin_is_accepted(sandbox: SandboxClient) -> None:
    assert ask(sandbox, "PUT", "/api/settings", "{}", Origin=sandbox.page)[0] == 200


def test_events_tell_of_a_push_within_a_second(sandbox: SandboxClient, push: Pusher) -> None:
    with urllib.request.urlopen(sandbox.page + "/api/events", timeout=30) as events:  # noqa: S310 - our own address
        first = [events.readline() for _ in range(3)]
        assert first[1].startswith(b"data: ")
        number, quickest = int(first[1].removeprefix(b"data: ")), math.inf
        for _ in range(3):  # a busy machine holds up one of them, hardly all
            started = time.monotonic()
            push.apns()
            while not (line := events.readline()).startswith(b"data: "):
                pass
            quickest, number = min(quickest, time.monotonic() - started), number + 1
            assert int(line.removeprefix(b"data: ")) == number
        assert quickest < 1


def test_a_broken_accounts_file_leaves_the_last_good_one_in_force(sandbox: SandboxClient, push: Pusher) -> None:
    good = sandbox.demo.accounts.read_bytes()
    sandbox.demo.accounts.write_text("{")
    assert push.apns().status == 200
    assert sandbox.state()["accounts_error"].startswith("accounts.json")
    sandbox.demo.accounts.write_text('{"apns_keys": []}')
    assert push.apns().reason == "InvalidProviderToken"
    sandbox.demo.accounts.write_bytes(good)
    assert push.apns().status == 200
    assert sandbox.state()["accounts_error"] == ""


def test_certificates_are_used_again_and_made_anew_when_one_is_missing(tmp_path: Path) -> None:
    first = certificates.ensure(tmp_path).read_bytes()
    assert certificates.ensure(tmp_path).read_bytes() == first
    (tmp_path / "server.pem").write_text("half")
    assert certificates.ensure(tmp_path).read_bytes() != first
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("*.key")} == {0o600}


def test_the_server_certificate_has_the_providers_names(sandbox: SandboxClient) -> None:
    for name in certificates.NAMES:
        tls = ssl.create_default_context(cafile=sandbox.ca_file)
        with (
            socket.create_connection(("127.0.0.1", sandbox.port)) as plain,
            tls.wrap_socket(plain, server_hostname=name),
        ):
            pass
    with (
        socket.create_connection(("127.0.0.1", sandbox.port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context(cafile=sandbox.ca_file).wrap_socket(plain, server_hostname="example.com")


def test_demo_credentials_stay_the_same(tmp_path: Path) -> None:
    first = demo.make(tmp_path, "https://localhost:1")
    key, account = first.apns_key.read_bytes(), json.loads(first.service_account.read_bytes())
    again = demo.make(tmp_path, "https://localhost:2")
    assert again == first
    assert again.apns_key.read_bytes() == key
    assert json.loads(again.service_account.read_bytes()) == account | {"token_uri": "https://localhost:2/token"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())


def test_a_busy_port_or_a_missing_file_is_one_clear_line(sandbox: SandboxClient, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "delivery.sandbox", "--state", str(tmp_path), "--accounts"]
    accounts = str(sandbox.demo.accounts)
    for more in ([str(tmp_path / "none.json")], [accounts, "--page-port", str(urlsplit(sandbox.page).port)]):
        ended = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 1
        assert ended.stderr.startswith("the provider sandbox could not start: ")
        assert len(ended.stderr.splitlines()) == 1
    assert os.listdir(tmp_path).count("sandbox.json") == 0
