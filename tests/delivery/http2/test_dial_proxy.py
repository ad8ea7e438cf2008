"""The outgoing proxy spoken to over TLS, and TLS to the provider within it; on both event loops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from delivery.outcomes.verdict import NOT_SENT
from delivery.sandbox import certificates
from tests.delivery.http2.posting import post
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.http2.test_dial import OK, UvLoop, engine_to, on_both_loops, run
from tests.delivery.http2.test_egress import PASSWORD, Proxy


def folder_of(rough: RoughServer) -> Path:
    """Where its certificates are."""
    return Path(rough.ca_file).parent


@asynccontextmanager
async def encrypted(proxy: Proxy, folder: Path, name: str = "server") -> AsyncIterator[str]:
    """The address of a proxy that speaks TLS with this certificate."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=certificates.context(folder, name))
    try:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@on_both_loops
def test_an_encrypted_proxy_that_refuses_is_named_as_the_fault_each_time(rough: RoughServer, loop: type) -> None:
    async def main() -> None:
        proxy = Proxy(password=PASSWORD)
        async with (
            encrypted(proxy, folder_of(rough)) as address,
            engine_to(rough.ca_file, f"https://{address}", patient=False) as engine,
            engine_to(rough.ca_file) as direct,
        ):
            for number in range(5):
                seen = await post(engine, rough.origin, OK)
                assert (seen.status, seen.fault, seen.wire) == (0, "proxy", NOT_SENT)
                assert "407" in seen.error
                assert len(proxy.requests) == number + 1
                assert (await post(direct, rough.origin, OK, credential=number)).status == 200

    run(loop, main())


class Clinging(Proxy):
    """A proxy that refuses or is silent, and closes no connection itself; closed_by_us counts those that we closed."""

    closed_by_us = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self._refusal)
        try:
            await reader.read()
        finally:
            self.closed_by_us += 1
            writer.close()


@on_both_loops
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("answer", "fault"), [(b"HTTP/1.1 403 No\r\n\r\n", "proxy"), (b"", "proxy")], ids=["refuses", "silent"]
)
def test_the_connection_to_a_proxy_that_leads_nowhere_is_closed_and_harms_no_other(
    rough: RoughServer, loop: type, scheme: str, answer: bytes, fault: str
) -> None:
    async def main() -> None:
        proxy = Clinging(refusal=answer)
        plain = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        async with plain, encrypted(proxy, folder_of(rough)) as address, engine_to(rough.ca_file) as direct:
            if scheme == "http":
                address = f"127.0.0.1:{plain.sockets[0].getsockname()[1]}"
            async with engine_to(rough.ca_file, f"{scheme}://{address}", patient=False) as engine:
                for number in range(4):
                    refused, seen = await asyncio.gather(
                        post(engine, rough.origin, OK, seconds=2.0 if answer else 0.5),
                        post(direct, rough.origin, OK, credential=number),
                    )
                    assert (refused.fault, refused.wire, seen.status) == (fault, NOT_SENT, 200)
            # On a busy machine a dial may be given up before the proxy hears of it; those that it heard of are closed.
            for _ in range(1200):
                if proxy.requests and proxy.closed_by_us == len(proxy.requests):
                    break
                await asyncio.sleep(0.05)
            assert 1 <= proxy.closed_by_us == len(proxy.requests) <= 4

    run(loop, main())


@on_both_loops
def test_a_proxy_with_the_certificate_of_a_stranger_gets_no_password(rough: RoughServer, loop: type) -> None:
    async def main() -> None:
        proxy = Proxy(password=PASSWORD)
        async with (
            encrypted(proxy, folder_of(rough), "wrong") as address,
            engine_to(rough.ca_file, f"https://egress:p%40ss%20word@{address}", patient=False) as engine,
        ):
            seen = await post(engine, rough.origin, OK)
            assert (seen.status, seen.wire) == (0, NOT_SENT)
            assert seen.fault in ("proxy", "tls")
        assert proxy.requests == []

    run(loop, main())


@on_both_loops
def test_requests_go_through_an_encrypted_proxy_and_share_one_connection(rough: RoughServer, loop: type) -> None:
    async def main() -> None:
        proxy = Proxy()
        async with (
            encrypted(proxy, folder_of(rough)) as address,
            engine_to(rough.ca_file, f"https://{address}") as engine,
        ):
            for _ in range(3):
                seen = await asyncio.gather(*(post(engine, rough.origin, OK) for _ in range(20)))
                assert {(one.status, one.fault) for one in seen} == {(200, "")}
        assert len(proxy.requests) == 1
        assert proxy.requests[0].startswith(f"CONNECT {rough.origin.removeprefix('https://')} HTTP/1.1\r\n".encode())

    run(loop, main())


@on_both_loops
def test_an_encrypted_proxy_gets_its_password(rough: RoughServer, loop: type) -> None:
    async def main() -> None:
        async with (
            encrypted(Proxy(password=PASSWORD), folder_of(rough)) as address,
            engine_to(rough.ca_file, f"https://egress:p%40ss%20word@{address}") as engine,
        ):
            assert (await post(engine, rough.origin, OK)).status == 200

    run(loop, main())


@on_both_loops
def test_a_provider_with_the_certificate_of_a_stranger_is_noticed_through_an_encrypted_proxy(
    rough: RoughServer, loop: type
) -> None:
    async def main() -> None:
        complete = rough.complete.total()
        stranger = await asyncio.start_server(
            lambda reader, writer: None, "127.0.0.1", 0, ssl=certificates.context(folder_of(rough), "wrong")
        )
        origin = f"https://localhost:{stranger.sockets[0].getsockname()[1]}"
        async with (
            stranger,
            encrypted(Proxy(), folder_of(rough)) as address,
            engine_to(rough.ca_file, f"https://{address}", patient=False) as engine,
        ):
            seen = await post(engine, origin, OK)
            assert (seen.status, seen.wire) == (0, NOT_SENT)
            # asyncio before Python 3.11.8 stumbles over this (gh-113214)
            assert seen.fault in (("tls",) if loop is UvLoop else ("tls", "connect"))
        assert rough.complete.total() == complete

    run(loop, main(), complaining=loop is not UvLoop)


@on_both_loops
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_way_with_a_client_certificate_leads_through_a_proxy_too(rough: RoughServer, loop: type, scheme: str) -> None:
    """With TLS 1.2 the provider's first frames come along with the end of its handshake."""

    async def main() -> None:
        certificate, mark, key = certificates.issue_client(folder_of(rough), "app").decode().partition("-----BEGIN PR")
        proxy = Proxy()
        plain = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        async with plain, encrypted(proxy, folder_of(rough)) as address:
            if scheme == "http":
                address = f"127.0.0.1:{plain.sockets[0].getsockname()[1]}"
            async with engine_to(rough.ca_file, f"{scheme}://{address}") as engine:
                engine.channel(rough.origin, 1, certificate, mark + key)
                seen = await post(engine, rough.origin, OK)
                assert (seen.status, seen.fault) == (200, "")
        assert len(proxy.requests) == 1

    run(loop, main())
