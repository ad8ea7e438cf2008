"""The backlog of the log: what has waited for too long is described, in bytes, and nothing is said of seconds."""

import asyncio
import time
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio

from delivery.log import backlog, rows, writing
from tests.delivery.log.test_writing import a_row


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


def described(store: redis.Redis) -> str:
    """What the backlog in this Valkey is called."""

    async def asked() -> str:
        async with store_as_async(store) as valkey:
            return await backlog.describe(valkey.execute_command)

    return asyncio.run(asked())


def store_as_async(store: redis.Redis) -> redis.asyncio.Redis:
    given = store.get_connection_kwargs()
    return redis.asyncio.Redis(host=given["host"], port=given["port"], db=given["db"], password=given.get("password"))


def late(store: redis.Redis, seconds: int) -> None:
    """Let everything have been written so many seconds ago for the last time."""
    store.set(writing.WRITTEN_AT, int(time.time()) - seconds)


def test_nothing_is_said_where_nothing_waits_however_long_ago_somebody_wrote(store: redis.Redis) -> None:
    assert described(store) == ""
    late(store, 1000)
    assert described(store) == ""


def test_nothing_is_said_of_rows_that_have_only_just_come(store: redis.Redis) -> None:
    late(store, 2)
    store.rpush(rows.ROWS, a_row("t-1"))
    assert described(store) == ""


def test_rows_that_have_waited_too_long_are_described_with_those_of_segments(store: redis.Redis) -> None:
    late(store, 120)
    store.rpush(rows.ROWS, *[a_row(f"t-{number}") for number in range(5_000)])
    store.copy(rows.ROWS, f"{rows.ROWS}:abc")
    store.sadd(writing.SEGMENTS, "abc")
    said = described(store)
    assert said.startswith("rows of the delivery log have not been written for 12")
    megabytes = float(said.partition(": ")[2].partition(" MB")[0])
    assert 2 < megabytes < 6, said


def test_rows_of_which_nobody_has_ever_written_one_are_described_too(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1"))
    assert "since ever: 0.0 MB of them wait in Valkey" in described(store)


@pytest.mark.django_db
def test_a_writer_says_when_it_was_there(store: redis.Redis) -> None:
    writing.write(store)
    assert abs(time.time() - int(store.get(writing.WRITTEN_AT) or 0)) < 60  # type: ignore[arg-type]
