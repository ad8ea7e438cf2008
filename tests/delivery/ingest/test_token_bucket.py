"""Limits that several processes share: exact in the long run, near in the short one, open to nobody, shut to nobody."""

import asyncio
import time

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.ingest import token_bucket
from delivery.ingest.token_bucket import SHARE, Bucket
from tenants.directory.snapshot import Limit
from tests.delivery.links import answered, drained, links, until
from tests.tenants.relay import Relay

KEY = "limit:server:7"
# So slow that what comes back while a test runs is next to nothing.
SLOW = Limit(1, 1000)
# Tokens that may have come back meanwhile, on a busy machine.
SOME = 15


@pytest.fixture
def store(valkey_url: str) -> redis.Redis:
    """What the processes share, to look at."""
    return redis.Redis.from_url(valkey_url, decode_responses=True)


def kept(store: redis.Redis) -> float:
    """The tokens that stand in Valkey."""
    return float(store.hget(KEY, "tokens") or "nan")


# --- A rate with a burst


async def test_a_flood_through_three_processes_gets_the_burst_and_at_most_a_tenth_more_for_each(
    valkey_url: str,
) -> None:
    async with links(valkey_url, 3) as three:
        buckets = [Bucket(KEY, SLOW, link, f"p{n}") for n, link in enumerate(three)]
        passed = await drained(*buckets)
    assert SLOW.burst <= passed <= SLOW.burst + 3 * SLOW.burst // SHARE + SOME


async def test_what_went_on_credit_is_paid_so_that_each_token_is_spent_once(
    valkey_url: str, store: redis.Redis
) -> None:
    async with links(valkey_url, 2) as two:
        buckets = [Bucket(KEY, SLOW, link, f"p{n}") for n, link in enumerate(two)]
        passed = await drained(*buckets)
        for bucket in buckets:
            bucket.return_unused()
        await answered(*buckets)
    assert SLOW.burst - passed <= kept(store) <= SLOW.burst - passed + SOME


async def test_credit_ends_with_the_first_lease_that_gives_less_than_was_wanted(
    valkey_url: str, store: redis.Redis
) -> None:
    store.hset(KEY, mapping={"tokens": "1", "at": str(time.time())})
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(1, 100), link, "p")
        assert sum(bucket.take() for _ in range(50)) == 10
        await answered(bucket)
        assert not any(bucket.take() for _ in range(50))


async def test_a_closed_bucket_asks_no_more_until_there_is_a_token(valkey_url: str, store: redis.Redis) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, SLOW, link, "p")
        await drained(bucket)
        assert bucket.empty_until > time.monotonic()
        # Each question leaves its time there; the server's own counts tell of other tests' questions, too.
        before = store.hgetall(KEY)
        assert not any(bucket.take() for _ in range(100))
        await link.drain()
        assert store.hgetall(KEY) == before


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 120), st.booleans()), min_size=5, max_size=25),
    st.sampled_from([Limit(1, 40), Limit(2, 150), Limit(5, 7)]),
)
def test_however_pushes_come_no_more_pass_than_the_limit_and_its_tenths(
    valkey_url: str, steps: list[tuple[int, int, bool]], limit: Limit
) -> None:
    async def play() -> tuple[int, float]:
        async with links(valkey_url, 2) as two:
            await two[0].execute("DEL", KEY)
            started = time.monotonic()
            buckets = [Bucket(KEY, limit, link, f"p{n}") for n, link in enumerate(two)]
            passed = 0
            for number, count, waits in steps:
                passed += sum(buckets[number].take() for _ in range(count))
                if waits:
                    await answered(*buckets)
                if count % 3 == 0:
                    buckets[number].return_unused()
            await answered(*buckets)
            return passed, time.monotonic() - started

    passed, seconds = asyncio.run(play())
    assert passed <= limit.burst + 2 * max(1, limit.burst // SHARE) + 3 * limit.rate * (seconds + 1)


async def test_a_push_of_several_tokens_is_let_in_on_the_last_one_and_owes_the_others(
    valkey_url: str, store: redis.Redis
) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, SLOW, link, "p")
        passed = 0
        for _ in range(200):
            passed += bucket.take(30)
            await answered(bucket)
        bucket.return_unused()
        await answered(bucket)
        # 34 of 30 are the first to exceed 1,000, and the credit of a tenth may let in some more.
        assert 34 <= passed <= 34 + 100 // 30 + 1
        assert not bucket.take()
        assert SLOW.burst - 30 * passed <= kept(store) <= SLOW.burst - 30 * passed + SOME


async def test_while_a_large_push_is_being_paid_for_small_ones_are_let_in(valkey_url: str) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(1, 100), link, "p")
        assert all(bucket.take(count) for count in (30, 1, 30, 1, 1))


async def test_a_push_costs_no_more_than_there_may_ever_be(valkey_url: str, store: redis.Redis) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(1, 40), link, "p")
        assert bucket.take(500)
        await answered(bucket)
        bucket.refund(500)
        bucket.return_unused()
        await answered(bucket)
        assert kept(store) == 40


async def test_what_nobody_needs_is_given_back(valkey_url: str, store: redis.Redis) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(100, 1000), link, "p")
        assert bucket.take()
        await answered(bucket)
        assert bucket.tokens > 0
        bucket.return_unused()
        await answered(bucket)
        assert bucket.tokens == 0
        await until(lambda: (bucket.lease(), kept(store) >= 989)[1])


async def test_debts_are_paid_by_a_process_that_has_fallen_quiet(valkey_url: str, store: redis.Redis) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, SLOW, link, "p")
        passed = sum(bucket.take() for _ in range(90))
        await answered(bucket)
        bucket.return_unused()
        await answered(bucket)
    assert passed == 90
    assert SLOW.burst - 90 <= kept(store) <= SLOW.burst - 90 + SOME


async def test_asking_for_another_reason_gathers_no_tokens(valkey_url: str) -> None:
    limit = Limit(1_000_000, 1_000, 50)
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, limit, link, "p")
        for _ in range(30):
            bucket.lease()
            await answered(bucket)
        assert 0 < bucket.tokens <= limit.burst // SHARE


async def test_one_process_never_holds_more_than_its_share(valkey_url: str) -> None:
    limit = Limit(1_000_000, 1_000)
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, limit, link, "p")
        for _ in range(30):
            bucket.taken = 10_000
            bucket.lease()
            await answered(bucket)
        assert bucket.tokens == limit.burst // SHARE


async def test_a_lower_limit_is_in_force_at_once(valkey_url: str) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(1000, 100_000), link, "p")
        assert bucket.take()
        await answered(bucket)
        assert bucket.tokens > 10
        bucket.set_limit(Limit(1, 10))
        assert await drained(bucket) <= 10 + 1 + SOME


async def test_a_lease_under_the_old_limit_does_not_count_under_the_new_one(valkey_url: str) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(1000, 100_000), link, "p")
        assert bucket.take()
        assert bucket._leasing
        bucket.set_limit(Limit(1, 10))
        await answered(bucket)
        assert bucket.tokens == 0


async def test_a_limit_that_is_taken_away_is_none(valkey_url: str) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(1, 10), link, "p")
        await drained(bucket)
        bucket.set_limit(Limit())
        assert all(bucket.take() for _ in range(1000))


# --- Valkey's moods


async def test_a_valkey_that_has_lost_the_script_is_given_it_again(valkey_url: str, store: redis.Redis) -> None:
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, SLOW, link, "p")
        bucket.lease()
        await answered(bucket)
        store.script_flush()
        had = bucket.tokens
        bucket.taken = 200
        bucket.lease()
        await answered(bucket)
        assert bucket.tokens > had


async def test_a_valkey_that_goes_away_and_comes_back_grants_again(valkey_url: str) -> None:
    relay = Relay("127.0.0.1", redis.Redis.from_url(valkey_url).connection_pool.connection_kwargs["port"])
    head, _, tail = valkey_url.rpartition("@")
    async with links(f"{head}@127.0.0.1:{relay.port}/{tail.rpartition('/')[2]}", 1) as (link,):
        bucket = Bucket(KEY, SLOW, link, "p")
        assert bucket.take()
        await answered(bucket)
        relay.refuse()
        await until(lambda: not link.up)
        for _ in range(5):
            bucket.lease()
            await answered(bucket)
        relay.serve()
        await until(lambda: link.up)
        bucket.taken = 100
        bucket.lease()
        await answered(bucket)
        assert bucket.tokens > 1
    relay.refuse()


async def test_while_valkey_says_nothing_what_the_rate_allows_passes_and_no_more(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(token_bucket.time, "monotonic", lambda: now[0])
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(50, 100), link, "p")
        # In one turn of the loop nothing is answered.
        assert sum(bucket.take() for _ in range(1000)) == 10
        now[0] += 2
        assert sum(bucket.take() for _ in range(1000)) == 100
        monkeypatch.undo()
        await answered(bucket)


@pytest.mark.parametrize("seconds", [-3600, 3600])
async def test_a_clock_that_jumps_gives_and_takes_no_more_than_a_full_bucket(
    valkey_url: str, store: redis.Redis, seconds: int
) -> None:
    store.hset(KEY, mapping={"tokens": "30", "at": str(time.time() - seconds)})
    async with links(valkey_url, 1) as (link,):
        bucket = Bucket(KEY, Limit(1, 40), link, "p")
        passed = await drained(bucket)
    low, high = (30, 30 + 4 + SOME) if seconds < 0 else (40, 40 + 4 + SOME)
    assert low <= passed <= high
