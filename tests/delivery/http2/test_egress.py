"""The outgoing proxy: used where it is set, with its password, and never taken from the environment."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from delivery.http2.dial import TlsTrust
from delivery.http2.engine import Engine
from delivery.outcomes.verdict import NOT_SENT
from delivery.providers.fcm.sender import FcmSender
from delivery.providers.table import judge
from tests.delivery.http2.posting import post
from tests.delivery.providers.trying import attempt, fcm_target, push
from tests.sandbox_fixture import SandboxClient

PATH = "/3/device/" + "ab" * 32
PASSWORD = "p@ss word"


class Proxy:
    """A CONNECT proxy; `requests`: what it got."""

    def __init__(self, *, password: str = "", refusal: bytes = b"") -> None:
        self.requests: list[bytes] = []
        self._wanted = b"Basic " + base64.b64encode(f"egress:{password}".encode()) if password else b""
        self._refusal = refusal

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        if self._refusal or (self._wanted and self._wanted not in head):
            writer.write(self._refusal or b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            writer.close()
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(self._pass_on(reader, there_writer), self._pass_on(there_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def running(proxy: Proxy) -> AsyncIterator[int]:
    """The proxy's port."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def engine_with(sandbox: SandboxClient, proxy: str, no_proxy: str = "") -> AsyncIterator[Engine]:
    """An engine that goes out through the proxy."""
    engine = Engine(asyncio.get_running_loop(), sandbox.ca_file, proxy, no_proxy, patient=False)
    yield engine
    await engine.close()


async def test_requests_go_through_the_proxy_and_share_one_connection_there_too(sandbox: SandboxClient) -> None:
    proxy = Proxy()
    async with running(proxy) as port, engine_with(sandbox, f"http://127.0.0.1:{port}") as engine:
        seen = await asyncio.gather(*(post(engine, sandbox.origin, PATH) for _ in range(20)))
    assert {one.status for one in seen} == {403}, "the sandbox's answer to a push without a signing token"
    assert len(proxy.requests) == 1
    assert proxy.requests[0].startswith(f"CONNECT localhost:{sandbox.port} HTTP/1.1\r\n".encode())
    assert b"authorization" not in proxy.requests[0].lower()


async def test_the_password_in_the_proxys_address_is_used(sandbox: SandboxClient) -> None:
    proxy = Proxy(password=PASSWORD)
    address = "http://egress:p%40ss%20word@127.0.0.1:"
    async with running(proxy) as port, engine_with(sandbox, f"{address}{port}") as engine:
        assert (await post(engine, sandbox.origin, PATH)).status == 403


async def test_a_proxy_that_wants_a_password_and_gets_none_is_named_as_the_fault(sandbox: SandboxClient) -> None:
    proxy = Proxy(password=PASSWORD)
    async with running(proxy) as port, engine_with(sandbox, f"http://127.0.0.1:{port}") as engine:
        seen = await post(engine, sandbox.origin, PATH)
    assert (seen.status, seen.fault, seen.wire) == (0, "proxy", NOT_SENT)
    assert "407" in seen.error
    assert PASSWORD not in seen.error
    assert sandbox.requests() == []


@pytest.mark.parametrize("refusal", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 502 Bad Gateway\r\n\r\n"])
async def test_a_proxy_that_refuses_is_named_as_the_fault(sandbox: SandboxClient, refusal: bytes) -> None:
    async with running(Proxy(refusal=refusal)) as port, engine_with(sandbox, f"http://127.0.0.1:{port}") as engine:
        seen = await post(engine, sandbox.origin, PATH)
    assert (seen.status, seen.fault, seen.wire) == (0, "proxy", NOT_SENT)


async def test_a_proxy_that_says_nothing_costs_the_timeout_and_no_more(sandbox: SandboxClient) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with engine_with(sandbox, f"http://127.0.0.1:{port}") as engine:
        seen = await post(engine, sandbox.origin, PATH, seconds=0.4)
    server.close()
    assert (seen.fault, seen.wire) == ("proxy", NOT_SENT), "and not the provider's"
    assert seen.ms < 1500


async def test_a_proxy_that_is_down_is_named_as_the_fault(sandbox: SandboxClient) -> None:
    async with running(Proxy()) as port:
        pass
    async with engine_with(sandbox, f"http://127.0.0.1:{port}") as engine:
        seen = await post(engine, sandbox.origin, PATH)
        made = await attempt(FcmSender(engine, sandbox.origin), fcm_target(sandbox), push())
    assert (seen.fault, seen.wire) == ("proxy", NOT_SENT)
    assert judge(made).code == "transport_proxy", "also where it is the way to the access token"
    assert judge(made).attribution == "ours"


@pytest.mark.parametrize(
    ("no_proxy", "straight"),
    [
        ("localhost:{port}", True),
        ("*.localhost", True),
        ("*", True),
        ("*:{port}", True),
        ("localhost:1", False),
        ("host", False),
        (" , ", False),
    ],
)
def test_exceptions_may_name_a_port_and_begin_with_an_asterisk(no_proxy: str, straight: bool) -> None:
    trust = TlsTrust(proxy="http://proxy:3128", no_proxy=no_proxy.format(port=8443))
    assert (trust.proxy("localhost", 8443) is None) is straight


@pytest.mark.parametrize(("no_proxy", "proxied"), [("localhost", 0), ("other.example,localhost", 0), ("example", 1)])
async def test_hosts_that_are_excepted_are_reached_without_it(
    sandbox: SandboxClient, no_proxy: str, proxied: int
) -> None:
    proxy = Proxy()
    async with running(proxy) as port, engine_with(sandbox, f"http://127.0.0.1:{port}", no_proxy) as engine:
        assert (await post(engine, sandbox.origin, PATH)).status == 403
    assert len(proxy.requests) == proxied


async def test_the_environments_proxy_is_not_used(sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with engine_with(sandbox, "") as engine:
        assert (await post(engine, sandbox.origin, PATH)).status == 403


async def test_the_environments_exceptions_are_not_used(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    proxy = Proxy()
    async with running(proxy) as port, engine_with(sandbox, f"http://127.0.0.1:{port}") as engine:
        assert (await post(engine, sandbox.origin, PATH)).status == 403
    assert len(proxy.requests) == 1
