"""Bad input at the edge: what the real ingest process answers without a good key, a known path or proper HTTP.

No worker runs here, so a good push is answered OK when its deadline has come. After each test the process must still
serve a good caller (see conftest.py).
"""

import json
import re
from pathlib import Path

import pytest

from tests.hpns.web_server import ACK, PUSH, SEND_PUSH, Server, answer, basic, error_of, receive, request
from tests.waiting import PATIENCE, wait_for

# --- Methods and paths


@pytest.mark.parametrize("path", [SEND_PUSH, "/api/v1/ack", "/t/KEY/api/v1/send_push"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_a_wrong_method_is_405_and_names_the_right_one(web: Server, method: str, path: str) -> None:
    found = answer(web.send(request(path.replace("KEY", web.stores.key), method=method)), method)
    assert (found.status, found.getheader("allow")) == (405, "POST")


@pytest.mark.parametrize("path", ["/version", "/t/KEY/version", "/", "/t/KEY", "/t/KEY/"])
def test_the_pages_for_servers_are_there_under_the_root_and_under_a_key(web: Server, path: str) -> None:
    found = answer(web.send(request(path.replace("KEY", web.stores.key), method="GET")))
    assert found.status == 200
    if path.endswith("version"):
        assert {type(value) for value in json.loads(found.read()).values()} == {str}
    posted = answer(web.send(request(path.replace("KEY", web.stores.key), PUSH)))
    assert (posted.status, "GET" in (posted.getheader("allow") or "")) == (405, True)


WRONG_FORMS = (
    *("//api/v1/send_push", "/api//v1/send_push", "/API/v1/send_push", "/api/v2/send_push", "/t/api/v1/send_push"),
    *("/t//api/v1/send_push", "/t/KEY//api/v1/send_push", "/T/KEY/api/v1/send_push", "/x/t/KEY/api/v1/send_push"),
)


@pytest.mark.parametrize("path", WRONG_FORMS)
def test_a_push_to_a_wrong_form_of_the_address_is_told_the_right_one(web: Server, path: str) -> None:
    text = error_of(web.send(request(path.replace("KEY", web.stores.key), PUSH)))
    assert text.startswith("wrong_address ")
    assert web.stores.key not in text
    asked = answer(web.send(request(path.replace("KEY", web.stores.key), method="GET")))
    assert (asked.status, asked.getheader("location")) == (404, None)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/send_push/", "/api/v1/Send_Push", "/api/v1", "/api/v1/", "/t/KEY/x/version"),
        *("/version/", "/t/KEY/version/", "/VERSION", "/health", "/health/live/", "/metrics/", "/admins", "//", "/.."),
        *("/api/v1/send%255Fpush", "/%2e%2e/etc/passwd", "/%00", "/%ff", "/static/../settings.py", "/index.php"),
        *("/api/v1/token", "/api/v1/push_proxy/auth"),
    ],
)
def test_an_unknown_path_is_404_and_never_a_redirect(web: Server, path: str, method: str) -> None:
    found = answer(web.send(request(path.replace("KEY", web.stores.key), PUSH, method=method)))
    assert (found.status, found.getheader("location")) == (404, None)


@pytest.mark.parametrize("path", ["/admin", "/docs", "/status"])
def test_a_page_without_its_slash_leads_there_whoever_only_reads(web: Server, path: str) -> None:
    found = answer(web.send(request(path, b"", method="GET")))
    assert (found.status, found.getheader("location")) == (302, f"{path}/")
    found = answer(web.send(request(path, PUSH)))
    assert (found.status, found.getheader("location")) == (405, None)


@pytest.mark.parametrize("path", ["/t/KEY/api/v1/%73end_push", "/t/%KEY/api/v1/send_push", "/t/KEY%2Fapi/v1/send_push"])
def test_an_escaped_path_means_what_it_says(web: Server, path: str) -> None:
    escaped = f"{ord(web.stores.key[0]):02x}{web.stores.key[1:]}"
    path = path.replace("%KEY", "%" + escaped).replace("KEY", web.stores.key)
    assert answer(web.send(request(path, PUSH))).read() == b'{"status":"OK"}'


@pytest.mark.parametrize("target", ["http://localhost/t/KEY/api/v1/send_push", "/t/KEY/api/v1/send_push?a=b"])
def test_an_absolute_target_and_a_query_change_nothing(web: Server, target: str) -> None:
    assert answer(web.send(request(target.replace("KEY", web.stores.key), PUSH))).read() == b'{"status":"OK"}'


# --- Keys


def test_a_push_is_taken_with_its_key_in_the_path_or_in_the_userinfo_and_without_a_content_type(
    web: Server,
) -> None:
    key = web.stores.key
    for path, headers in (
        (f"/t/{key}{SEND_PUSH}", {}),
        (SEND_PUSH, {"Authorization": basic("push", key)}),
        (SEND_PUSH, {"Authorization": basic(key)}),
        (SEND_PUSH, {"Authorization": basic(key), "Content_Type": "text/html; charset=utf-7"}),
    ):
        assert answer(web.send(request(path, PUSH, **headers))).read() == b'{"status":"OK"}'


@pytest.mark.parametrize("endpoint", [SEND_PUSH, "/api/v1/ack"])
@pytest.mark.parametrize(
    ("path", "authorization", "code"),
    [
        ("", "", "no_key"),
        ("", "Bearer KEY", "no_key"),
        ("", "Basic", "no_key"),
        ("", "Basic %%%", "unknown_key"),
        ("", "Basic " + "QUJD" * 16_000, "unknown_key"),
        ("", basic("push", "secret"), "unknown_key"),
        ("/t/nonsense", "", "unknown_key"),
        ("/t/" + "A" * 5000, "", "unknown_key"),
        ("/t/hk_AAAAAAAA_" + "A" * 32, "", "unknown_key"),
        ("/t/KEYx", "", "unknown_key"),
        ("/t/REVOKED", "", "revoked_key"),
        ("/t/KEY", "STRANGER", "two_keys"),
        ("/t/..", "", "unknown_key"),
    ],
)
def test_who_has_no_good_key_is_told_so(web: Server, path: str, authorization: str, code: str, endpoint: str) -> None:
    path = path.replace("KEY", web.stores.key).replace("REVOKED", web.stores.revoked)
    authorization = authorization.replace("STRANGER", basic("push", web.stores.stranger))
    authorization = authorization.replace("KEY", web.stores.key)
    headers = {"Authorization": authorization} if authorization else {}
    text = error_of(web.send(request(path + endpoint, PUSH, **headers)))
    if code == "no_key" and endpoint != SEND_PUSH:
        code = "missing_ack_id"  # where some server may push by its server_id, an ack without a key may be its own
    assert text.split()[0] == code
    # Of a caller whom nobody knows lines are logged within a bound, of acks none: no trace is named that finds none.
    named = re.search(r"\(trace \S+\)", text) is not None
    assert named or endpoint != SEND_PUSH or code != "revoked_key"
    assert not (named and endpoint != SEND_PUSH)
    assert web.stores.key not in text


def test_no_key_that_was_sent_stands_in_the_log(web: Server) -> None:
    for key in (web.stores.key, web.stores.revoked):
        web.send(request(f"/t/{key}{SEND_PUSH}", b"{"))
        web.send(request(f"/t/{key}/no/such/path", b"{"))
        assert key not in web.log()


# --- HTTP


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", {400}),
        (b"Content-Length: -1\r\n", {400}),
        (b"Content-Length: 5x\r\n", {400}),
        (b"Content-Length: 99999999999999999999999\r\n", {400}),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", {200, 400}),
        (b"Transfer-Encoding: nonsense\r\n", {400, 501}),
        (b"X: a\r\n b\r\n", {400}),
        (b"no colon\r\n", {400}),
        (b"".join(b"X-%d: y\r\n" % number for number in range(300)), {431}),
        (b"X-Long: " + b"y" * 1_000_000 + b"\r\n", {431}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_request_that_is_none_is_refused(web: Server, line: bytes, statuses: set[int]) -> None:
    head = f"POST /t/{web.stores.key}{SEND_PUSH} HTTP/1.1\r\nHost: localhost\r\n".encode()
    with web.connect() as connection:
        try:
            connection.sendall(head + line + b"\r\n" + b"0\r\n\r\n")
            assert receive(connection)[0] in statuses
        except (ConnectionResetError, BrokenPipeError):
            assert len(line) > 100_000  # it closed while we were still sending


@pytest.mark.parametrize(
    "line",
    [
        b"X-Long: " + b"y" * 65_536 + b"\r\n",
        b"X-Odd: caf\xc3\xa9 \xff\r\n",
        b"User-Agent: \r\n",
        b"Content-Type: application/x-www-form-urlencoded\r\n",
        b"Host: evil.example\r\n",
        b"Forwarded: for=1.2.3.4, ; DROP TABLE\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        b"Accept-Encoding: br\r\nAccept: image/png\r\n",
        b"Authorization: \xff\xfe\r\n",
    ],
    ids=lambda value: repr(value)[:30],
)
def test_odd_headers_do_not_keep_a_push_from_being_taken(web: Server, line: bytes) -> None:
    head = f"POST /t/{web.stores.key}{SEND_PUSH} HTTP/1.1\r\nContent-Length: {len(PUSH)}\r\n".encode()
    with web.connect() as connection:
        connection.sendall(head + line + b"\r\n" + PUSH)
        assert receive(connection) == (200, b'{"status":"OK"}')


def test_an_old_client_is_served_too(web: Server) -> None:
    path = f"/t/{web.stores.key}{SEND_PUSH}"
    data = web.send(f"POST {path} HTTP/1.0\r\nContent-Length: {len(PUSH)}\r\n\r\n".encode() + PUSH)
    assert answer(data).read() == b'{"status":"OK"}'


def test_pipelined_requests_are_answered_in_order(web: Server) -> None:
    key = web.stores.key
    many = [request(f"/t/{key}{SEND_PUSH}", PUSH, close=False), request("/version", method="GET", close=False)]
    with web.connect() as connection:
        connection.sendall(b"".join(many) + request(f"/t/{key}/api/v1/ack", ACK))
        data = b"".join(iter(lambda: connection.recv(65536), b""))
    bodies = re.findall(rb"\r\n\r\n(\{[^}]*\})", data)
    assert [b"version" in body for body in bodies] == [False, True, False]


def test_a_client_that_waits_for_a_go_ahead_gets_it(web: Server) -> None:
    head, _, body = request(f"/t/{web.stores.key}{SEND_PUSH}", PUSH, Expect="100-continue").partition(b"\r\n\r\n")
    with web.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(body)
        assert receive(connection) == (200, b'{"status":"OK"}')


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n" * 50 + b"\x00", b"GET\r\n\r\n"]
)
def test_what_is_not_http_is_closed(web: Server, nonsense: bytes) -> None:
    with web.connect() as connection:
        connection.sendall(nonsense + b"\r\n\r\n")
        data = connection.recv(65536)
    assert data in (b"",) or data.startswith(b"HTTP/1.1 400")


def test_many_callers_who_go_away_at_once_leave_nothing_behind(web: Server) -> None:
    push = request(f"/t/{web.stores.key}{SEND_PUSH}", PUSH, close=False)
    for length in (1, len(push) // 2, len(push)):
        connections = [web.connect() for _ in range(50)]
        for connection in connections:
            connection.sendall(push[:length])
            connection.close()
    process = web.processes()[0]
    with web.connect():  # one that is open, so that the count is seen to work
        wait_for(lambda: open_connections(process, web.port) >= 1, PATIENCE, "the open one is seen")
    wait_for(lambda: open_connections(process, web.port) == 0, PATIENCE, "all connections are closed")


def open_connections(process: int, port: int) -> int:
    """How many connections to `port` the process holds open."""
    lines = Path(f"/proc/{process}/net/tcp").read_text(encoding="ascii").splitlines()
    rows = [line.split() for line in lines[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] in ("01", "08") for row in rows)
