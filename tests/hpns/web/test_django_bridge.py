"""What Django sees of a request that came through a proxy, and through a stranger's hands."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hpns.web.django_bridge import _Bridge
from tenants.network import TrustedProxies, networks
from tests.tenants.push_request import Headers

PROXY, CLIENT = "10.0.0.1:40000", "203.0.113.9"
TRUSTING = TrustedProxies(networks(["10.0.0.0/8"]))


def seen(
    peer: str, proxies: TrustedProxies = TRUSTING, scheme: str = "http", **headers: str | list[str]
) -> tuple[Any, str]:
    """The address and the scheme that Django is given."""
    scope = SimpleNamespace(
        method="GET",
        path="/",
        query_string="",
        http_version="1.1",
        authority=None,
        client=peer,
        server="127.0.0.1:8066",
        scheme=scheme,
        headers=Headers((name.replace("_", "-"), value) for name, value in headers.items()),
    )

    async def bridged() -> dict[str, Any]:
        return _Bridge(scope, SimpleNamespace(), "/", proxies).scope

    asgi_scope = asyncio.run(bridged())
    return asgi_scope["client"] and asgi_scope["client"][0], asgi_scope["scheme"]


def test_a_page_behind_a_trusted_proxy_is_asked_for_by_the_client_and_over_its_scheme() -> None:
    assert seen(PROXY, x_forwarded_for=CLIENT, x_forwarded_proto="https") == (CLIENT, "https")
    assert seen(PROXY, x_forwarded_for=f"127.0.0.1, {CLIENT}", x_forwarded_proto="http") == (CLIENT, "http")


@pytest.mark.parametrize("proxies", [TRUSTING, TrustedProxies()])
def test_what_a_stranger_writes_into_these_headers_is_not_believed(proxies: TrustedProxies) -> None:
    assert seen(f"{CLIENT}:1", proxies, x_forwarded_for="127.0.0.1", x_forwarded_proto="https") == (CLIENT, "http")


def test_our_own_tls_is_https_whatever_a_proxy_says() -> None:
    assert seen(PROXY, scheme="https", x_forwarded_for=CLIENT, x_forwarded_proto="http") == (CLIENT, "https")


@pytest.mark.parametrize("forwarded", ["unknown", "é", "203.0.113.9, é"])
def test_a_client_whom_the_proxy_does_not_name_has_no_address(forwarded: str) -> None:
    assert seen(PROXY, x_forwarded_for=forwarded)[0] is None


def test_an_address_of_ipv6_has_neither_brackets_nor_a_zone() -> None:
    assert seen("[fe80::7%eth0]:1")[0] == "fe80::7"
    assert seen(PROXY, x_forwarded_for="[2001:db8::7]:443")[0] == "2001:db8::7"
