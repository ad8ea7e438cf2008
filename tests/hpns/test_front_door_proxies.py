"""Who is let in through the real front door: behind a trusted proxy, from a remote client, by a server_id, by nothing.

The proxy stands on 127.0.0.1, as the tests do; X-Forwarded-For makes a remote client of a caller.
"""

import json
from collections.abc import Iterator

import pytest

from tests.hpns.door import ACK, DEADLINE, PUSH, SEND_PUSH, Door, Stores, answer, request, told
from tests.stage import a_push

REMOTE = {"X_Forwarded_For": "203.0.113.9"}
SECURE = {**REMOTE, "X_Forwarded_Proto": "https"}
OK = b'{"status":"OK"}'


@pytest.fixture(scope="module")
def proxied(stores: Stores) -> Iterator[Door]:
    """A front door behind a proxy, with the test service."""
    settings = {"TRUSTED_PROXIES": "127.0.0.0/8", "TEST_SERVICE": "true", "PUSH_DEADLINE": str(DEADLINE)}
    door = Door(stores, settings)
    yield door
    door.close()


def push(door: Door, path: str = SEND_PUSH, extra: bytes = b"", body: bytes = PUSH, **headers: str) -> bytes:
    """The answer to a push; `extra`: whole lines of headers."""
    sent = request(path, body, **headers).replace(b"\r\n", b"\r\n" + extra, 1)
    return door.send(sent)


def under(key: str) -> str:
    return f"/t/{key}{SEND_PUSH}"


def of(server_id: str) -> bytes:
    return json.dumps(a_push(server_id=server_id)).encode()


def test_a_key_over_plain_http_is_refused_and_behind_a_proxy_that_says_https_it_is_taken(proxied: Door) -> None:
    key = proxied.stores.key
    text = told(push(proxied, under(key), **REMOTE))
    assert text.startswith("plain_http the server key came over plain HTTP, where others can read it: begin the Push")
    assert "https://" in text
    assert key not in text
    assert answer(push(proxied, under(key), **SECURE)).read() == OK


@pytest.mark.parametrize(
    "lines",
    [
        b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.9\r\n",
        b"X-Forwarded-For: 127.0.0.1, 203.0.113.9\r\n",
        b"X-Forwarded-For: \xc3\xa9, 203.0.113.9\r\n",
        b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: \xc3\xa9\r\nX-Forwarded-For: 203.0.113.9\r\n",
        b"X-Forwarded-For: unknown\r\n",
        b"X-Forwarded-For: \r\n",
        b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n",
        b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: \xc3\xa9\r\n",
        b"X-Forwarded-Proto: http\r\n",
    ],
)
def test_no_line_that_a_client_adds_makes_its_plain_http_good_enough(proxied: Door, lines: bytes) -> None:
    assert told(push(proxied, under(proxied.stores.key), lines)).startswith("plain_http ")


def test_an_untrusted_proxy_is_not_believed(door: Door) -> None:
    assert told(push(door, under(door.stores.key), **SECURE)).startswith("plain_http ")
    assert answer(push(door, under(door.stores.key))).read() == OK


def test_a_server_with_networks_is_let_in_from_these_alone(proxied: Door) -> None:
    key = under(proxied.stores.fenced)
    assert answer(push(proxied, key, **SECURE)).read() == OK
    for client in ("198.51.100.7", "203.0.113.9, 198.51.100.7", "::ffff:198.51.100.7", "2001:db8::7", "unknown"):
        text = told(push(proxied, key, X_Forwarded_For=client, X_Forwarded_Proto="https"))
        assert text.startswith("wrong_network the request comes from an address that this server may not push from")
        seen = {"unknown": "its address", "2001:db8::7": "2001:db8::7"}.get(client, "198.51.100.7")
        assert f": add {seen} to the server's networks, or revoke the key if it is not yours (trace " in text


def test_a_key_in_mattermosts_own_headers_is_taken(door: Door) -> None:
    headers = {"X_Mattermost_Auth": door.stores.key, "X_Mattermost_ServerID": "7up1nnng4trrmqbo9o8az4zmhy"}
    assert answer(push(door, **headers)).read() == OK
    headers["X_Mattermost_Auth"] = door.stores.revoked
    assert told(push(door, **headers)).startswith("revoked_key ")


def test_a_registered_server_id_pushes_without_a_key_and_any_other_does_not(door: Door) -> None:
    assert answer(push(door, body=of("hugos-own"))).read() == OK
    for server_id in ("hugos-Own", "another", "hugos-own "):
        text = told(push(door, body=of(server_id)))
        assert text.startswith("no_key the request carries no server key, and the free test service is off here: copy")


def test_a_registered_server_id_needs_tls_as_its_keys_do(proxied: Door) -> None:
    assert told(push(proxied, body=of("hugos-own"), **REMOTE)).startswith("plain_http ")
    assert answer(push(proxied, body=of("hugos-own"), **SECURE)).read() == OK


def test_the_test_service_takes_anybody_over_plain_http_while_it_is_on(proxied: Door, door: Door) -> None:
    assert answer(push(proxied, body=of("anybody"), **REMOTE)).read() == OK
    assert answer(push(proxied, under(proxied.stores.trial), **REMOTE)).read() == OK
    text = told(push(door, under(door.stores.trial)))
    assert text.startswith("test_service_off the free test service is off here: ask whoever operates")


def test_strangers_are_limited_by_their_network_and_told_so_and_acks_and_others_are_not(proxied: Door) -> None:
    texts = []
    for number in range(90):
        body = json.dumps(a_push(server_id="anybody", device_id=f"{number:064x}", type="test")).encode()
        found = json.loads(answer(push(proxied, body=body, X_Forwarded_For="192.0.2.7")).read())
        texts += [found["error"]] if "over_limit" in found.get("error", "") else []
        if len(texts) > 2:
            break
    assert texts
    assert "the free test service from your network may send 2 pushes a second and 60 at once" in texts[0]
    assert ": send less at once, or ask whoever operates this push service for a higher limit" in texts[0]
    assert answer(push(proxied, "/api/v1/ack", body=ACK, X_Forwarded_For="192.0.2.7")).read() == OK
    assert answer(push(proxied, under(proxied.stores.key), **SECURE)).read() == OK
