"""What Django sees of a request that came through a proxy, and through a stranger's hands."""

from typing import Any

import pytest

from hpns.web.client_scope import seen_through_proxies
from tenants.network import TrustedProxies, networks

PROXY, CLIENT = ("10.0.0.1", 40000), "203.0.113.9"
TRUSTING = TrustedProxies(networks(["10.0.0.0/8"]))


def seen(
    peer: tuple[str, int], proxies: TrustedProxies = TRUSTING, scheme: str = "http", **headers: str
) -> tuple[Any, str]:
    """The address and the scheme that Django is given."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = seen_through_proxies({"client": peer, "scheme": scheme, "headers": pairs}, proxies)
    return scope["client"] and scope["client"][0], scope["scheme"]


def test_a_page_behind_a_trusted_proxy_is_asked_for_by_the_client_and_over_its_scheme() -> None:
    assert seen(PROXY, x_forwarded_for=CLIENT, x_forwarded_proto="https") == (CLIENT, "https")
    assert seen(PROXY, x_forwarded_for=f"127.0.0.1, {CLIENT}", x_forwarded_proto="http") == (CLIENT, "http")


@pytest.mark.parametrize("proxies", [TRUSTING, TrustedProxies()])
def test_what_a_stranger_writes_into_these_headers_is_not_believed(proxies: TrustedProxies) -> None:
    assert seen((CLIENT, 1), proxies, x_forwarded_for="127.0.0.1", x_forwarded_proto="https") == (CLIENT, "http")


def test_our_own_tls_is_https_whatever_a_proxy_says() -> None:
    assert seen(PROXY, scheme="https", x_forwarded_for=CLIENT, x_forwarded_proto="http") == (CLIENT, "https")


@pytest.mark.parametrize("forwarded", ["unknown", "é", "203.0.113.9, é"])
def test_a_client_whom_the_proxy_does_not_name_has_no_address(forwarded: str) -> None:
    assert seen(PROXY, x_forwarded_for=forwarded)[0] is None


def test_an_address_of_ipv6_has_neither_brackets_nor_a_zone() -> None:
    assert seen(("fe80::7%eth0", 1))[0] == "fe80::7"
    assert seen(PROXY, x_forwarded_for="[2001:db8::7]:443")[0] == "2001:db8::7"
