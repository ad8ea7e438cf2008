"""How results and deadlines end the pushes that wait: each is answered once, and no fault of one harms another."""

import asyncio
import base64
import json

import pytest
import redis

from delivery.ingest.outbox import Outbox
from delivery.ingest.pending import PendingBatch, PendingPush
from delivery.ingest.responses import TICK
from delivery.queue import batch
from tenants import vault
from tests.delivery.ingest.test_publishing import messages, publish, settle
from tests.delivery.web_process import error_of


@pytest.fixture
def outbox(outbox: Outbox) -> Outbox:
    """An outbox with all the time in the world."""
    outbox.responses.deadline = 60
    return outbox


async def test_a_result_that_comes_twice_counts_once(outbox: Outbox, store: redis.Redis) -> None:
    answers = await publish(outbox, 2)
    await settle(outbox, store, 1, 0)
    await settle(outbox, store, 1, 0)
    assert [answer.done() for answer in answers] == [True, False]
    assert outbox.responses.waiting == 1
    await settle(outbox, store, 1, 1)
    assert await error_of(answers[1]) == ""


async def test_who_waits_for_answers_wakes_for_the_first_deadline_alone(outbox: Outbox, store: redis.Redis) -> None:
    responses, loop = outbox.responses, asyncio.get_running_loop()
    await publish(outbox)
    assert 50 < responses.seconds_left(loop.time()) < 60
    await publish(outbox)
    first = responses.batches[1].deadline
    assert responses.seconds_left(first - 7) == pytest.approx(7)
    # What is past it and not known to be saved is looked at again and again.
    assert responses.seconds_left(first) == responses.seconds_left(first + 100) == TICK
    await settle(outbox, store, 1, 0)
    assert responses.seconds_left(first) == pytest.approx(max(TICK, responses.batches[2].deadline - first))


async def test_a_result_of_a_push_that_does_not_exist_harms_no_other(outbox: Outbox, store: redis.Redis) -> None:
    (answer,) = await publish(outbox)
    await settle(outbox, store, 1, 7)
    await settle(outbox, store, 1, 0)
    assert await error_of(answer) == ""


async def test_whoever_asks_no_more_is_counted_as_waiting_no_longer(outbox: Outbox, store: redis.Redis) -> None:
    given_up, other = await publish(outbox, 2)
    given_up.cancel()
    await settle(outbox, store, 1, 0, 1)
    assert await error_of(other) == ""
    assert outbox.responses.waiting == 0
    assert {bucket.in_flight for bucket in outbox.limits._buckets.values()} == {0}


async def test_a_result_of_a_push_that_does_not_exist_does_not_drop_the_results_behind_it(
    outbox: Outbox, store: redis.Redis
) -> None:
    answers = await publish(outbox, 2)
    outbox.responses._on_results(batch.pack_results([(1, 7, 0), (1, 0, 0)], [(1, -1, "no such"), (1, 1, "text")]))
    assert [await error_of(answer) for answer in answers] == ["", "text"]


async def test_a_push_that_cannot_be_answered_at_its_deadline_leaves_no_other_without_an_answer(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await publish(outbox, 3)
    responses = outbox.responses
    end_late, (first, *_) = responses._end_late, responses.batches[1].pushes

    def failing(push: PendingPush, pending: PendingBatch, code: str) -> None:
        if push is first:
            raise ArithmeticError
        end_late(push, pending, code)

    monkeypatch.setattr(responses, "_end_late", failing)
    responses.check_deadlines(outbox.loop.time() + 100, queue_up=True)
    errors = [await error_of(answer) for answer in answers]
    assert errors[0].startswith("internal_error ")
    assert errors[1:] == ["", ""]
    assert (responses.waiting, responses.batches) == (0, {})


async def test_pushes_whose_batch_cannot_be_published_are_told_so_and_wait_no_longer(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(outbox._publisher, "_post", failing)
    answers = await publish(outbox, 2)
    assert all([(await error_of(answer)).startswith("internal_error") for answer in answers])
    responses = outbox.responses
    assert (responses.waiting, responses.kept_bytes, responses.batches) == (0, 0, {})
    monkeypatch.undo()
    assert not (await publish(outbox))[0].done()


async def test_the_sealed_pushes_are_those_of_the_batch(outbox: Outbox, store: redis.Redis) -> None:
    await publish(outbox)
    (pending,) = outbox.responses.batches.values()
    assert outbox.responses.kept_bytes == len(pending.sealed)
    opened = vault.queue_cipher("queue").open_bytes(pending.sealed, pending.id.encode())
    assert [item.push.ack_id for item in batch.decode_items(opened)] == ["0"]
    args = json.loads(messages(store)[0]["body"])[0]
    assert base64.b64decode(args[1]) == pending.sealed


async def test_a_message_says_when_it_was_published_in_the_time_that_all_processes_share(
    outbox: Outbox, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.queue.shared_clock.now", lambda: 1_700_000_000.0)
    await publish(outbox)
    assert messages(store)[0]["headers"]["at"] == 1_700_000_000.0


async def test_a_push_that_cannot_be_turned_away_keeps_no_other_waiting(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await publish(outbox, 2)
    turn_away = outbox.turned_away.turn_away

    def broken(push: PendingPush, code: str) -> object:
        if push.push.ack_id == "0":
            raise ValueError("no row")
        return turn_away(push, code)

    monkeypatch.setattr(outbox.turned_away, "turn_away", broken)
    (pending,) = outbox.responses.batches.values()
    outbox._publisher._give_up(pending)
    told = [await error_of(answer) for answer in answers]
    assert [text.split(" ")[0] for text in told] == ["internal_error", "queue_down"]
    assert outbox.responses.waiting == 0
