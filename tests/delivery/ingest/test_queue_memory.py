"""The queue in Valkey's memory: who floods it is refused first, who is quiet finds room to the end."""

import pytest
import redis

from delivery.ingest import queue_memory
from delivery.ingest.queue_memory import FACTOR, QueueMemory
from delivery.queue import batch, valkey
from tests.delivery.links import until

MB = 1_000_000
FLOOD, QUIET = 1, 2
LONG = queue_memory.SHORT + 1


def poured(memory: QueueMemory, customer: int, most: int = 2_000) -> int:
    """Queue pushes of 1 MB until one is refused; how many were not, at most `most`."""
    for number in range(most):
        if not memory.admit(customer, MB):
            return number
    return most


@pytest.fixture
def memory(link: valkey.Link) -> QueueMemory:
    """As one process sees it."""
    return QueueMemory(link)


def test_there_is_nothing_to_look_at_while_memory_is_mostly_free_or_has_no_bound(memory: QueueMemory) -> None:
    assert not memory.scarce
    for used, most in ((200 * MB, 1_000 * MB), (5_000 * MB, 0)):
        memory.update(used, most, LONG)
        assert not memory.scarce


def test_what_else_takes_up_memory_refuses_nobody_while_the_workers_keep_up(memory: QueueMemory) -> None:
    memory.update(950 * MB, 1_000 * MB, queue_memory.SHORT)
    assert not memory.scarce


def test_one_customer_gets_a_part_of_what_is_left_and_others_find_room_after_it(memory: QueueMemory) -> None:
    memory.update(300 * MB, 1_000 * MB, LONG)
    assert memory.scarce
    flooded = poured(memory, FLOOD)
    # A quarter of what is left after it: x = (400 - x) / 4.
    assert flooded == pytest.approx(80 / FACTOR, abs=2)
    assert poured(memory, QUIET) > flooded // 2
    assert not memory.admit(FLOOD, MB)


def test_however_many_flood_it_a_quiet_customer_is_taken_and_valkey_never_full(memory: QueueMemory) -> None:
    used = 300.0
    for _ in range(30):
        memory.update(int(used * MB), 1_000 * MB, LONG)
        assert memory.admit(QUIET, 1_000)
        for customer in range(100, 120):
            used += poured(memory, customer, 5) * FACTOR
    assert 600 < used < 700


def test_when_the_queue_has_taken_all_that_it_may_nobody_is_admitted(memory: QueueMemory) -> None:
    memory.update(701 * MB, 1_000 * MB, LONG)
    assert not memory.admit(QUIET, 1)


def test_what_the_workers_have_taken_out_counts_no_more(memory: QueueMemory) -> None:
    memory.update(280 * MB, 1_000 * MB, queue_memory.SHORT)
    memory.update(300 * MB, 1_000 * MB, LONG)
    flooded = poured(memory, FLOOD)
    memory.update(380 * MB, 1_000 * MB, LONG)
    assert poured(memory, FLOOD) == 0
    memory.update(290 * MB, 1_000 * MB, LONG)
    assert poured(memory, FLOOD) > flooded // 2
    memory.update(300 * MB, 1_000 * MB, queue_memory.SHORT)
    assert not memory._queued


async def test_the_memory_and_the_queue_are_valkeys_own(
    memory: QueueMemory, link: valkey.Link, store: redis.Redis
) -> None:
    used = store.info("memory")["used_memory"]
    store.rpush(batch.QUEUE, *range(3))
    seen: list[tuple[int, int, int]] = []
    memory.update = lambda *found: seen.append(found)  # type: ignore[method-assign]
    memory.poll()
    memory.poll()  # the first has no answer yet
    await until(lambda: seen)
    await link.drain()
    assert len(seen) == 1
    assert used / 3 < seen[0][0] < used * 3
    assert seen[0][2] == 3
    memory.poll()
    await until(lambda: len(seen) == 2)


async def test_a_valkey_that_does_not_tell_its_memory_refuses_nobody(
    memory: QueueMemory, link: valkey.Link, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    execute = link.execute
    monkeypatch.setattr(link, "execute", lambda *command: execute("NOSUCH", *command))
    memory.poll()
    await until(lambda: "does not tell its memory" in caplog.text)
    assert not memory.scarce


async def test_a_poll_that_got_no_answer_is_made_again(memory: QueueMemory, link: valkey.Link) -> None:
    link.close()
    memory.poll()
    await until(lambda: not memory._polling)
