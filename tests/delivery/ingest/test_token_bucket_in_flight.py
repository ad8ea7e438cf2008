"""Pushes in flight, reported among processes: near enough, and never for longer than it is true."""

import time

import pytest
import redis

from delivery.ingest import token_bucket
from delivery.ingest.token_bucket import Bucket
from tenants.directory.snapshot import Limit
from tests.delivery.links import answered, links, until

KEY = "limit:server:7"


@pytest.fixture
def store(valkey_url: str) -> redis.Redis:
    """What the processes share, to look at."""
    return redis.Redis.from_url(valkey_url, decode_responses=True)


async def test_how_many_wait_elsewhere_is_known_within_a_tenth_for_each_process(valkey_url: str) -> None:
    limit = Limit(0, 0, 100)
    async with links(valkey_url, 3) as three:
        buckets = [Bucket(KEY, limit, link, f"p{n}") for n, link in enumerate(three)]
        for _ in range(150):
            for bucket in buckets:
                if not bucket.is_full():
                    bucket.in_flight += 1
            await answered(*buckets)
        waiting = sum(bucket.in_flight for bucket in buckets)
    assert 100 <= waiting <= 100 + 3 * 10


async def test_a_process_that_refuses_everybody_hears_when_there_is_room_again(valkey_url: str) -> None:
    limit = Limit(0, 0, 10)
    async with links(valkey_url, 2) as two:
        busy, idle = (Bucket(KEY, limit, link, f"p{n}") for n, link in enumerate(two))
        busy.in_flight = 10
        busy.lease()
        await answered(busy)
        idle.lease()
        await answered(idle)
        assert idle.in_flight_elsewhere == 10
        assert idle.is_full()
        busy.in_flight = 0
        busy.lease()
        await answered(busy)
        await until(lambda: not idle.is_full())


async def test_one_that_is_full_does_not_ask_for_each_push_that_it_refuses(valkey_url: str) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(0, 0, 5), link, "p")
        bucket.in_flight = 5
        assert bucket.is_full()
        leased_at = bucket._leased_at
        assert all(bucket.is_full() for _ in range(100))
        await answered(bucket)
        assert bucket.is_full()
        assert bucket._leased_at - leased_at in (0.0, pytest.approx(token_bucket.RETRY_INTERVAL, rel=100))


@pytest.mark.parametrize("age", [token_bucket.REPORT_TTL + 2, -3600])
async def test_a_process_that_has_died_is_forgotten_also_after_the_clock_was_set_back(
    valkey_url: str, store: redis.Redis, age: int
) -> None:
    store.hset(KEY, "p:dead", f"90@{int(time.time()) - age}")
    store.hset(KEY, "p:alive", f"7@{int(time.time())}")
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(0, 0, 100), link, "p")
        bucket.lease()
        await answered(bucket)
    assert bucket.in_flight_elsewhere == 7
    assert not store.hexists(KEY, "p:dead")


async def test_who_waits_for_nothing_leaves_no_trace(valkey_url: str, store: redis.Redis) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(0, 0, 100), link, "p")
        for waiting in (5, 0, -1):
            bucket.in_flight = waiting
            bucket.lease()
            await answered(bucket)
            assert store.hexists(KEY, "p:p") == (waiting > 0)


async def test_a_bucket_in_valkey_ends_by_itself(valkey_url: str, store: redis.Redis) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(2, 100), link, "p")
        bucket.lease()
        await answered(bucket)
    assert 60 < store.ttl(KEY) <= 110
