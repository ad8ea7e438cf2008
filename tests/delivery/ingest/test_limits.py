"""How much servers and customers may push: what is refused with which words, and what passes all the same."""

import asyncio
from typing import Any

import msgspec
import pytest
import redis
from django.conf import settings

from billing.offers import TERMS
from delivery.ingest import limits
from delivery.ingest.limits import Allowance, Limits
from delivery.queue import valkey
from tenants.directory.snapshot import Limit
from tests.delivery.ingest.limiting import (
    HASH_KEY,
    SLOW,
    WIPE,
    admit,
    admitted,
    exceeded,
    flood,
    identity,
    settled,
    stranger,
)
from tests.delivery.links import links, until

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
                assert isinstance(admit(process, who), Allowance)
        await settled(*processes)


async def test_a_post_to_twenty_thousand_people_passes_the_limits_of_a_paid_offer(valkey_url: str) -> None:
    who = identity(
        server=Limit(PAID.server_rate or 0, PAID.server_burst or 0, PAID.server_in_flight or 0),
        customer=Limit(PAID.rate or 0, PAID.burst or 0, PAID.in_flight or 0),
    )
    async with links(valkey_url, 2) as two:
        processes = [Limits(link, f"p{n}", HASH_KEY, settings.WAITING_LIMIT) for n, link in enumerate(two)]
        waiting: list[Allowance] = []
        for number in range(50):
            for process in processes:
                for _ in range(200):
                    allowance = admitted(process, who)
                    allowance.acquire()
                    waiting.append(allowance)
            await asyncio.sleep(0)
            # Answers come, too: no more than some thousands wait at a time.
            while len(waiting) > 8_000:
                waiting.pop().release()
            # A process lets in 5,000 on credit; how long Valkey's answers take on this machine is not the question.
            if number % 10 == 9:
                await settled(*processes)


async def test_who_has_no_limit_is_never_refused(process: Limits) -> None:
    who = identity()
    for _ in range(3_000):
        allowance = admitted(process, who)
        allowance.acquire()


async def test_a_wipe_passes_where_all_else_is_refused(process: Limits) -> None:
    who = identity(server=Limit(1, 5, 1), customer=SLOW)
    assert (await flood(process, who, 30))[1]
    allowance = admitted(process, who, **WIPE)
    allowance.acquire()
    assert "waiting at a time" in exceeded(process, who)
    assert (await flood(process, who, 500, **WIPE))[0] == 500


async def test_everybody_of_a_large_server_is_logged_out_at_once_under_a_paid_offer(process: Limits) -> None:
    who = identity(
        server=Limit(PAID.server_rate or 0, PAID.server_burst or 0),
        customer=Limit(PAID.rate or 0, PAID.burst or 0),
    )
    passed = 0
    for _ in range(50):
        passed += sum(isinstance(admit(process, who, **WIPE), Allowance) for _ in range(1_000))
        await settled(process)
    assert passed == 50_000


@pytest.mark.parametrize("members", [{"message": "Session Expired"}, {"cont_ava": 0}, {"is_id_loaded": True}])
async def test_what_calls_itself_session_and_is_no_wipe_has_the_limit_of_all_else(
    process: Limits, members: dict[str, Any]
) -> None:
    who = identity(server=SLOW)
    passed, refusal = await flood(process, who, 120, **WIPE | members)
    assert 50 <= passed <= 65
    assert refusal.startswith("this server may send 1 pushes a second")


@pytest.mark.parametrize("whose", ["server", "customer"])
async def test_wipes_end_at_their_own_budget_and_the_server_is_told(
    process: Limits, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    monkeypatch.setattr(limits, "WIPES", Limit(2, 80))
    servers = [identity(n, n, server=SLOW, customer=SLOW) for n in ((2,) if whose == "server" else (2, 4))]
    if whose == "customer":  # that of the servers is larger
        servers = [msgspec.structs.replace(who, server=Limit(2, 1_000)) for who in servers]
    results = [await flood(process, who, 150 // len(servers), **WIPE) for who in servers]
    assert 80 <= sum(passed for passed, _ in results) < 150
    expected = f"wipes of this {whose} may send 2 pushes a second and 80 at once, and sent "
    assert results[-1][1].startswith(expected)
    assert (await flood(process, servers[0], 40))[0] == 40


async def test_the_wipes_of_one_customer_do_not_keep_all_others_out(link: valkey.Link) -> None:
    process, who, other = Limits(link, "one", HASH_KEY, 40), identity(), identity(5, 6, 7)
    for _ in range(30):
        allowance = admitted(process, who, **WIPE)
        allowance.acquire()
    assert exceeded(process, who, **WIPE) == "30 pushes of this customer wait already"
    assert isinstance(admit(process, other, **WIPE), Allowance)
    allowance.release()
    assert isinstance(admit(process, who, **WIPE), Allowance)


async def test_without_valkey_nobody_is_over_a_limit(process: Limits, link: valkey.Link) -> None:
    who = identity(server=Limit(1, 5, 1))
    await flood(process, who, 30)
    link.up = False
    allowance = admitted(process, who)
    allowance.acquire()
    assert isinstance(admit(process, who), Allowance)
    assert isinstance(admit(process, stranger(), source="n"), Allowance)


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
    allowance = process._allowances[3, 2]
    allowance.server.return_unused()
    await settled(process)
    allowance.server.lease()
    await settled(process)
    allowance.server.return_unused()
    await settled(process)
    store = redis.Redis.from_url(process._link.url, decode_responses=True)
    assert float(store.hget("limit:server:2", "tokens") or 0) >= 1000 - passed - 1


async def test_pushes_in_flight_have_a_ceiling_that_an_answer_lowers(process: Limits) -> None:
    who = identity(server=Limit(0, 0, 3))
    allowances = []
    for _ in range(3):
        allowance = admitted(process, who)
        allowance.acquire()
        allowances.append(allowance)
    assert exceeded(process, who) == "this server may have 3 pushes waiting at a time, and 3 wait"
    allowances[0].release()
    assert isinstance(admit(process, who), Allowance)


async def test_the_customers_ceiling_holds_over_its_servers(process: Limits) -> None:
    one, other = (identity(n, n, customer=Limit(0, 0, 1)) for n in (3, 4))
    allowance = admitted(process, one)
    allowance.acquire()
    assert exceeded(process, other) == "this customer may have 1 pushes waiting at a time, and 1 wait"


async def test_a_limit_that_staff_lower_holds_for_the_next_push_and_counts_stay_right(process: Limits) -> None:
    before = identity(server=Limit(1000, 100_000, 100))
    waiting = admitted(process, before)
    waiting.acquire()
    lowered = msgspec.structs.replace(before, server=Limit(1000, 100_000, 1))
    assert "may have 1 pushes waiting" in exceeded(process, lowered)
    waiting.release()
    allowance = admitted(process, lowered)
    assert allowance is not waiting
    assert (allowance.server.in_flight, allowance.customer.in_flight) == (0, 0)


async def test_the_directory_may_be_read_anew_while_pushes_wait(process: Limits) -> None:
    waiting = []
    for _ in range(20):
        allowance = admitted(process, identity(server=Limit(0, 0, 20)))  # an Identity of its own each time
        allowance.acquire()
        waiting.append(allowance)
    assert len({id(allowance) for allowance in waiting}) == 20
    assert "and 20 wait" in exceeded(process, identity(server=Limit(0, 0, 20)))
    for allowance in waiting:
        allowance.release()
    assert {bucket.in_flight for bucket in process._buckets.values()} == {0}


# --- Once a second


async def test_strangers_that_are_gone_are_forgotten_and_customers_are_not(
    process: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    monkeypatch.setattr(limits, "IDLE", 0.05)
    admitted(process, stranger(), source="n")
    admitted(process, identity(server=SLOW))
    maintenance = asyncio.create_task(process.maintain())
    await until(lambda: not any("network" in key or "device" in key for key in process._buckets))
    assert "limit:server:2" in process._buckets
    maintenance.cancel()


async def test_idle_tokens_go_back_for_other_processes_to_use(
    process: Limits, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    admitted(process, identity(server=Limit(10, 1000)))
    await settled(process)
    assert process._buckets["limit:server:2"].tokens > 0
    maintenance = asyncio.create_task(process.maintain())
    await until(lambda: not process._buckets["limit:server:2"].tokens)
    maintenance.cancel()


async def test_one_process_hears_of_room_that_another_has_made(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    who = identity(server=Limit(0, 0, 2))
    async with links(valkey_url, 2) as two:
        busy, other = (Limits(link, f"p{n}", HASH_KEY, settings.WAITING_LIMIT) for n, link in enumerate(two))
        maintenance = [asyncio.create_task(each.maintain()) for each in (busy, other)]
        waiting = []
        for _ in range(2):
            allowance = admitted(busy, who)
            allowance.acquire()
            waiting.append(allowance)
        first = admitted(other, who)
        first.acquire()
        await until(lambda: first.server.in_flight_elsewhere == 2)
        first.release()
        assert exceeded(other, who)
        for allowance in waiting:
            allowance.release()
        await until(lambda: isinstance(admit(other, who), Allowance))
        for task in maintenance:
            task.cancel()


async def test_that_nothing_is_in_flight_any_more_is_reported_within_a_tick(
    process: Limits, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    allowance = admitted(process, identity(server=Limit(0, 0, 9)))
    allowance.acquire()
    maintenance = asyncio.create_task(process.maintain())
    await until(lambda: store.hexists("limit:server:2", "p:one"))
    allowance.release()
    await until(lambda: not store.hexists("limit:server:2", "p:one"))
    maintenance.cancel()
