"""A push that fails after its server was told OK is kept, and can be sent once more, in no figure and on no bill."""

import asyncio
from typing import Any

import pytest

from delivery.log.rows import COLUMNS, ROWS
from delivery.queue import batch, dead_letters, shared_clock
from tests.delivery.worker.test_due_delivery import Worker, worker

__all__ = ["worker"]

TRACE = "abcdef012345-1f"


@pytest.fixture
def named(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """The worker, whose pushes have a trace as a web process makes one."""
    real = batch.Item

    def item(_trace: str, *rest: Any) -> batch.Item:
        return real(TRACE, *rest)

    monkeypatch.setattr("tests.delivery.worker.test_due_delivery.batch.Item", item)
    return worker


def lines(worker: Worker) -> list[dict[str, str]]:
    """The rows for the log, by their columns."""
    joined = b"".join(worker.store.lrange(ROWS, 0, -1)).decode()  # type: ignore[arg-type]
    return [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in joined.splitlines()]


def kept(worker: Worker) -> list[dead_letters.Letter]:
    """The dead letters."""
    return dead_letters.read(worker.store.hvals(dead_letters.LETTERS), shared_clock.now())  # type: ignore[arg-type]


async def fail(worker: Worker, behaviour: str = "failing_1", **members: Any) -> None:
    """A push that goes to the due list, and fails there."""
    await asyncio.wait_for(worker.begin(behaviour, **members).finished, 10)
    await worker.deliver()
    await worker.link.drain()


async def test_a_push_that_fails_in_the_due_list_is_kept_for_what_is_left_of_its_lifetime(named: Worker) -> None:
    await fail(named)
    (letter,) = kept(named)
    assert (letter.trace, letter.code, letter.attempts) == (TRACE, "apns_bad_topic", 2)
    assert 86_000 < letter.until - shared_clock.now() <= 86_400
    assert int(named.store.get(dead_letters.BYTES)) == named.store.hstrlen(dead_letters.ITEMS, TRACE)  # type: ignore[arg-type]


async def test_a_replay_is_sent_under_the_same_ids_and_has_a_row_of_its_own_that_counts_nowhere(named: Worker) -> None:
    await fail(named, "failing_2")
    assert named.store.execute_command(*dead_letters.replaying([TRACE, "other"])) == [TRACE.encode()]
    assert (kept(named), named.waiting()) == ([], [f"r:{TRACE}"])
    await named.deliver()
    first, again = lines(named)
    assert (first["outcome"], first["count"]) == ("refused", "1")
    assert (again["outcome"], again["counts"], again["count"]) == ("sent", "f", "0")
    assert (first["trace"], again["trace"]) == (TRACE, "abcdef012345-800000000000001f")
    assert (first["ack_id"], first["device"]) == (again["ack_id"], again["device"])
    assert (named.waiting(), kept(named)) == ([], [])


async def test_a_replay_that_fails_is_not_kept_again(named: Worker) -> None:
    await fail(named, "failing_3")
    named.store.execute_command(*dead_letters.replaying([TRACE]))
    await named.deliver()
    assert ([row["outcome"] for row in lines(named)], kept(named)) == (["refused", "refused"], [])


async def test_what_is_discarded_is_gone(named: Worker) -> None:
    await fail(named)
    assert named.store.execute_command(*dead_letters.discarding([TRACE])) == [TRACE.encode()]
    assert (kept(named), named.store.exists(dead_letters.ITEMS), named.waiting()) == ([], 0, [])


async def test_what_is_of_no_use_any_more_is_not_kept(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_9_60").finished, 10)
    worker.age("trace-busy_9_60", 86_400)
    await worker.deliver()
    assert ([row["outcome"] for row in worker.rows()], kept(worker)) == (["expired"], [])


async def test_no_more_are_kept_than_may_be(worker: Worker) -> None:
    now = shared_clock.now()
    for number, until in enumerate((300, 100, 200)):
        letter = dead_letters.Letter(f"t{number}", 1, 1, "message", now, now, "failed", "x", 2, now + until)
        worker.link.post(dead_letters.keeping(letter, bytes(7 * 1024 * 1024)), 1)
    await worker.link.drain()
    assert sorted(letter.trace for letter in kept(worker)) == ["t0", "t2"], "the one of use for the shortest has gone"
    assert int(worker.store.get(dead_letters.BYTES)) == 14 * 1024 * 1024  # type: ignore[arg-type]
