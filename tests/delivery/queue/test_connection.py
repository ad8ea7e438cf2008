"""A connection to a Valkey that is slow, or says nothing any more: who waits gives up in time, and nobody else."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from delivery.queue import connection, valkey
from delivery.sandbox import certificates
from tests.delivery.links import until
from tests.delivery.queue.slow_server import SlowServer, slow_server
from tests.tenants.relay import Relay
from tests.waiting import PATIENCE

PATIENT = 10.0
"""Seconds of silence that a link bears of which a test wants no end."""


@pytest.fixture
async def server() -> AsyncIterator[SlowServer]:
    """A server that replies at once, until it is told otherwise."""
    async with slow_server() as running:
        yield running


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at connections more often, so that tests may ask for short times."""
    monkeypatch.setattr(connection, "LOOK_INTERVAL", 0.025)
    monkeypatch.setattr(connection, "BLOCKED_INTERVAL", 0.1)


async def up(server: SlowServer, patience: float = 0.2) -> valkey.Link:
    link = valkey.Link(f"redis://127.0.0.1:{server.port}", timeout=patience)
    await link.start()
    return link


async def test_a_server_that_says_nothing_is_given_up_and_tried_again(server: SlowServer) -> None:
    link = await up(server)
    server.silent = True
    waiting = [link.execute("GET", "a"), link.execute("GET", "b")]
    for answer in waiting:
        with pytest.raises(valkey.ConnectionLost):
            await asyncio.wait_for(answer, PATIENCE)
    assert not link.up
    server.silent = False
    await asyncio.wait_for(link.start(), PATIENCE)
    assert await link.execute("GET", "a") is None
    link.close()


async def test_posts_that_nobody_waits_for_count_as_owed(server: SlowServer) -> None:
    link = await up(server)
    server.silent = True
    link.post(valkey.pack(("SET", "a", "1")), 1)
    await asyncio.wait_for(until(lambda: not link.up), PATIENCE)
    link.close()


async def test_an_idle_link_finds_out_by_itself(server: SlowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PING_INTERVAL", 0.1)
    link = await up(server)
    known = len(server.commands)
    await until(lambda: server.names()[known:].count("PING") >= 2)
    assert link.up
    server.silent = True
    await asyncio.wait_for(until(lambda: not link.up), PATIENCE)
    link.close()


def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds each connection is told to wait for its next look, from now on."""
    told: list[float] = []
    look_after = connection.Connection._look_after

    def noting(self: connection.Connection, seconds: float) -> None:
        told.append(seconds)
        look_after(self, seconds)

    monkeypatch.setattr(connection.Connection, "_look_after", noting)
    return told


async def test_a_link_that_rests_is_hardly_looked_at(server: SlowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    told = pauses(monkeypatch)
    link = await up(server)
    await until(lambda: told[-1] == connection.PING_INTERVAL)
    count = len(told)
    await asyncio.sleep(0.3)  # a dozen looks
    assert len(told) == count
    link.close()


async def test_what_is_asked_of_a_link_that_rests_is_missed_as_soon_as_of_any_other(
    server: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_INTERVAL", 1_000.0)
    told = pauses(monkeypatch)
    link = await up(server)
    await until(lambda: told[-1] == 1_000.0)
    server.silent = True
    with pytest.raises(valkey.ConnectionLost):
        await asyncio.wait_for(link.execute("GET", "a"), PATIENCE)
    link.close()


async def test_a_link_that_only_blocks_is_looked_at_seldom_and_given_up_in_time(
    server: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = pauses(monkeypatch)
    link = await up(server)
    server.silent = True
    waiting = link.execute("BLMOVE", "a", "b", "RIGHT", "LEFT", "0.4")
    told.clear()
    with pytest.raises(valkey.ConnectionLost):
        await asyncio.wait_for(waiting, PATIENCE)
    assert connection.BLOCKED_INTERVAL in told
    assert len(told) < 12  # 26, each as long as while replies are owed
    link.close()


async def test_a_command_that_blocks_may_take_its_time_and_not_more(valkey_url: str) -> None:
    parts = urlsplit(valkey_url)
    relay = Relay(parts.hostname or "", parts.port or 0)
    link = valkey.Link(valkey_url.replace(f":{parts.port}/", f":{relay.port}/"), timeout=0.6)
    await link.start()
    assert await link.execute("BLMPOP", "0.8", "1", "nothing", "LEFT") is None
    assert link.up
    waiting = link.execute("BLMOVE", "nothing", "nowhere", "RIGHT", "LEFT", "0.8")
    relay.mute()
    with pytest.raises(valkey.ConnectionLost):
        await asyncio.wait_for(waiting, PATIENCE)
    link.close()
    relay.close()


async def test_what_waits_behind_a_command_that_blocks_is_not_held_against_the_server(valkey_url: str) -> None:
    link = valkey.Link(valkey_url, timeout=0.6)
    await link.start()
    link.execute("BLMPOP", "0.8", "1", "nothing", "LEFT")
    assert await link.execute("PING") == b"PONG"
    link.close()


async def test_a_command_with_a_timeout_ends_the_connection_when_it_is_over(server: SlowServer) -> None:
    link = await up(server, PATIENT)
    server.silent = True
    with pytest.raises(valkey.ConnectionLost):
        await asyncio.wait_for(link.execute("GET", "a", timeout=0.1), PATIENCE)
    assert not link.up
    link.close()


async def test_a_process_that_stood_still_itself_does_not_blame_the_server(server: SlowServer) -> None:
    link = await up(server)
    server.delay = 0.1
    answer = link.execute("GET", "a", timeout=0.15)
    await asyncio.sleep(0.01)
    held = asyncio.get_running_loop().time() + 0.5
    while asyncio.get_running_loop().time() < held:
        pass  # as if the process had been stopped
    assert await answer is None
    link.close()


async def test_nothing_of_a_connection_that_was_given_up_comes_about_after_the_next(
    valkey_url: str, store: redis.Redis
) -> None:
    parts = urlsplit(valkey_url)
    relay = Relay(parts.hostname or "", parts.port or 0)
    link = valkey.Link(valkey_url.replace(f":{parts.port}/", f":{relay.port}/"))
    await link.start()
    waiting = link.execute("BLMOVE", "queue", "taken", "RIGHT", "LEFT", "30", timeout=0.2)
    await until(lambda: any("blmove" in client["cmd"] for client in store.client_list()))
    relay.mute()
    with pytest.raises(valkey.ConnectionLost):
        await waiting
    await asyncio.wait_for(link.start(), PATIENCE)
    store.lpush("queue", "a message")
    await link.drain()
    assert store.lrange("taken", 0, -1) == []
    link.close()
    relay.close()


@pytest.mark.parametrize("encrypted", [False, True])
async def test_the_kernel_looks_after_connections_that_are_silent(tmp_path: Path, encrypted: bool) -> None:
    ca_file = certificates.ensure(tmp_path)
    tls = certificates.context(tmp_path, "server") if encrypted else None
    async with slow_server(tls=tls) as server:
        url = f"redis{'s' * encrypted}://localhost:{server.port}?ssl_ca_certs={ca_file}"
        link = valkey.Link(url)
        await asyncio.wait_for(link.start(), PATIENCE)
        sock = link._protocol._transport.get_extra_info("socket")  # type: ignore[union-attr]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == connection.KEEPALIVE_IDLE
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == connection.USER_TIMEOUT * 1000
        link.close()
