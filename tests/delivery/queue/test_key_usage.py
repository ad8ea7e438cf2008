"""From a push to the row that says which key was used with which server_id: the web process's share, the worker's."""

import json

import pytest
import redis
from django.db import DataError, OperationalError, ProgrammingError

from delivery.protocol.wire import Push
from delivery.queue import key_usage, valkey
from delivery.queue.key_usage import EACH_MOST, SEEN, KeyUsage
from tenants import key_sightings


def push(server_id: str) -> Push:
    return Push(server_id=server_id)


async def waiting(link: valkey.Link, store: redis.Redis) -> list[tuple[int, str]]:
    """What has been handed over."""
    await link.drain()
    return [(key, name) for key, name, _ in map(json.loads, store.lrange(SEEN, 0, -1))]


async def test_what_is_seen_again_within_the_minute_is_recorded_once(link: valkey.Link, store: redis.Redis) -> None:
    usage = KeyUsage(link)
    for _ in range(3):
        usage.observe(3, push("a"))
        usage.observe(3, push("b"))
        usage.flush()
    assert await waiting(link, store) == [(3, "a"), (3, "b")]


async def test_a_minute_later_it_is_recorded_again(
    link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = KeyUsage(link)
    monkeypatch.setattr(key_usage, "SEEN_TTL", -1.0)
    for _ in range(2):
        usage.observe(3, push("a"))
        usage.flush()
    assert await waiting(link, store) == [(3, "a")] * 2


async def test_pushes_without_a_key_are_of_no_interest(link: valkey.Link, store: redis.Redis) -> None:
    usage = KeyUsage(link)
    usage.observe(0, push("a"))
    usage.flush()
    assert await waiting(link, store) == []


async def test_one_keys_made_up_server_ids_do_not_hide_another_key(link: valkey.Link, store: redis.Redis) -> None:
    usage = KeyUsage(link)
    for number in range(10_000):
        usage.observe(3, push(f"made up {number}"))
    usage.observe(4, push("a"))
    usage.flush()
    seen = await waiting(link, store)
    assert len(seen) == EACH_MOST + 1
    assert (4, "a") in seen


async def test_server_ids_as_long_as_a_body_do_not_fill_the_memory(link: valkey.Link, store: redis.Redis) -> None:
    usage = KeyUsage(link)
    for number in range(3):
        usage.observe(3, push(f"{number}" + "x" * 200_000))
        usage.observe(3, push("y" * 200_000 + f"{number}"))
    assert max(map(len, usage._seen[3])) == key_sightings.SERVER_ID_MAX_LENGTH
    usage.flush()
    assert len(await waiting(link, store)) == 4


async def test_more_keys_than_are_remembered_change_nothing_for_those_that_are(
    link: valkey.Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_usage, "KEYS_MOST", 2)
    usage = KeyUsage(link)
    for key in (1, 2, 3):
        usage.observe(key, push("a"))
    usage.observe(1, push("b"))
    assert usage._unsent == [(1, "a"), (2, "a"), (1, "b")]


async def test_while_valkey_is_away_news_waits_for_a_minute_at_most(
    link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = KeyUsage(link)
    link.up = False
    usage.observe(3, push("a"))
    usage.flush()
    link.up = True
    usage.flush()
    assert await waiting(link, store) == [(3, "a")]
    link.up = False
    monkeypatch.setattr(key_usage, "SEEN_TTL", -1.0)
    for number in range(5):
        usage.observe(3, push(str(number)))
        usage.flush()
        assert not usage._unsent


async def test_what_waits_in_valkey_has_a_bound_and_the_oldest_goes(
    link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_usage, "ENTRIES_MOST", 3)
    usage = KeyUsage(link)
    for number in range(5):
        usage.observe(number + 1, push("a"))
        usage.flush()
    assert [key for key, _ in await waiting(link, store)] == [3, 4, 5]


# --- The worker's share. What record() writes: tests/tenants/test_key_sightings.py


def put(store: redis.Redis, *entries: tuple[int, str, int]) -> None:
    store.rpush(SEEN, *map(json.dumps, entries))


@pytest.mark.django_db
def test_what_waits_is_written_in_chunks_and_gone(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_usage, "CHUNK", 2)
    put(store, *((number, "a", 60) for number in range(1, 6)))
    assert key_usage.write(store) == 5
    assert store.llen(SEEN) == 0
    assert key_usage.write(store) == 0


@pytest.mark.parametrize(("error", "remaining"), [(OperationalError, 3), (ProgrammingError, 3), (DataError, 1)])
def test_what_postgres_cannot_take_now_is_back_in_its_place_and_what_it_never_will_is_not(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch, error: type[Exception], remaining: int
) -> None:
    def away() -> None:
        raise error("away")

    monkeypatch.setattr(key_usage, "CHUNK", 2)
    monkeypatch.setattr(key_sightings.transaction, "atomic", away)
    put(store, (1, "a", 60), (2, "b", 60), (3, "c", 60))
    with pytest.raises(error):
        key_usage.write(store)
    assert [json.loads(entry)[0] for entry in store.lrange(SEEN, 0, -1)] == [1, 2, 3][-remaining:]
