"""Who is let in through the real front door: behind a trusted proxy, from a remote client, by a server_id, by nothing.

The proxy stands on 127.0.0.1, as the tests do; X-Forwarded-For makes a remote client of a caller.
"""

import json
from collections.abc import Iterator

import pytest

from tests.hpns.web_server import ACK, DEADLINE, PUSH, SEND_PUSH, Server, Stores, answer, error_of, request
from tests.stage import a_push

REMOTE = {"X_Forwarded_For": "203.0.113.9"}
PLAIN = {**REMOTE, "X_Forwarded_Proto": "http"}
SECURE = {**REMOTE, "X_Forwarded_Proto": "https"}
OK = b'{"status":"OK"}'


@pytest.fixture(scope="module")
def proxied(stores: Stores) -> Iterator[Server]:
    """A front door behind a proxy, with the test service."""
    settings = {"TRUSTED_PROXIES": "127.0.0.0/8", "TEST_SERVICE": "true", "PUSH_DEADLINE": str(DEADLINE)}
    web = Server(stores, settings)
    yield web
    web.close()


def push(web: Server, path: str = SEND_PUSH, extra: bytes = b"", body: bytes = PUSH, **headers: str) -> bytes:
    """The answer to a push; `extra`: whole lines of headers."""
    sent = request(path, body, **headers).replace(b"\r\n", b"\r\n" + extra, 1)
    return web.send(sent)


def under(key: str) -> str:
    return f"/t/{key}{SEND_PUSH}"


def of(server_id: str) -> bytes:
    return json.dumps(a_push(server_id=server_id)).encode()


def test_a_key_over_plain_http_is_refused_and_behind_a_proxy_that_says_https_it_is_taken(
    proxied: Server,
) -> None:
    key = proxied.stores.key
    text = error_of(push(proxied, under(key), **PLAIN))
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
def test_no_line_that_a_client_adds_makes_its_plain_http_good_enough(proxied: Server, lines: bytes) -> None:
    assert error_of(push(proxied, under(proxied.stores.key), lines)).startswith(("plain_http ", "unnamed_scheme "))


def test_a_proxy_of_ours_that_names_no_scheme_makes_no_customer_take_a_new_key(proxied: Server) -> None:
    text = error_of(push(proxied, under(proxied.stores.key), **REMOTE))
    assert text.startswith("unnamed_scheme the proxy in front of the push service does not say whether")
    assert "new key" not in text


def test_an_untrusted_proxy_is_not_believed(web: Server) -> None:
    assert error_of(push(web, under(web.stores.key), **SECURE)).startswith("plain_http ")
    assert answer(push(web, under(web.stores.key))).read() == OK


def test_a_server_with_networks_is_let_in_from_these_alone(proxied: Server) -> None:
    key = under(proxied.stores.fenced)
    assert answer(push(proxied, key, **SECURE)).read() == OK
    for client in ("198.51.100.7", "203.0.113.9, 198.51.100.7", "::ffff:198.51.100.7", "2001:db8::7", "unknown"):
        text = error_of(push(proxied, key, X_Forwarded_For=client, X_Forwarded_Proto="https"))
        assert text.startswith("wrong_network the request comes from an address that this server may not push from")
        seen = {"unknown": "its address", "2001:db8::7": "2001:db8::7"}.get(client, "198.51.100.7")
        assert f": add {seen} to the server's networks, or revoke the key if it is not yours (trace " in text


def test_a_key_in_mattermosts_own_headers_is_taken(web: Server) -> None:
    headers = {"X_Mattermost_Auth": web.stores.key, "X_Mattermost_ServerID": "7up1nnng4trrmqbo9o8az4zmhy"}
    assert answer(push(web, **headers)).read() == OK
    headers["X_Mattermost_Auth"] = web.stores.revoked
    assert error_of(push(web, **headers)).startswith("revoked_key ")


def test_a_registered_server_id_pushes_without_a_key_and_any_other_does_not(web: Server) -> None:
    assert answer(push(web, body=of("hugos-own"))).read() == OK
    for server_id in ("hugos-Own", "another", "hugos-own "):
        text = error_of(push(web, body=of(server_id)))
        assert text.startswith("no_key the request carries no server key, and the free test service is off here: copy")


def test_a_registered_server_id_needs_tls_as_its_keys_do(proxied: Server) -> None:
    assert error_of(push(proxied, body=of("hugos-own"), **PLAIN)).startswith("plain_http ")
    assert answer(push(proxied, body=of("hugos-own"), **SECURE)).read() == OK


def test_the_test_service_takes_anybody_over_plain_http_while_it_is_on(proxied: Server, web: Server) -> None:
    assert answer(push(proxied, body=of("anybody"), **REMOTE)).read() == OK
    assert answer(push(proxied, under(proxied.stores.trial), **REMOTE)).read() == OK
    text = error_of(push(web, under(web.stores.trial)))
    assert text.startswith("test_service_off the free test service is off here: ask whoever operates")


def test_strangers_are_limited_by_their_network_and_told_so_and_acks_and_others_are_not(proxied: Server) -> None:
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
