"""The log of the last day's pushes, as several web processes follow it at one Valkey."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
import redis

from delivery.queue import batch, ledger, seen, shared_clock
from tests.delivery.links import links
from tests.delivery.log_follower import LIST, Process, name


@pytest.fixture
async def processes(valkey_url: str) -> AsyncIterator[list[Process]]:
    """Three that have read the log."""
    async with links(valkey_url, 3) as made:
        found = [Process(link, letter) for link, letter in zip(made, "pqr", strict=True)]
        for process in found:
            await process.link.execute(*seen.loading())
            await process.log.load(process.link)
        yield found


async def test_what_was_accepted_is_recognised_with_what_became_of_it(processes: list[Process]) -> None:
    one, other, third = processes
    assert await one.send(name(1), name(2)) == []
    one.end(name(2), seen.GONE)
    await one.link.drain()
    assert await other.send(name(3), name(2), name(1)) == [(1, seen.GONE), (2, seen.ACCEPTED)]
    for process in processes:
        assert [await process.knows(name(number)) for number in (1, 2, 3, 4)] == [0, 1, 0, -1]
    assert await third.send(name(2), name(4)) == [(0, seen.GONE)]
    assert await third.send(name(2), name(4)) == [(0, seen.GONE), (1, seen.ACCEPTED)]


async def test_what_failed_is_new_and_what_may_arrive_is_not(processes: list[Process]) -> None:
    one, other, third = processes
    await one.send(name(1), name(2))
    assert await other.knows(name(1)) == seen.ACCEPTED
    one.end(name(1), seen.FAILED)
    one.end(name(2), seen.UNCERTAIN)
    await one.link.drain()
    assert await other.send(name(1), name(2)) == [(1, seen.UNCERTAIN)]
    assert await third.knows(name(1)) == seen.ACCEPTED
    assert await one.send(name(1)) == [(0, seen.ACCEPTED)]


async def test_of_twins_that_are_enqueued_at_once_one_is_told(processes: list[Process]) -> None:
    for number in range(30):
        found = await asyncio.gather(*[process.send(name(number), name(1000 + number)) for process in processes])
        assert sorted(map(len, found)) == [0, 2, 2]


async def test_a_process_that_is_alone_is_told_nothing_however_many_batches_are_on_their_way(
    processes: list[Process],
) -> None:
    one = processes[0]
    for start in range(0, 50, 10):
        posted = [one.post(*map(name, range(10 * number, 10 * number + 9))) for number in range(start, start + 10)]
        assert await asyncio.gather(*posted) == [[]] * 10
    assert one.replies == [None] * 50
    assert {await one.knows(name(number)) for number in range(9)} == {seen.ACCEPTED}


async def test_a_batch_that_is_published_again_is_no_repeat_of_itself(processes: list[Process]) -> None:
    one, other, _ = processes
    await one.send(name(1), name(3))
    one.end(name(1), seen.UNCERTAIN)
    assert await one.knows(name(1)) == seen.UNCERTAIN
    assert await one.post(name(1), name(2), name(3), first=True) == []
    assert [await other.knows(name(number)) for number in (1, 2, 3)] == [seen.UNCERTAIN, seen.ACCEPTED, seen.ACCEPTED]


async def test_a_message_of_nothing_new_is_taken_off_the_list(processes: list[Process], store: redis.Redis) -> None:
    one, other, _ = processes
    await one.send(name(1))
    store.set(batch.payload_key("q:1"), "sealed")
    store.hset(ledger.OPEN, "q:1", "[]")
    assert len(await other.send(name(1))) == 1
    assert store.llen(LIST) == 1
    assert not store.exists(batch.payload_key("q:1"), batch.progress_key("q:1"), ledger.OPEN)


async def test_what_came_before_of_a_message_is_settled_in_it(processes: list[Process], store: redis.Redis) -> None:
    one, other, _ = processes
    await one.send(name(1), name(2))
    await other.knows(name(1))
    assert len(await other.send(name(3), seen.NONE, name(1))) == 1
    assert store.get(batch.progress_key("q:1")) == seen.progress([2])
    assert b'"redelivered":true' in store.lrange(LIST, 0, 0)[0]


async def test_a_day_later_it_is_new(processes: list[Process], store: redis.Redis) -> None:
    other = processes[1]
    now = shared_clock.now()
    for number, age in ((1, seen.WINDOW - 60), (2, seen.WINDOW + 60)):
        slot = int(now - age) // seen.SLOT
        store.append(seen.slot_key(slot), name(number) + seen.stamp(now - age, seen.ACCEPTED))
    await other.log.load(other.link)
    assert await other.send(name(1), name(2)) == [(0, seen.ACCEPTED)]
    lasts = store.ttl(seen.slot_key(other.log.slot))
    assert seen.WINDOW + seen.SLOT < lasts <= seen.SLOT_KEPT


async def test_a_process_that_is_an_hour_behind_reads_the_rest_of_that_hour_and_the_new_one(
    processes: list[Process], store: redis.Redis
) -> None:
    one, other, _ = processes
    before = other.log.slot = other.log.slot - 1
    store.append(seen.slot_key(before), name(1) + seen.stamp(shared_clock.now() - 60, seen.ACCEPTED))
    await one.send(name(2))
    assert await other.send(name(1), name(2), name(3)) == [(0, seen.ACCEPTED), (1, seen.ACCEPTED)]
    assert other.log.slot == one.log.slot
    assert await other.send(name(4)) == []
    assert await one.send(name(3), name(4)) == [(0, seen.ACCEPTED), (1, seen.ACCEPTED)]


async def test_the_next_hour_is_read_and_followed_only_when_nobody_writes_into_the_last(
    processes: list[Process], store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = processes[0].log
    this = log.slot
    store.append(seen.slot_key(this + 1), name(1) + seen.stamp(shared_clock.now(), seen.ACCEPTED))
    # 0: what Valkey's clock says is not known.
    for seconds, slot in ((-(this + 1) * seen.SLOT, this), (30, this), (90, this + 1)):
        monkeypatch.setattr(shared_clock, "at_valkey", lambda seconds=seconds: (this + 1) * seen.SLOT + seconds)
        assert await processes[0].knows(name(1)) == seen.ACCEPTED
        assert log.slot == slot


async def test_a_process_that_begins_later_knows_all(processes: list[Process], valkey_url: str) -> None:
    many = [name(number) for number in range(20_000)]
    for start in range(0, len(many), 200):
        await processes[start // 200 % 3].send(*many[start : start + 200])
    async with links(valkey_url, 1) as (link,):
        later = Process(link, "s")
        await later.log.load(link)
        assert len(later.log.table) == len(many)
        assert await later.send(*many[:3], name(-1)) == [(place, seen.ACCEPTED) for place in range(3)]


async def test_a_log_that_has_lost_its_end_is_read_anew(processes: list[Process], store: redis.Redis) -> None:
    one, other, _ = processes
    await one.send(name(1), name(2))
    key = seen.slot_key(one.log.slot)
    kept = store.get(key)
    await one.send(name(3))
    assert await other.knows(name(3)) == seen.ACCEPTED
    store.set(key, kept)
    await one.log.load(one.link)
    await one.send(name(4), name(5))  # as long as it was, and longer
    await other.log.load(other.link)
    assert [await other.knows(name(number)) for number in (1, 2, 3, 4, 5)] == [0, 0, -1, 0, 0]
    assert await other.send(name(3)) == []


async def test_a_connection_that_breaks_costs_no_knowledge(processes: list[Process]) -> None:
    one, other, _ = processes
    await one.send(name(1))
    one.post(name(2))  # whose reply is not waited for
    await one.link.drain()
    await other.send(name(3))
    await one.log.load(one.link)
    assert await one.send(*map(name, (1, 2, 3, 4))) == [(place, seen.ACCEPTED) for place in range(3)]


async def test_a_command_that_was_refused_is_followed_by_those_that_are_not(
    processes: list[Process], store: redis.Redis
) -> None:
    one, other, _ = processes
    store.script_flush()
    assert await one.send(name(1)) == []
    await one.link.execute(*seen.loading())
    assert await one.send(name(1)) == []
    assert await other.send(name(1)) == [(0, seen.ACCEPTED)]


async def test_the_oldest_hours_go_where_there_are_too_many_records(
    processes: list[Process], store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = processes[0]
    now = shared_clock.now()
    for hours in (3, 2, 1):
        at = now - hours * seen.SLOT
        store.append(seen.slot_key(int(at) // seen.SLOT), name(hours) + seen.stamp(at, seen.ACCEPTED))
    await one.log.load(one.link)
    monkeypatch.setattr(seen, "BYTES_A_RECORD", 2 * seen.RECORD / seen.MOST_UNKNOWN)
    one.log._keep_within_bounds()
    await one.link.drain()
    assert [store.exists(seen.slot_key(one.log.slot - hours)) for hours in (3, 2, 1)] == [0, 1, 1]


def test_the_bound_is_a_part_of_valkeys_memory() -> None:
    assert seen.records_most(None) == seen.MOST_UNKNOWN
    assert seen.records_most(0) == seen.MOST
    assert seen.records_most(1 << 40) == seen.MOST
    assert seen.records_most(1) == seen.FEWEST
    assert seen.records_most(1 << 30) * seen.BYTES_A_RECORD <= (1 << 30) // seen.SHARE


@pytest.mark.parametrize("seed", range(5))
async def test_any_order_of_pushes_and_ends_is_what_a_plain_table_says(processes: list[Process], seed: int) -> None:
    choose, model = random.Random(seed), dict[int, int]()  # noqa: S311  to be repeated
    for _ in range(60):
        process = choose.choice(processes)
        numbers = choose.sample(range(40), choose.randrange(1, 6))
        known = [(place, model[n]) for place, n in enumerate(numbers) if model.get(n, seen.FAILED) != seen.FAILED]
        assert await process.send(*map(name, numbers)) == known
        model.update({n: seen.ACCEPTED for n in numbers if model.get(n, seen.FAILED) == seen.FAILED})
        ended, model[ended] = choose.choice(list(model)), choose.randrange(4)
        process.end(name(ended), model[ended])
        await process.link.drain()
        if choose.random() < 0.3:
            await choose.choice(processes).log.refresh()


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_on_its_way_from_wherever_each_push_is_new_to_one(
    processes: list[Process], seed: int
) -> None:
    choose = random.Random(seed)  # noqa: S311  to be repeated
    new = dict.fromkeys(range(200), 0)
    posted = []
    for _ in range(300):
        process = choose.choice(processes)
        numbers = choose.sample(range(200), choose.randrange(1, 8))
        # What a process has on its way itself it finds in its memory (recent_pushes.py).
        numbers = [number for number in numbers if number % 3 == processes.index(process) or choose.random() < 0.5]
        mine = process.__dict__.setdefault("mine", set())
        numbers = [number for number in numbers if number not in mine]
        if not numbers:
            continue
        mine.update(numbers)
        posted.append((numbers, process.post(*map(name, numbers))))
        if choose.random() < 0.2:
            await asyncio.sleep(choose.random() / 500)
    for numbers, future in posted:
        again = {repeat.place for repeat in await future}
        for place, number in enumerate(numbers):
            new[number] += place not in again
    asked = {number for numbers, _ in posted for number in numbers}
    assert {number for number, times in new.items() if times != 1} == set(range(200)) - asked
