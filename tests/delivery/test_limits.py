"""How much servers and customers may push: what is refused with which words, and what passes all the same."""

import asyncio
from typing import Any

import msgspec
import pytest
import redis
from django.conf import settings

from billing.offers import TERMS
from delivery import limits, valkey
from delivery.limits import Limits, Pair
from tenants.snapshot import Limit
from tests.delivery.limiting import HASH_KEY, SLOW, flood, identity, say, settled, stranger
from tests.delivery.several import links, until

PAID = TERMS["hpns"].limits

# --- What must never be refused


@pytest.mark.parametrize("members", [{}, {"server": Limit(1000, 100_000, 15_000), "customer": Limit(2000, 100_000)}])
async def test_twenty_thousand_at_once_through_two_processes_lose_none(
    valkey_url: str, members: dict[str, Any]
) -> None:
    who = identity(**members)
    async with links(valkey_url, 2) as two:
        processes = [Limits(link, f"p{n}", HASH_KEY, settings.WAITING_LIMIT) for n, link in enumerate(two)]
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
        processes = [Limits(link, f"p{n}", HASH_KEY, settings.WAITING_LIMIT) for n, link in enumerate(two)]
        waiting: list[Pair] = []
        for number in range(50):
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
            # A process lets in 5,000 on credit; how long Valkey's answers take on this machine is not the question.
            if number % 10 == 9:
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


async def test_the_wipes_of_one_customer_do_not_keep_all_others_out(link: valkey.Link) -> None:
    process, who, other = Limits(link, "one", HASH_KEY, 40), identity(), identity(5, 6, 7)
    for _ in range(30):
        pair = say(process, who, type="session")
        assert isinstance(pair, Pair)
        pair.enter()
    assert say(process, who, type="session") == "30 pushes of this customer wait already"
    assert isinstance(say(process, other, type="session"), Pair)
    pair.leave()
    assert isinstance(say(process, who, type="session"), Pair)


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
        busy, other = (Limits(link, f"p{n}", HASH_KEY, settings.WAITING_LIMIT) for n, link in enumerate(two))
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


async def test_that_nothing_waits_any_more_is_told_within_a_tick(
    process: Limits, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    pair = say(process, identity(server=Limit(0, 0, 9)))
    assert isinstance(pair, Pair)
    pair.enter()
    keeping = asyncio.create_task(process.keep())
    await until(lambda: store.hexists("limit:server:2", "p:one"))
    pair.leave()
    await until(lambda: not store.hexists("limit:server:2", "p:one"))
    keeping.cancel()
