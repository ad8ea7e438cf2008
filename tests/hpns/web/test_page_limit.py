"""Pages are made a few at a time, nobody has more than a share, and whoever waits has a place and a deadline."""

import asyncio

import pytest

from hpns.web.page_limit import ConcurrencyLimit, Refusal, Shares, client_share

ADA, BEN, CLEO = ("ada",), ("ben",), ("cleo",)


async def queued(limit: ConcurrencyLimit, keys: tuple[str, ...]) -> "asyncio.Task[Refusal | None]":
    """Somebody who waits for a place."""
    task = asyncio.create_task(limit.acquire(keys))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_only_so_many_are_let_in_and_the_next_one_when_somebody_leaves() -> None:
    limit = ConcurrencyLimit(1, 1, 1, 1, 60)
    assert await limit.acquire(ADA) is None
    waiting = await queued(limit, BEN)
    limit.release(ADA)
    assert await waiting is None


async def test_whoever_finds_no_place_to_wait_is_refused_at_once() -> None:
    limit = ConcurrencyLimit(1, 1, 1, 1, 60)
    assert await limit.acquire(ADA) is None
    waiting = await queued(limit, BEN)
    assert await limit.acquire(CLEO) is Refusal.FULL
    limit.release(ADA)
    assert await waiting is None


async def test_whoever_waits_too_long_is_refused_and_leaves_the_place_to_others() -> None:
    limit = ConcurrencyLimit(1, 1, 1, 1, 0.01)
    assert await limit.acquire(ADA) is None
    assert await limit.acquire(BEN) is Refusal.FULL
    assert await limit.acquire(BEN) is Refusal.FULL
    limit.release(ADA)
    assert await limit.acquire(BEN) is None


async def test_one_who_has_a_share_waits_while_others_are_let_in() -> None:
    limit = ConcurrencyLimit(4, 2, 8, 2, 60)
    for _ in range(2):
        assert await limit.acquire(ADA) is None
    waiting = [await queued(limit, ADA) for _ in range(2)]
    assert await limit.acquire(ADA) is Refusal.SHARE
    assert await limit.acquire(BEN) is None
    limit.release(ADA)
    assert await waiting[0] is None
    assert not waiting[1].done()
    limit.release(ADA)
    assert await waiting[1] is None


async def test_a_share_is_counted_by_each_key_of_a_request() -> None:
    limit = ConcurrencyLimit(4, 1, 8, 8, 0.01)
    assert await limit.acquire(("client 1", "customer acme")) is None
    assert await limit.acquire(("client 2", "customer acme")) is Refusal.SHARE
    assert await limit.acquire(("client 1", "customer cosmos")) is Refusal.SHARE
    assert await limit.acquire(("client 2", "customer cosmos")) is None


async def test_a_free_place_goes_past_those_whose_share_is_used_up() -> None:
    limit = ConcurrencyLimit(2, 1, 8, 8, 60)
    assert await limit.acquire(ADA) is None
    assert await limit.acquire(BEN) is None
    second_of_ada, cleos = await queued(limit, ADA), await queued(limit, CLEO)
    limit.release(BEN)
    assert await cleos is None
    assert not second_of_ada.done()
    second_of_ada.cancel()


async def test_whoever_leaves_the_queue_takes_no_place_along() -> None:
    limit = ConcurrencyLimit(1, 1, 2, 2, 60)
    assert await limit.acquire(ADA) is None
    leaving, staying = await queued(limit, BEN), await queued(limit, CLEO)
    leaving.cancel()
    limit.release(ADA)
    assert await staying is None
    # Also when the place was given in the moment of leaving.
    leaving = await queued(limit, BEN)
    limit.release(CLEO)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await limit.acquire(ADA) is None


def test_shares_remember_only_who_uses_something() -> None:
    shares = Shares(100, 60)
    assert shares.take(ADA, 60) is None
    assert shares.take(ADA, 1) is Refusal.SHARE
    assert shares.take(BEN, 41) is Refusal.FULL
    shares.give_back(ADA, 60)
    assert (shares.in_use, shares._used) == (0, {})


def test_a_client_is_its_address_and_of_ipv6_its_network() -> None:
    assert client_share("203.0.113.9") == "203.0.113.9"
    assert client_share("2001:db8:1:200::7") == client_share("2001:db8:1:2ff::9") == "2001:db8:1:200::/56"
    assert client_share("2001:db8:1:300::7") != client_share("2001:db8:1:200::7")
    assert client_share("unknown") == ""
