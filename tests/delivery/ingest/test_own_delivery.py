"""A web process that sends by itself: what stands in Valkey meanwhile, and who goes on when it cannot."""

import asyncio
import json

import pytest
from pytest_django import Settings

from delivery.log.rows import ROWS
from delivery.queue import batch, due_list, told
from delivery.worker import places, settlement
from hpns.celery import commands
from tests.delivery.links import disconnect, until
from tests.delivery.own_sender import NAME, TAKEN, Sender
from tests.delivery.web_process import error_of


async def test_a_push_is_answered_by_its_providers_word_and_leaves_its_row_alone(sender: Sender) -> None:
    assert await sender.send("ok_1") == b'{"status":"OK"}'
    await until(lambda: sender.store.llen(ROWS))
    await until(lambda: not sender.store.exists(TAKEN))
    assert (sender.store.llen(batch.QUEUE), sender.store.keys("reply:*"), len(sender.traces())) == (0, [], 1)
    assert sender.store.keys("done:*"), "whoever comes by it again knows that it is settled"


async def test_the_server_is_told_why_a_push_failed(sender: Sender) -> None:
    assert (await error_of(sender.send("break_1"))).startswith("transport_")
    assert (await error_of(sender.send("ok_2", platform="apple_none-v2"))).startswith("no_app")


async def test_pushes_that_arrive_together_are_one_message_and_one_settlement(sender: Sender) -> None:
    answers = await asyncio.gather(*(sender.send(f"ok_{number}") for number in range(50)))
    assert set(answers) == {b'{"status":"OK"}'}
    await until(lambda: len(sender.traces()) == 50)
    assert sender.store.llen(ROWS) < 10
    assert not sender.outbox.responses.batches


async def test_what_has_ended_is_settled_along_with_the_next_push_and_wakes_nobody_for_itself(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "TOGETHER", 3600.0)
    monkeypatch.setattr(settlement, "TOGETHER_MOST", 3600.0)
    for number in range(2):
        assert await sender.send(f"ok_along_{number}") == b'{"status":"OK"}'
    await until(lambda: len(sender.traces()) == 1)
    sender.send("silence_along")
    await until(lambda: len(sender.traces()) == 2)
    assert sender.own._sender.settler._timer is None


async def test_what_is_being_sent_stands_in_the_processes_list_and_a_worker_takes_it_over(sender: Sender) -> None:
    sender.send("silence_1")
    await sender.begun("silence_1")
    assert (sender.store.llen(TAKEN), sender.store.llen(batch.QUEUE)) == (1, 0)
    sender.store.zadd(commands.WORKERS, {NAME: 1})  # its heartbeats ended long ago
    requeued = sender.store.eval(commands.REQUEUE_EXPIRED, 0, "", batch.QUEUE)
    (message,) = map(json.loads, sender.store.lrange(batch.QUEUE, 0, -1))
    assert (requeued, message["properties"]["delivery_info"]["redelivered"]) == (1, 1)


async def test_what_ended_before_the_process_died_is_not_sent_again(sender: Sender) -> None:
    first, _ = sender.send("ok_half"), sender.send("silence_half")
    await first
    await until(lambda: sender.store.llen(ROWS))
    (done,) = sender.store.keys("done:*")
    assert [sender.store.getbit(done, batch.progress_bit(index)) for index in range(2)] == [1, 0]
    assert sender.store.llen(TAKEN) == 1


async def test_what_has_ended_of_a_batch_waits_no_longer_for_the_rest_than_it_may(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "TOGETHER", 3600.0)
    first, _ = sender.send("ok_part"), sender.send("silence_part")
    await first
    await until(lambda: len(sender.traces()) == 1)


async def test_without_a_lease_it_goes_to_the_workers(sender: Sender) -> None:
    sender.lease._renewed_at = float("-inf")
    sender.send("ok_3")
    await until(lambda: sender.store.llen(batch.QUEUE))
    assert not sender.server.complete["ok_3"]


async def test_beyond_its_bound_it_goes_to_the_workers(sender: Sender) -> None:
    sender.own._sender.places._most = 1
    sender.send("silence_2")
    await sender.begun("silence_2")
    sender.send("ok_4")
    await until(lambda: sender.store.llen(batch.QUEUE))
    assert not sender.server.complete["ok_4"]


async def test_what_waits_for_a_silent_provider_leaves_room_for_others(sender: Sender) -> None:
    assert await sender.send("ok_before") == b'{"status":"OK"}'  # so that more connections are opened
    for number in range(120):
        sender.send(f"silence_own_{number}")
        sender.outbox._flush()  # each is a batch of its own
    await until(lambda: sender.own._sender.batches == 120)
    assert await sender.send("ok_beside") == b'{"status":"OK"}'
    assert sender.store.llen(batch.QUEUE) == 0, "none had to go to the workers"
    assert places.cost(120, 0) < sender.own._sender.places.held < 2 * places.cost(120, 120 * 1000)


async def test_a_push_that_valkey_refuses_to_keep_gets_its_own_answer_and_one_row(sender: Sender) -> None:
    before = sender.store.config_get("maxmemory")["maxmemory"]
    sender.store.config_set("maxmemory", "1")
    try:
        assert await sender.send("later_1") == b'{"status":"OK"}'
    finally:
        sender.store.config_set("maxmemory", before)
    await until(lambda: sender.store.llen(ROWS))
    assert len(sender.traces()) == 1
    assert not sender.store.exists(TAKEN)


async def test_what_valkey_has_lost_is_written_to_it_again_while_it_is_being_sent(sender: Sender) -> None:
    sender.send("silence_3")
    await sender.begun("silence_3")
    (message,) = sender.store.lrange(TAKEN, 0, -1)
    sender.store.delete(TAKEN, f"sent:{sender.outbox.process}")
    disconnect(sender.store)
    await until(lambda: sender.store.llen(TAKEN))
    assert sender.store.lrange(TAKEN, 0, -1) == [message]
    assert sender.server.complete["silence_3"] == 1


async def test_a_push_that_ends_while_valkey_is_away_is_answered_and_settled_when_it_is_back(sender: Sender) -> None:
    answer = sender.send("drain_1")  # which takes a second
    await sender.begun("drain_1")
    disconnect(sender.store)
    assert await answer == b'{"status":"OK"}'
    await until(lambda: sender.store.llen(ROWS) and not sender.store.exists(TAKEN))
    assert len(sender.traces()) == 1


async def test_at_its_deadline_a_push_is_ok_only_if_the_list_is_on_the_disk(sender: Sender) -> None:
    sender.outbox.responses.deadline = 0.3
    saved = sender.send("silence_4")
    assert await saved == b'{"status":"OK"}'
    sender.outbox.responses.synced = 0
    assert (await error_of(sender.send("silence_5"))).startswith("queue_unsaved")


async def test_who_leaves_finishes_first_and_hands_the_rest_to_the_workers(sender: Sender, settings: Settings) -> None:
    # What is finished takes a second, what is not far longer than anybody waits for it.
    settings.ATTEMPT_DEADLINE = 4.5
    sender.own._sender.deliverer._attempt_deadline = 60.0
    soon = sender.send("drain_2")
    await sender.begun("drain_2")
    sender.outbox._flush()
    sender.send("silence_6")
    await sender.begun("silence_6")
    await sender.outbox.close()
    assert soon.done()
    assert (len(sender.traces()), sender.store.llen(TAKEN), sender.store.llen(batch.QUEUE)) == (1, 0, 1)


async def test_the_row_of_a_push_that_ends_after_its_deadline_says_what_its_server_was_told(sender: Sender) -> None:
    sender.outbox.responses.deadline = 0.3
    assert await sender.send("drain_3") == b'{"status":"OK"}'
    sender.outbox.responses.synced = 0
    assert (await error_of(sender.send("later_3", platform="apple_rn-v2"))) == ""
    assert (await error_of(sender.send("silence_7"))).startswith("queue_unsaved")
    await until(lambda: len(sender.traces()) == 3)
    told = sorted(line.rsplit(b"\t", 4)[1].decode() for line in b"".join(sender.store.lrange(ROWS, 0, -1)).splitlines())
    assert told == ["FAIL", "OK", "OK"]


async def test_what_is_tried_again_later_is_ok_at_the_deadline_because_it_is_queued(sender: Sender) -> None:
    sender.outbox.responses.deadline = 0.5
    sender.outbox.responses.is_taken = lambda: False
    assert await sender.send("busy_1_60") == b'{"status":"OK"}'
    assert sender.store.zcard(due_list.DUE) == 1
    await until(lambda: not sender.store.exists(TAKEN))
    assert sender.traces() == []
    (done,) = sender.store.keys("done:*")
    await until(lambda: sender.store.getrange(done, 0, 0) == told.OK_IF_LASTING)  # no worker is known to be there
    sender.outbox.responses.synced = 0
    assert (await error_of(sender.send("busy_1_61"))).startswith("queue_unsaved")


async def test_what_valkey_has_lost_of_the_due_list_goes_there_again_while_its_batch_is_being_sent(
    sender: Sender,
) -> None:
    sender.send("busy_1_62"), sender.send("silence_8")
    await until(lambda: sender.store.zcard(due_list.DUE))
    await until(lambda: all(work.deferred_before for work in sender.own._sender._batches))
    done = sender.store.keys("done:*")
    sender.store.delete(TAKEN, f"sent:{sender.outbox.process}", due_list.DUE, due_list.ITEMS, due_list.BYTES, *done)
    disconnect(sender.store)
    await until(lambda: sender.store.zcard(due_list.DUE))
    await until(lambda: sender.store.llen(TAKEN))
    assert sender.server.complete["busy_1_62"] == 1


async def test_who_leaves_hands_what_waits_for_its_next_try_to_the_workers(sender: Sender) -> None:
    sender.send("busy_1_3")
    await sender.begun("busy_1_3")
    await until(lambda: sender.own._sender.deliverer.retries._waiting)
    await sender.outbox.close()
    assert (sender.store.zcard(due_list.DUE), sender.store.llen(TAKEN), sender.store.llen(batch.QUEUE)) == (1, 0, 0)
