"""Valkey's memory as it tells it, with other replies of the same moment."""

from collections.abc import Sequence
from typing import Any

import pytest
import redis

from delivery.queue import memory, valkey
from tests.delivery.links import until


@pytest.mark.parametrize(
    ("info", "used", "most"),
    [
        (b"# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:4194304\r\n", 1048576, 4194304),
        (b"# Memory\r\nused_memory:7\r\nmaxmemory:0\r\n", 7, 0),
        (b"", 0, 0),
    ],
)
def test_memory_and_its_bound_are_read_from_info(info: bytes, used: int, most: int) -> None:
    assert memory.read(info) == (used, most)


async def test_a_look_gives_the_memory_and_the_replies_in_their_order(link: valkey.Link, store: redis.Redis) -> None:
    store.set("one", "1")
    store.rpush("three", *range(3))
    seen: list[tuple[memory.Memory | None, Sequence[Any]]] = []
    memory.look(link, [("GET", "one"), ("LLEN", "three")], lambda *found: seen.append(found))
    await until(lambda: seen)
    ((found, replies),) = seen
    assert found is not None
    assert found.used > 100_000
    assert replies == [b"1", 3]


async def test_a_look_that_is_refused_or_lost_gives_nothing_and_says_why_it_was_refused(
    link: valkey.Link, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[memory.Memory | None, Sequence[Any]]] = []
    store.set("one", "1")
    memory.look(link, [("LLEN", "one")], lambda *found: seen.append(found))
    await until(lambda: seen)
    assert "does not tell its memory, or what it is asked with it: WRONGTYPE" in caplog.text
    link.close()
    memory.look(link, [("GET", "one")], lambda *found: seen.append(found))
    await until(lambda: len(seen) == 2)
    assert seen == [(None, [])] * 2
