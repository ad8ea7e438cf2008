"""The pipelined link to Valkey, against a real one that is made to go away."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from delivery.queue import valkey
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.process import Child
from hpns.local.valkey import Valkey
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
    seen: list[bool] = []

    async def greet(connection: valkey.Connection) -> None:
        seen.append(link.up)
        await connection.execute("SET", "greeted", "1")

    link = valkey.Link(valkey_url, on_connect=greet)
    await link.start()
    assert seen == [False]
    with redis.Redis.from_url(valkey_url) as store:
        assert store.get("greeted") == b"1"
    link.close()


async def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ValueError, match="memcached://"):
        await valkey.Link("memcached://127.0.0.1")._open(asyncio.get_running_loop())
