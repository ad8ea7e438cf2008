"""The pipelined link to Valkey, against a real one that is made to go away."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from pytest_django import Settings

from delivery.queue import valkey
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.process import Child
from hpns.local.valkey import Valkey
from tenants import supervision
from tests.delivery.links import until
from tests.delivery.queue.slow_server import slow_server
from tests.tenants.relay import Relay
from tests.waiting import PATIENCE, wait_for


class Server:
    """A Valkey of this test's own."""

    def __init__(self, folder: Path) -> None:
        self.valkey = Valkey(Folder(folder, for_servers()), "s3cret", fast=True)
        self.start()

    def start(self) -> None:
        self.child = Child(self.valkey.spec())
        wait_for(self.valkey.spec().ready, PATIENCE, "Valkey serves")

    def kill(self) -> None:
        self.child.kill()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running server."""
    server = Server(tmp_path)
    yield server
    server.kill()


async def up(link: valkey.Link) -> None:
    """Wait until the link is up."""
    while not link.up:
        await asyncio.sleep(0.01)


async def test_commands_are_answered_in_order(valkey_url: str) -> None:
    link = valkey.Link(valkey_url)
    await link.start()
    answers = [link.execute("SET", f"k{n}", str(n)) for n in range(100)] + [
        link.execute("GET", f"k{n}") for n in range(100)
    ]
    assert await asyncio.gather(*answers) == [b"OK"] * 100 + [str(n).encode() for n in range(100)]
    link.close()


async def test_a_refused_command_gives_the_refusal_and_harms_no_other(valkey_url: str) -> None:
    link = valkey.Link(valkey_url)
    await link.start()
    await link.execute("SET", "text", "x")
    wrong, right = link.execute("LPUSH", "text", "y"), link.execute("GET", "text")
    assert "WRONGTYPE" in str(await wrong)
    assert await right == b"x"
    link.close()


async def test_the_password_is_taken_from_the_url(server: Server) -> None:
    link = valkey.Link(server.valkey.url)
    await link.start()
    assert await link.execute("PING") == b"PONG"
    link.close()


async def test_what_waits_when_the_server_dies_is_told_and_the_link_comes_back(server: Server) -> None:
    link = valkey.Link(server.valkey.url)
    await link.start()
    waiting = link.execute("BLPOP", "nothing", "0")
    await asyncio.sleep(0.05)
    server.kill()
    with pytest.raises(valkey.ConnectionLost):
        await waiting
    with pytest.raises(valkey.ConnectionLost):
        await link.execute("PING")
    assert not link.up
    server.start()
    await asyncio.wait_for(up(link), PATIENCE)
    assert await link.execute("PING") == b"PONG"
    link.close()


async def test_the_server_of_the_settings_is_reached_through_its_socket(
    server: Server, settings: Settings, tmp_path: Path
) -> None:
    settings.REDIS_URL, settings.REDIS_SOCKET = server.valkey.url, server.valkey.socket
    link = valkey.Link(server.valkey.url)
    for _ in range(2):  # and again after the server was started anew, where all clients have one address
        async with asyncio.timeout(PATIENCE):
            await link.start()
            await up(link)
        assert server.valkey.socket.encode() in await link.execute("CLIENT", "INFO")
        others = [valkey.Link(server.valkey.url) for _ in range(3)]
        await asyncio.gather(*[other.start() for other in others])
        server.kill()
        async with asyncio.timeout(PATIENCE):
            while any(one.up for one in (link, *others)):
                await asyncio.sleep(0.01)
            server.start()
            await asyncio.gather(*[up(one) for one in (link, *others)])
        for one in (link, *others):
            assert await one.execute("PING") == b"PONG"
        for other in others:
            other.close()
    link.close()


async def test_a_connection_that_was_given_up_is_closed_by_the_server_on_a_socket_too(
    server: Server, settings: Settings
) -> None:
    settings.REDIS_URL, settings.REDIS_SOCKET = server.valkey.url, server.valkey.socket
    link = valkey.Link(server.valkey.url)
    await link.start()
    given_up = link._last_client
    watcher = valkey.Link(server.valkey.url)
    await watcher.start()
    assert given_up is not None
    assert link._protocol is not None
    sock = link._protocol._transport.get_extra_info("socket")  # type: ignore[union-attr]
    kept = os.dup(sock.fileno())  # so that the server hears nothing of its end
    try:
        link.abort()
        async with asyncio.timeout(PATIENCE):
            while not link.up or link._last_client == given_up:
                await asyncio.sleep(0.01)
        clients = await watcher.execute("CLIENT", "LIST")
        assert b"id=%b " % given_up.number.encode() not in clients
    finally:
        os.close(kept)
    link.close()
    watcher.close()


async def test_a_link_that_starts_before_its_server_waits_for_it(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.kill()
    link = valkey.Link(server.valkey.url)
    link.start()
    await asyncio.sleep(0.2)
    assert not link.up
    assert link.post(valkey.pack(("PING",)), 1) is False
    server.start()
    await asyncio.wait_for(up(link), PATIENCE)
    link.close()
    server.kill()


async def test_a_wrong_password_is_no_connection(server: Server) -> None:
    link = valkey.Link(server.valkey.url.replace("s3cret", "wrong"))
    link.start()
    await asyncio.sleep(0.3)
    assert not link.up
    link.close()


async def test_on_connect_runs_before_anybody_may_write(valkey_url: str) -> None:
    refused: list[object] = []

    async def greet(connection: valkey.Connection) -> None:
        refused.append(link.post(valkey.pack(("RPUSH", "order", "somebody else")), 1))
        refused.append(link.execute("RPUSH", "order", "somebody else").exception())
        await connection.execute("RPUSH", "order", "on_connect")
        refused.append(link.post(valkey.pack(("RPUSH", "order", "somebody else")), 1))

    seen_up: list[bool] = []
    link = valkey.Link(valkey_url, on_connect=greet, on_up=lambda: seen_up.append(link.up))
    await asyncio.wait_for(link.start(), PATIENCE)
    assert await link.execute("RPUSH", "order", "afterwards") == 2
    assert (refused[0], type(refused[1]), refused[2]) == (False, valkey.ConnectionLost, False)
    assert seen_up == [True]
    with redis.Redis.from_url(valkey_url) as store:
        assert store.lrange("order", 0, -1) == [b"on_connect", b"afterwards"]
    link.close()


async def post_all_the_time(link: valkey.Link, name: str, count: int) -> None:
    """Post to a list from before the link is up until so many posts were taken."""
    taken = 0
    while taken < count:
        taken += link.post(valkey.pack(("RPUSH", name, str(taken))), 1)
        await asyncio.sleep(0.001)


async def test_nothing_is_written_before_the_password_and_the_database(tmp_path: Path) -> None:
    async def recover(connection: valkey.Connection) -> None:
        await connection.execute("GET", "sent")

    async with slow_server(delay=0.01) as server:
        link = valkey.Link(f"redis://:pw@127.0.0.1:{server.port}/3", on_connect=recover)
        link.start()
        await post_all_the_time(link, "list", 5)
        await link.drain()
        link.close()
    assert server.names() == ["AUTH", "SELECT", "PING", "INFO", "CLIENT", "GET", *["RPUSH"] * 5, "PING"]


async def test_what_is_posted_while_a_link_connects_is_in_no_other_database(valkey_url: str) -> None:
    name = f"list-{secrets.token_hex(8)}"
    parts = urlsplit(valkey_url)
    relay = Relay(parts.hostname or "", parts.port or 0, delay=0.003)
    link = valkey.Link(valkey_url.replace(f":{parts.port}/", f":{relay.port}/"))
    link.start()
    await post_all_the_time(link, name, 20)
    await link.drain()
    link.close()
    relay.close()
    with redis.Redis.from_url(valkey_url) as store, redis.Redis.from_url(parts._replace(path="/0").geturl()) as first:
        assert store.llen(name) == 20
        assert not first.exists(name)


@pytest.mark.parametrize("replies", [1, 2])
async def test_a_server_that_hangs_up_is_not_dialled_without_a_pause(replies: int) -> None:
    async with slow_server() as server:
        server.hasty = replies  # in the handshake, or right after it
        link = valkey.Link(f"redis://127.0.0.1:{server.port}")
        link.start()
        await asyncio.sleep(1)
        link.close()
    assert 2 <= server.connections <= 7


async def test_a_fault_of_ours_after_connecting_does_not_end_a_link(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "BACKOFF_MIN", 0.01)
    tries: list[valkey.Connection] = []

    async def stumble(connection: valkey.Connection) -> None:
        tries.append(connection)
        if len(tries) == 1:
            raise ValueError("a fault of the test")

    link = valkey.Link(valkey_url, on_connect=stumble, name="tests")
    await asyncio.wait_for(link.start(), PATIENCE)
    assert [connection.closed for connection in tries] == [True, False]
    assert "the connection to Valkey for tests failed, to be restarted" in caplog.text
    link.close()
    supervision.collect_restarts()


async def test_whoever_starts_a_link_again_waits_for_the_same_connection() -> None:
    async with slow_server(delay=0.01) as server:
        link = valkey.Link(f"redis://127.0.0.1:{server.port}")
        await asyncio.gather(link.start(), link.start(), link.start())
        assert link.up
        assert server.connections == 1
        link.abort()
        await until(lambda: not link.up)
        await asyncio.gather(link.start(), link.start())
        assert link.up
        assert server.connections == 2
        link.close()


async def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ValueError, match="memcached://"):
        await valkey.Link("memcached://127.0.0.1")._open(asyncio.get_running_loop())
