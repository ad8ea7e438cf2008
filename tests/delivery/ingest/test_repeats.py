"""The same push twice: it is sent once, has one row, and both are answered alike, whichever processes have them."""

import asyncio
import random
from collections.abc import AsyncIterator

import msgspec
import pytest
import redis

from delivery.ingest import intake, publishing, repeats
from delivery.ingest.outbox import Outbox
from delivery.log.rows import COLUMNS, ROWS
from delivery.metrics import counting
from delivery.queue import batch
from delivery.worker import settlement
from hpns.celery import commands
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.links import disconnect, until
from tests.delivery.own_sender import TAKEN, Sender
from tests.delivery.web_process import ACME, SAVED, body, error_of

OK = b'{"status":"OK"}'
REMOVE = b'{"status":"REMOVE"}'


@pytest.fixture
async def other(
    sender: Sender, store: redis.Redis, rough: RoughServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sender]:
    """A second process beside the first one, at the same Valkey and provider.

    Both answer within half a second, and wait for Valkey as long as a busy machine takes.
    """
    monkeypatch.setattr(publishing, "HELD_MOST", 30)
    made = Sender(store, rough, "web@here:2:fedcba")
    made.outbox.start()
    await until(lambda: made.outbox.ready and made.lease.is_valid())
    for each in (sender, made):
        each.outbox.responses.synced = SAVED
        each.outbox.responses.deadline = 0.5
    yield made
    await made.outbox.close()


def lines(store: redis.Redis) -> list[dict[str, str]]:
    """The rows for the log."""
    joined = b"".join(store.lrange(ROWS, 0, -1)).decode()
    return [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in joined.splitlines()]


async def test_a_push_that_comes_again_gets_the_same_answer_and_is_sent_once(sender: Sender) -> None:
    counted = counting.collect().counters.get(("hpns_repeats_total", ()), 0)
    assert [await sender.send("ok_r1", ack_id="r1") for _ in range(3)] == [OK] * 3
    await until(lambda: sender.store.llen(ROWS))
    assert (sender.server.complete["ok_r1"], len(sender.traces())) == (1, 1)
    assert counting.collect().counters["hpns_repeats_total", ()] == counted + 2


async def test_twins_in_flight_wait_for_one_answer(sender: Sender) -> None:
    twins = [sender.send("slow_r2", ack_id="r2")]
    await sender.begun("slow_r2")
    twins += [sender.send("slow_r2", ack_id="r2") for _ in range(3)]
    assert [await twin for twin in twins] == [OK] * 4
    await until(lambda: sender.store.llen(ROWS))
    assert (sender.server.complete["slow_r2"], len(sender.traces())) == (1, 1)
    await until(lambda: sender.outbox.responses.waiting == 0)
    assert {bucket.in_flight for bucket in sender.outbox.limits._buckets.values()} == {0}


async def test_whoever_broke_off_and_comes_again_gets_the_first_ones_result(sender: Sender) -> None:
    first = sender.send("slow_r3", ack_id="r3")
    await sender.begun("slow_r3")
    first.cancel()
    assert await sender.send("slow_r3", ack_id="r3") == OK
    await until(lambda: sender.store.llen(ROWS))
    assert (sender.server.complete["slow_r3"], len(sender.traces())) == (1, 1)


async def test_a_twin_that_breaks_off_takes_no_answer_from_the_others(sender: Sender) -> None:
    twins = [sender.send("slow_r4", ack_id="r4") for _ in range(3)]
    await asyncio.sleep(0)
    twins[1].cancel()
    assert [await twins[0], await twins[2]] == [OK, OK]


async def test_a_push_that_another_process_has_had_is_not_sent_again(sender: Sender, other: Sender) -> None:
    assert await sender.send("ok_r5", ack_id="r5") == OK
    assert await other.send("ok_r5", ack_id="r5") == OK
    await until(lambda: sender.store.llen(ROWS))
    assert (sender.server.complete["ok_r5"], len(sender.traces())) == (1, 1)
    assert not other.outbox.responses.batches
    assert not sender.store.exists(commands.processing_list(other.name, batch.QUEUE))


async def test_twins_in_flight_in_two_processes_are_sent_once(sender: Sender, other: Sender) -> None:
    first = sender.send("slow_r6", ack_id="r6")
    await sender.begun("slow_r6")
    twins = [other.send("slow_r6", ack_id="r6") for _ in range(2)]
    assert [await first, *[await twin for twin in twins]] == [OK] * 3
    await until(lambda: sender.store.llen(ROWS))
    assert (sender.server.complete["slow_r6"], len(sender.traces())) == (1, 1)
    await until(lambda: other.outbox.responses.waiting == 0)


async def test_a_dead_device_is_removed_by_both_answers(sender: Sender, other: Sender) -> None:
    assert await sender.send("gone_r7", ack_id="r7") == REMOVE
    assert await sender.send("gone_r7", ack_id="r7") == REMOVE
    await until(lambda: sender.store.llen(ROWS))
    assert await other.send("gone_r7", ack_id="r7") == REMOVE
    assert sender.server.complete["gone_r7"] == 1


async def test_a_push_that_failed_is_tried_anew(sender: Sender, other: Sender) -> None:
    for number, process in enumerate((sender, sender, other), 1):
        failed = process.send("ok_r8", ack_id="r8", platform="apple_none-v2")
        assert (await error_of(failed)).startswith("no_app")
        await until(lambda number=number: len(sender.traces()) == number)  # type: ignore[misc]
    assert await other.send("ok_r8", ack_id="r8") == OK
    assert await sender.send("ok_r8", ack_id="r8") == OK
    assert sender.server.complete["ok_r8"] == 1


async def test_a_push_that_failed_and_may_yet_arrive_is_not_tried_anew_and_has_a_row_that_says_so(
    sender: Sender, other: Sender
) -> None:
    assert (await error_of(sender.send("break_r9", ack_id="r9"))).startswith("transport_")
    await until(lambda: sender.store.llen(ROWS))
    sent = sender.server.complete["break_r9"]
    for process in (sender, other):
        assert (await error_of(process.send("break_r9", ack_id="r9"))).startswith("repeated ")
    await until(lambda: len(sender.traces()) == 3)
    assert sender.server.complete["break_r9"] == sent
    assert [row["code"] for row in lines(sender.store)][1:] == ["repeated"] * 2


async def test_a_push_without_an_ack_id_and_a_test_are_never_taken_for_another(sender: Sender) -> None:
    for _ in range(2):
        assert await sender.send("ok_r10") == OK
        assert await sender.send("ok_r11", ack_id="r11", type="test") == OK
    assert (sender.server.complete["ok_r10"], sender.server.complete["ok_r11"]) == (2, 2)


@pytest.mark.parametrize("change", [{"customer_id": 7}, {"server_id": 7}], ids=str)
async def test_one_customers_push_is_never_taken_for_anothers(sender: Sender, change: dict[str, int]) -> None:
    assert await sender.send("ok_r12", ack_id="r12") == OK
    somebody = msgspec.structs.replace(ACME, **change)
    assert await intake.accept(sender.outbox, somebody, body(device_id="ok_r12", ack_id="r12")) == OK
    assert sender.server.complete.pop("ok_r12") == 2


@pytest.mark.parametrize("member", ["device_id", "ack_id", "type"])
async def test_each_part_of_a_pushs_name_tells_it_from_others(sender: Sender, member: str) -> None:
    first = {"device_id": "ok_r13", "ack_id": "r13", "type": "message"}
    for members in (first, {**first, member: "clear" if member == "type" else "ok_r14"}):
        assert await intake.accept(sender.outbox, ACME, body(**members)) == OK
    assert sender.server.complete.pop("ok_r13") + sender.server.complete.pop("ok_r14", 0) == 2


async def test_of_a_batch_only_what_is_new_is_sent(sender: Sender, other: Sender) -> None:
    assert await sender.send("ok_r15", ack_id="r15") == OK
    answers = [other.send(name, ack_id=name[3:]) for name in ("ok_r16", "ok_r15", "ok_r17")]
    assert [await answer for answer in answers] == [OK] * 3
    await until(lambda: len(sender.traces()) == 3)
    assert [sender.server.complete[name] for name in ("ok_r15", "ok_r16", "ok_r17")] == [1, 1, 1]
    await until(lambda: not sender.store.exists(commands.processing_list(other.name, batch.QUEUE)))
    assert not other.outbox.responses.batches


async def test_what_a_dead_process_had_in_flight_is_the_workers_and_comes_again_in_vain(
    sender: Sender, other: Sender
) -> None:
    sender.send("silence_r18", ack_id="r18")
    await sender.begun("silence_r18")
    sender.store.zadd(commands.WORKERS, {sender.name: 1})
    sender.store.eval(commands.REQUEUE_EXPIRED, 0, "", batch.QUEUE)
    assert await other.send("silence_r18", ack_id="r18") == OK, "it stands in the queue, on the disk"
    assert sender.server.complete["silence_r18"] == 1
    assert (sender.store.llen(TAKEN), sender.store.llen(batch.QUEUE)) == (0, 1)


async def test_it_is_ok_before_its_first_ones_result_only_if_that_is_on_the_disk(sender: Sender, other: Sender) -> None:
    sender.send("silence_r19", ack_id="r19")
    await sender.begun("silence_r19")
    other.outbox.responses.synced = 0
    assert (await error_of(other.send("silence_r19", ack_id="r19"))).startswith("repeated ")


async def test_a_push_that_the_queue_did_not_take_may_come_again(outbox: Outbox, store: redis.Redis) -> None:
    store.config_set("maxmemory", "1")
    try:
        refused = intake.accept(outbox, ACME, body(ack_id="r20"))
        assert (await error_of(refused)).startswith("queue_down")
    finally:
        store.config_set("maxmemory", "0")
    assert await intake.accept(outbox, ACME, body(ack_id="r20")) == OK
    assert store.llen(batch.QUEUE) == 1


async def test_a_batch_for_the_workers_says_which_of_its_pushes_came_before(
    sender: Sender, outbox: Outbox, store: redis.Redis
) -> None:
    assert [await sender.send(f"ok_{ack}", ack_id=ack) for ack in ("r21", "r24")] == [OK] * 2
    for acks in (("r21",), ("r22", "r24", "r23")):
        answers = [intake.accept(outbox, ACME, body(device_id=f"ok_{ack}", ack_id=ack)) for ack in acks]
        assert [await answer for answer in answers] == [OK] * len(acks)
    (message,) = store.lrange(batch.QUEUE, 0, -1)
    assert b'"redelivered":true' in message, "so that whoever takes it looks"
    done = store.get(batch.progress_key(f"{outbox.process}:2"))
    assert [settlement.settled_before(done, index) for index in range(3)] == [False, True, False]
    assert store.ttl(batch.progress_key(f"{outbox.process}:2")) > 86_400


async def test_a_valkey_that_is_slow_to_reply_holds_no_push_up(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "HELD_MOST", 0.02)
    sender.store.client_pause(400, all=True)
    sender.send("ok_r24", ack_id="r24")
    held = sender.outbox._publisher._held
    await asyncio.sleep(0)
    assert len(held) == 1
    await sender.begun("ok_r24")
    assert not held
    await until(lambda: len(sender.traces()) == 1)


async def test_a_server_that_has_forgotten_the_script_is_told_it_again(sender: Sender, other: Sender) -> None:
    sender.store.script_flush()
    assert await sender.send("ok_r25", ack_id="r25") == OK
    assert await sender.send("ok_r26", ack_id="r26") == OK
    assert await other.send("ok_r26", ack_id="r26") == OK
    assert sender.server.complete["ok_r26"] == 1


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_comes_again_wherever_is_sent_once(sender: Sender, other: Sender, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311  to be repeated
    sent: dict[str, list[asyncio.Future[bytes]]] = {}
    for _ in range(120):
        ack = f"{choose.choice(('ok', 'later', 'slow'))}_s{seed}n{choose.randrange(25)}"
        answer = choose.choice((sender, other)).send(ack, ack_id=ack)
        sent.setdefault(ack, []).append(answer)
        if choose.random() < 0.2:
            await asyncio.sleep(choose.random() / 100)
        if choose.random() < 0.15:
            answer.cancel()
    for answers in sent.values():
        for answer in answers:
            if not answer.cancelled():
                assert await answer == OK
    await until(lambda: len(sender.traces()) >= len(sent))
    assert {ack: sender.server.complete[ack] for ack in sent} == dict.fromkeys(sent, 1)
    assert len(sender.traces()) == len(sent)
    await until(lambda: not sender.store.keys("taken:*"))


async def test_a_break_of_the_connection_sends_nothing_twice(
    sender: Sender, other: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "LONG_SAVED", 0)  # what is known of the disk begins anew with the connection
    first = sender.send("slow_r27", ack_id="r27")
    await sender.begun("slow_r27")
    disconnect(sender.store)
    second = sender.send("slow_r27", ack_id="r27")
    assert [await first, await second] == [OK, OK]
    await until(lambda: other.outbox.ready)
    assert await other.send("slow_r27", ack_id="r27") == OK
    assert sender.server.complete["slow_r27"] == 1
