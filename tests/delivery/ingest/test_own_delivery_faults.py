"""A web process that sends by itself: what Valkey loses or refuses, and faults of our own."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from delivery.queue import batch
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.routes import Routes
from hpns.celery import commands
from tests.delivery.links import disconnect, until
from tests.delivery.own_sender import NAME, TAKEN, Sender
from tests.delivery.web_process import error_of


@contextmanager
def full(sender: Sender) -> Iterator[None]:
    """Valkey refuses what needs memory."""
    before = sender.store.config_get("maxmemory")["maxmemory"]
    sender.store.config_set("maxmemory", "1")
    try:
        yield
    finally:
        sender.store.config_set("maxmemory", before)


async def test_a_batch_whose_settlement_valkey_has_lost_goes_to_the_workers(sender: Sender) -> None:
    sender.send("silence_1")
    await sender.begun("silence_1")
    (in_hands,) = sender.store.lrange(TAKEN, 0, -1)
    ended = in_hands.replace(sender.outbox.process.encode(), b"0123456789ab")
    sender.store.rpush(TAKEN, ended)
    disconnect(sender.store)
    await until(lambda: sender.store.llen(batch.QUEUE))
    assert sender.store.lrange(TAKEN, 0, -1) == [in_hands]
    assert sender.store.lindex(batch.QUEUE, 0) == ended.replace(b'"redelivered":false', b'"redelivered":1')


async def test_a_lease_that_valkey_has_lost_is_there_before_anything_is_written(sender: Sender) -> None:
    assert sender.own._keeping is not None
    sender.own._keeping.cancel()
    sender.store.delete(commands.WORKERS)
    disconnect(sender.store)
    await until(lambda: not sender.outbox.ready)
    await until(lambda: sender.outbox.ready)
    assert sender.store.zscore(commands.WORKERS, NAME)


async def test_what_valkey_refused_is_not_ok_for_what_it_has_saved_after_it(sender: Sender) -> None:
    sender.outbox.responses.deadline = 0.5
    with full(sender):
        answer = sender.send("silence_2")
        await sender.begun("silence_2")
    assert await sender.send("ok_2") == b'{"status":"OK"}'
    assert (await error_of(answer)).startswith("queue_down")


async def test_what_was_told_fail_because_valkey_refused_it_is_not_written_to_it_later(sender: Sender) -> None:
    sender.outbox.responses.deadline = 0.3
    with full(sender):
        await sender.send("silence_3")
    disconnect(sender.store)
    await until(lambda: not sender.outbox.ready)
    await until(lambda: sender.outbox.ready)
    assert not sender.store.exists(TAKEN)


async def test_a_push_whose_answer_fails_by_a_fault_of_ours_is_answered_and_settled(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(sender.outbox.responses, "resolve", fail)
    assert await sender.send("ok_4") == b'{"status":"OK"}'
    assert (await error_of(sender.send("ok_5", platform="apple_none-v2"))).startswith("no_app")
    await until(lambda: len(sender.traces()) == 2 and not sender.store.exists(TAKEN))
    await until(lambda: not sender.own._sender.batches)


async def test_a_batch_that_cannot_be_begun_is_not_turned_away_beside_its_message(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Routes) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Routes, "refresh", fail)
    assert (await error_of(sender.send("ok_7"))).startswith("internal_error")
    await until(lambda: sender.traces() and not sender.store.exists(TAKEN))
    assert (len(sender.traces()), sender.server.complete["ok_7"], sender.store.llen(batch.QUEUE)) == (1, 0, 0)


async def test_a_batch_that_cannot_be_settled_holds_up_no_other(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    settler = sender.own._sender.settler
    settle, faults = settler.settle, iter([True])

    def fail_once(work: BatchProgress) -> None:
        if next(faults, False):
            raise RuntimeError("a fault")
        settle(work)

    monkeypatch.setattr(settler, "settle", fail_once)
    for number in range(2):  # a batch each
        sender.send(f"ok_8{number}", platform="apple_none-v2")
        sender.outbox._flush()
    await until(sender.traces)


async def test_a_batch_that_has_ended_is_freed_without_the_garbage_collector(sender: Sender) -> None:
    gc.collect()
    gc.disable()
    try:
        await sender.send("ok_6")
        await until(lambda: not sender.own._sender.batches and not sender.outbox.responses.batches)
        await until(lambda: not _progresses(sender.outbox.process))
    finally:
        gc.enable()


def _progresses(process: str) -> list[BatchProgress]:
    # By its type: isinstance() would have other tests' lazy objects say what they are, for which they ask the database.
    found = (each for each in gc.get_objects() if type(each) is BatchProgress)
    return [work for work in found if work.id.startswith(process)]
