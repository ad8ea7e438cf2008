"""Who may push how much: servers, customers, and strangers by their network and phone; what passes all the same."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import redis

from billing.offers import TERMS
from delivery import limits, log, valkey
from delivery.limits import Limits, Pair
from delivery.wire import Push
from tenants.snapshot import Identity, Limit
from tests.delivery.several import answered, links, until

HASH_KEY = b"h" * 32
PAID = TERMS["hpns"].limits
# So slow that what comes back while a test runs is next to nothing.
SLOW = Limit(1, 50)


def identity(key_id: int = 3, server_id: int = 2, customer_id: int = 1, **members: Any) -> Identity:
    """Acme's server, with a key; `server` and `customer` are limits."""
    return Identity(key_id, server_id, customer_id, active=True, why="", digest=b"", **members)


def listed(**members: Any) -> Identity:
    """The same server by its server_id."""
    return identity(0, **members)


def stranger(**members: Any) -> Identity:
    """Whoever has no key."""
    return identity(0, 9, 8, anonymous=True, trial=True, **members)


@pytest.fixture
async def link(valkey_url: str) -> AsyncIterator[valkey.Link]:
    """One process's link."""
    async with links(valkey_url, 1) as (made,):
        yield made


@pytest.fixture
def process(link: valkey.Link) -> Limits:
    """One process."""
    return Limits(link, "one", HASH_KEY)


def say(process: Limits, who: Identity, source: str = "", **members: Any) -> Pair | str:
    """What comes of one push."""
    return process.admit(who, Push(**{"type": "message", "device_id": "d", **members}), source)


async def settled(*processes: Limits) -> None:
    """Wait until no lease is on its way."""
    await answered(*(bucket for process in processes for bucket in process._buckets.values()))


async def flood(process: Limits, who: Identity, count: int = 500, **members: Any) -> tuple[int, str]:
    """Push until it is refused for good; how many were let in, and the last refusal."""
    passed, refusal = 0, ""
    for _ in range(count):
        said = say(process, who, **members)
        if isinstance(said, str):
            refusal = said
        else:
            passed += 1
        await settled(process)
    return passed, refusal


# --- What must never be refused


@pytest.mark.parametrize("members", [{}, {"server": Limit(1000, 100_000, 15_000), "customer": Limit(2000, 100_000)}])
async def test_twenty_thousand_at_once_through_two_processes_lose_none(
    valkey_url: str, members: dict[str, Any]
) -> None:
    who = identity(**members)
    async with links(valkey_url, 2) as two:
        processes = [Limits(link, f"p{n}", HASH_KEY) for n, link in enumerate(two)]
        for process in processes:
            for _ in range(10_000):
                assert isinstance(say(process, who), Pair)
        await settled(*processes)


async def test_a_post_to_twenty_thousand_people_passes_the_limits_of_a_paid_offer(valkey_url: str) -> None:
    who = identity(
        server=Limit(PAID.server_rate or 0, PAID.server_burst or 0, PAID.server_in_flight or 0),
        customer=Limit(PAID.rate or 0, PAID.burst or 0, PAID.in_flight or 0),
    )
    async with links(valkey_url, 2) as two:
        processes = [Limits(link, f"p{n}", HASH_KEY) for n, link in enumerate(two)]
        waiting: list[Pair] = []
        for _ in range(50):
            for process in processes:
                for _ in range(200):
                    pair = say(process, who)
                    assert isinstance(pair, Pair)
                    pair.enter()
                    waiting.append(pair)
            await asyncio.sleep(0)
            # Answers come, too: no more than some thousands wait at a time.
            while len(waiting) > 8_000:
                waiting.pop().leave()
        await settled(*processes)


async def test_who_has_no_limit_is_never_refused(process: Limits) -> None:
    who = identity()
    for _ in range(3_000):
        pair = say(process, who)
        assert isinstance(pair, Pair)
        pair.enter()


async def test_a_wipe_passes_where_all_else_is_refused(process: Limits) -> None:
    who = identity(server=Limit(1, 5, 1), customer=SLOW)
    assert (await flood(process, who, 30))[1]
    pair = say(process, who, type="session")
    assert isinstance(pair, Pair)
    pair.enter()
    assert "waiting at a time" in str(say(process, who))
    assert all(isinstance(say(process, who, type="session"), Pair) for _ in range(500))


async def test_without_valkey_nobody_is_told_of_a_limit(process: Limits, link: valkey.Link) -> None:
    who = identity(server=Limit(1, 5, 1))
    await flood(process, who, 30)
    link.up = False
    pair = say(process, who)
    assert isinstance(pair, Pair)
    pair.enter()
    assert isinstance(say(process, who), Pair)
    assert isinstance(say(process, stranger(), source="n"), Pair)


# --- Servers and customers


async def test_a_server_over_its_limit_is_told_the_limit_and_the_use(process: Limits) -> None:
    passed, refusal = await flood(process, identity(server=SLOW), 120)
    assert 50 <= passed <= 50 + 5 + 10
    assert refusal.startswith("this server may send 1 pushes a second and 50 at once, and sent ")
    assert int(refusal.rsplit(" ", 4)[-4].replace(",", "")) > 1


async def test_the_servers_of_one_customer_share_its_limit_and_no_other_customer_does(process: Limits) -> None:
    passed, refusal = await flood(process, identity(server_id=1, customer=SLOW), 120)
    assert 50 <= passed <= 65
    assert refusal.startswith("this customer may send 1 pushes a second")
    assert (await flood(process, identity(4, customer=SLOW), 20))[0] <= 5


async def test_another_customer_notices_nothing(process: Limits) -> None:
    acme = identity(server=SLOW, customer=SLOW)
    cosmos = identity(5, 6, 7, server=SLOW, customer=SLOW)
    await flood(process, acme, 120)
    assert (await flood(process, cosmos, 40))[0] == 40


async def test_all_keys_of_a_server_share_its_limit(process: Limits) -> None:
    await flood(process, identity(3, server=SLOW), 120)
    assert (await flood(process, identity(4, server=SLOW), 20))[0] <= 5


async def test_what_the_customers_limit_refuses_is_not_taken_from_its_server(process: Limits) -> None:
    who = identity(server=Limit(1, 1000), customer=Limit(1, 10))
    passed, _ = await flood(process, who, 200)
    pair = process._pairs[3, 2]
    pair.server.settle()
    await settled(process)
    pair.server.ask()
    await settled(process)
    pair.server.settle()
    await settled(process)
    store = redis.Redis.from_url(process._link.url, decode_responses=True)
    assert float(store.hget("limit:server:2", "tokens") or 0) >= 1000 - passed - 1


async def test_pushes_in_flight_have_a_ceiling_that_an_answer_lowers(process: Limits) -> None:
    who = identity(server=Limit(0, 0, 3))
    pairs = []
    for _ in range(3):
        pair = say(process, who)
        assert isinstance(pair, Pair)
        pair.enter()
        pairs.append(pair)
    assert say(process, who) == "this server may have 3 pushes waiting at a time, and 3 wait"
    pairs[0].leave()
    assert isinstance(say(process, who), Pair)


async def test_the_customers_ceiling_holds_over_its_servers(process: Limits) -> None:
    one, other = (identity(n, n, customer=Limit(0, 0, 1)) for n in (3, 4))
    pair = say(process, one)
    assert isinstance(pair, Pair)
    pair.enter()
    assert say(process, other) == "this customer may have 1 pushes waiting at a time, and 1 wait"


async def test_a_limit_that_staff_lower_holds_for_the_next_push_and_counts_stay_right(process: Limits) -> None:
    before = identity(server=Limit(1000, 100_000, 100))
    waiting = say(process, before)
    assert isinstance(waiting, Pair)
    waiting.enter()
    lowered = msgspec.structs.replace(before, server=Limit(1000, 100_000, 1))
    assert "may have 1 pushes waiting" in str(say(process, lowered))
    waiting.leave()
    pair = say(process, lowered)
    assert isinstance(pair, Pair)
    assert pair is not waiting
    assert (pair.server.mine, pair.customer.mine) == (0, 0)


async def test_the_directory_may_be_read_anew_while_pushes_wait(process: Limits) -> None:
    waiting = []
    for _ in range(20):
        pair = say(process, identity(server=Limit(0, 0, 20)))  # an Identity of its own each time
        assert isinstance(pair, Pair)
        pair.enter()
        waiting.append(pair)
    assert len({id(pair) for pair in waiting}) == 20
    assert "and 20 wait" in str(say(process, identity(server=Limit(0, 0, 20))))
    for pair in waiting:
        pair.leave()
    assert {bucket.mine for bucket in process._buckets.values()} == {0}


# --- Tests, and pushes without a key


async def test_tests_that_anybody_can_cause_use_up_nothing_but_their_own_limit(process: Limits) -> None:
    who = identity(server=SLOW)
    passed, refusal = await flood(process, who, 300, type="test")
    assert limits.TESTS.burst <= passed < 300
    assert refusal.startswith("test pushes of this server may send 5 pushes a second and 200 at once")
    assert (await flood(process, who, 20))[0] == 20


async def test_messages_do_not_use_up_the_tests(process: Limits) -> None:
    who = identity(server=SLOW)
    await flood(process, who, 120)
    assert isinstance(say(process, who, type="test"), Pair)


@pytest.mark.parametrize("kind", ["message", "test", "session"])
async def test_whoever_knows_a_server_id_cannot_use_up_what_comes_with_a_key(process: Limits, kind: str) -> None:
    ceiling = Limit(1, 50, 10)
    known, keyed = listed(server=ceiling, customer=ceiling), identity(server=ceiling, customer=ceiling)
    for _ in range(3_000):
        pair = say(process, known, type=kind)
        if isinstance(pair, Pair):
            pair.enter()
        await settled(process)
    assert isinstance(say(process, known, type=kind), str)
    for each in ("message", "test"):
        assert isinstance(say(process, keyed, type=each), Pair)
        await settled(process)


async def test_strangers_are_limited_by_their_network(process: Limits) -> None:
    passed = refused = 0
    for number in range(100):
        said = say(process, stranger(), source="203.0.113.0/24", device_id=str(number))
        passed += isinstance(said, Pair)
        refused += isinstance(said, str)
        await settled(process)
    assert 60 <= passed < 100
    said = say(process, stranger(), source="203.0.113.0/24", device_id="x")
    assert str(said).startswith("the free test service from your network may send 2 pushes a second and 60 at once")
    assert isinstance(say(process, stranger(), source="198.51.100.0/24", device_id="x"), Pair)


@pytest.mark.parametrize("kind", ["message", "session", "test"])
async def test_strangers_cannot_flood_one_phone_from_many_networks_whatever_the_type(
    process: Limits, kind: str
) -> None:
    said: Pair | str = ""
    for number in range(60):
        said = say(process, stranger(), source=f"n{number}", type=kind)
        await settled(process)
    assert str(said).startswith("the free test service to one phone may send 1 pushes a second and 20 at once")


async def test_all_strangers_together_have_the_test_services_limit(process: Limits) -> None:
    who, said = stranger(server=SLOW, customer=SLOW), None
    for number in range(80):
        said = say(process, who, source=f"n{number}", device_id=str(number))
        await settled(process)
    assert str(said).startswith("the free test service may send 1 pushes a second and 50 at once")


async def test_no_device_token_stands_in_valkey(process: Limits, valkey_url: str) -> None:
    say(process, stranger(), source="n", device_id="a-very-long-device-token")
    await settled(process)
    store = redis.Redis.from_url(valkey_url, decode_responses=True)
    assert f"limit:device:{log.fingerprint('a-very-long-device-token', HASH_KEY)}" in store.keys()  # noqa: SIM118
    assert not [key for key in store.keys() if "long" in key]  # noqa: SIM118


async def test_many_strangers_do_not_fill_the_memory_and_keep_no_customer_out(
    process: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST", 50)
    said: Pair | str = ""
    for number in range(100):
        said = say(process, stranger(), source=f"n{number}", device_id=str(number))
    assert str(said) == "more callers at once than the free test service is made for"
    assert len(process._buckets) <= 50 + 2
    assert isinstance(say(process, identity(server=SLOW)), Pair)


# --- Once a second


async def test_strangers_that_are_gone_are_forgotten_and_customers_are_not(
    process: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    monkeypatch.setattr(limits, "IDLE", 0.05)
    say(process, stranger(), source="n")
    say(process, identity(server=SLOW))
    keeping = asyncio.create_task(process.keep())
    await until(lambda: not any("network" in key or "device" in key for key in process._buckets))
    assert "limit:server:2" in process._buckets
    keeping.cancel()


async def test_idle_tokens_go_back_for_other_processes_to_use(
    process: Limits, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    say(process, identity(server=Limit(10, 1000)))
    await settled(process)
    assert process._buckets["limit:server:2"].tokens > 0
    keeping = asyncio.create_task(process.keep())
    await until(lambda: not process._buckets["limit:server:2"].tokens)
    keeping.cancel()


async def test_one_process_hears_of_room_that_another_has_made(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    who = identity(server=Limit(0, 0, 2))
    async with links(valkey_url, 2) as two:
        busy, other = (Limits(link, f"p{n}", HASH_KEY) for n, link in enumerate(two))
        keeping = [asyncio.create_task(each.keep()) for each in (busy, other)]
        waiting = []
        for _ in range(2):
            pair = say(busy, who)
            assert isinstance(pair, Pair)
            pair.enter()
            waiting.append(pair)
        first = say(other, who)
        assert isinstance(first, Pair)
        first.enter()
        await until(lambda: first.server.elsewhere == 2)
        first.leave()
        assert isinstance(say(other, who), str)
        for pair in waiting:
            pair.leave()
        await until(lambda: isinstance(say(other, who), Pair))
        for task in keeping:
            task.cancel()
