"""Pushes that are tried again later: they go to the due list, and come out of it until they end, once."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from pytest_django import Settings

from delivery.log.rows import ROWS
from delivery.protocol import schedule
from delivery.queue import batch, due_list, ledger, shared_clock, told, valkey
from delivery.worker import due_delivery, retries
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.batch_sender import BatchSender
from delivery.worker.credential_reports import Reporter
from delivery.worker.due_delivery import DueDelivery
from delivery.worker.routes import Route, Routes
from tests.delivery import due_pushes
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.links import until
from tests.delivery.worker.delivering import a_push, apple_target

BATCH = "abcdef:7"


class Worker:
    """A worker's sender and its due delivery, with the rough server in Apple's place."""

    def __init__(self, link: valkey.Link, store: redis.Redis) -> None:
        self.store, self.link = store, link
        self.sender = BatchSender()
        self.sender.open(link, Reporter(asyncio.get_running_loop()))
        self.due = DueDelivery(self.sender)

    def begin(self, *tokens: str, number: int = 7, age: float = 0.0, **members: Any) -> BatchProgress:
        """Begin a batch of pushes that were accepted so long ago."""
        items = [
            batch.Item(f"trace-{token}", shared_clock.now() - age, 1, 1, 1, 100, a_push(token, **members))
            for token in tokens
        ]
        work = BatchProgress(f"abcdef:{number}", items, self.sender.loop.create_future())
        self.sender.begin(work)
        return work

    def waiting(self) -> list[str]:
        """The pushes of the list."""
        return due_pushes.waiting(self.store)

    def age(self, trace: str, seconds: float) -> None:
        """Let a push of the list have been accepted so long ago."""
        due_pushes.age(self.store, self.sender, trace, seconds)

    async def deliver(self) -> None:
        """Let the time of all that waits come, and send it until it is settled."""
        await due_pushes.deliver(self.store, self.sender, self.due)

    def rows(self) -> list[dict[str, str]]:
        """The rows of what has ended, in short."""
        lines = b"".join(self.store.lrange(ROWS, 0, -1)).decode().splitlines()  # type: ignore[arg-type]
        parts = [line.split("\t") for line in lines]
        return [
            {
                "trace": part[2],
                "outcome": part[-6],
                "code": part[-5],
                "answer": part[-4],
                "whose": part[-3],
                "counts": part[-2],
                "attempts": part[9 if part[9].startswith("[") else 8].count('"at"'),
            }
            for part in parts
        ]


@pytest.fixture
async def worker(
    store: redis.Redis, link: valkey.Link, rough: RoughServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Worker]:
    """A worker, and an empty Valkey."""
    store.flushdb()
    settings.PROVIDER_CA_FILE, settings.HTTPS_PROXY, settings.NO_PROXY = rough.ca_file, "", ""
    rough.complete.clear()
    rough.disown_every = 0
    route = Route("apple_rn", 2, 1, False, apple_target(rough.origin), None)
    monkeypatch.setattr(Routes, "_make", lambda _, customer, platform: route)
    monkeypatch.setattr(due_delivery, "DIRECTORY", SimpleNamespace(ready=True))
    made = Worker(link, store)
    yield made
    await made.sender.close_sending()


async def test_what_its_provider_wants_later_than_its_batch_can_wait_goes_to_the_list(worker: Worker) -> None:
    before = shared_clock.now()
    work = worker.begin("busy_1_60")
    await asyncio.wait_for(work.finished, 10)
    assert (worker.waiting(), worker.rows(), worker.store.keys("reply:*")) == (["trace-busy_1_60"], [], [])
    due = worker.store.zscore(due_list.DUE, "trace-busy_1_60")
    assert before + 60 <= due / 1000 <= before + 80  # type: ignore[operator]


async def test_it_is_sent_when_its_time_has_come_and_has_one_row_with_all_attempts(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_1_60").finished, 10)
    await worker.deliver()
    (row,) = worker.rows()
    assert row == {
        "trace": "trace-busy_1_60",
        "outcome": "sent",
        "code": "sent",
        "answer": "OK",
        "whose": "provider",
        "counts": "f",
        "attempts": 2,
    }
    assert (worker.waiting(), worker.store.exists(due_list.ITEMS)) == ([], 0)


async def test_who_still_waits_for_it_gets_its_result(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("ok_1", "busy_1_60").finished, 10)
    await worker.deliver()
    results = [batch.unpack_results(blob) for blob in worker.store.lrange("reply:abcdef", 0, -1)]  # type: ignore[union-attr]
    assert [short for short, _ in results if short] == [[(7, 0, 0)], [(7, 1, 0)]]


async def test_its_row_says_what_its_server_was_told_at_the_deadline(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_1_60").finished, 10)
    await worker.link.execute(*_parts(told.marking(BATCH, told.FAIL)))
    await worker.deliver()
    assert [row["answer"] for row in worker.rows()] == ["FAIL"]


async def test_its_row_says_so_also_when_the_mark_is_gone_by_then(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_2_60").finished, 10)
    await worker.link.execute(*_parts(told.marking(BATCH, told.FAIL)))
    await worker.deliver()
    worker.store.delete(batch.progress_key(BATCH))
    await worker.deliver()
    assert [(row["answer"], row["attempts"]) for row in worker.rows()] == [("FAIL", 3)]


async def test_a_credential_takes_no_more_than_its_places(
    worker: Worker, rough: RoughServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "DUE_MOST", 1)
    await asyncio.wait_for(worker.begin("busy_1_60", "busy_1_61").finished, 10)
    await worker.deliver()
    assert (len(worker.rows()), len(worker.waiting())) == (1, 1)
    await worker.deliver()
    assert (len(worker.rows()), worker.waiting(), worker.sender.deliverer.retries._due) == (2, [], {})


async def test_it_waits_again_where_its_provider_still_cannot_take_it(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_2_60").finished, 10)
    await worker.deliver()
    assert (worker.waiting(), worker.rows()) == (["trace-busy_2_60"], [])
    await worker.deliver()
    assert [row["attempts"] for row in worker.rows()] == [3]


async def test_a_push_past_its_lifetime_expires_by_whoever_caused_it_and_is_not_sent(
    worker: Worker, rough: RoughServer
) -> None:
    await asyncio.wait_for(worker.begin("busy_9_60").finished, 10)
    worker.age("trace-busy_9_60", schedule.DAY)
    await worker.deliver()
    (row,) = worker.rows()
    assert (row["outcome"], row["code"], row["whose"]) == ("expired", "apns_service_unavailable", "provider")
    assert rough.complete["busy_9_60"] == 1


async def test_a_push_whose_next_try_would_come_after_its_lifetime_expires(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_9_60").finished, 10)
    worker.age("trace-busy_9_60", schedule.DAY - 50)
    await worker.deliver()
    assert [row["outcome"] for row in worker.rows()] == ["expired"]


async def test_a_test_is_not_tried_later(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_1_60", type="test").finished, 10)
    assert (worker.waiting(), [row["outcome"] for row in worker.rows()]) == ([], ["failed"])


async def test_a_call_that_would_ring_too_late_fails_at_once(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_1_60", transport="voip", sub_type="calls").finished, 10)
    assert (worker.waiting(), [row["answer"] for row in worker.rows()]) == ([], ["FAIL"])


async def test_silence_is_tried_once_more_and_then_the_end_is_unknown(
    worker: Worker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.sender.deliverer, "_attempt_deadline", 0.2)
    monkeypatch.setattr("delivery.worker.attempts.LATE", 0.0)
    monkeypatch.setattr("delivery.worker.attempts.LATE_WINDOW", 0.2)
    await asyncio.wait_for(worker.begin("silence_1").finished, 10)
    assert worker.waiting() == ["trace-silence_1"]
    due = worker.store.zscore(due_list.DUE, "trace-silence_1")
    least, most = retries.UNANSWERED
    assert least - 1 < due / 1000 - shared_clock.now() < most, "its one repeat is to meet another moment"  # type: ignore[operator]
    await worker.deliver()
    (row,) = worker.rows()
    assert (row["outcome"], row["code"], row["attempts"]) == ("unknown", "transport_timeout_unanswered", 2)


async def test_without_budget_it_waits_and_makes_no_attempt(
    worker: Worker, rough: RoughServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.wait_for(worker.begin("busy_1_60").finished, 10)
    monkeypatch.setattr(worker.sender.deliverer.retries.budget, "take", lambda target: False)
    await worker.deliver()
    assert (worker.waiting(), worker.rows(), rough.complete["busy_1_60"]) == (["trace-busy_1_60"], [], 1)


async def test_what_finds_no_room_in_the_list_fails_and_its_server_is_told(worker: Worker) -> None:
    room = worker.sender.deliverer.retries._room
    room._most = 0
    room._look_at = float("inf")
    await asyncio.wait_for(worker.begin("busy_1_60").finished, 10)
    assert (worker.waiting(), [row["answer"] for row in worker.rows()]) == ([], ["FAIL"])


async def test_the_room_is_a_part_of_valkeys_memory(worker: Worker) -> None:
    room, before = worker.sender.deliverer.retries._room, worker.store.config_get("maxmemory")["maxmemory"]  # type: ignore[index]
    worker.store.config_set("maxmemory", 100_000_000)
    try:
        worker.store.set(due_list.BYTES, int(100_000_000 * due_list.PART))
        room.has_room()
        await until(lambda: room._most < due_list.MOST_BYTES)
        assert not room.has_room()
    finally:
        worker.store.config_set("maxmemory", before)


async def test_a_process_that_leaves_hands_what_waits_to_the_list(worker: Worker, rough: RoughServer) -> None:
    work = worker.begin("busy_1_3", "ok_1")
    await until(lambda: rough.complete["busy_1_3"])
    await until(lambda: worker.sender.deliverer.retries._waiting)
    worker.sender.leave()
    await asyncio.wait_for(work.finished, 2)
    assert (worker.waiting(), [row["trace"] for row in worker.rows()]) == (["trace-busy_1_3"], ["trace-ok_1"])


async def test_a_process_that_stops_hands_over_what_it_cuts_off(worker: Worker, rough: RoughServer) -> None:
    worker.begin("silence_2")
    await until(lambda: rough.complete["silence_2"])
    await worker.sender.close_sending()
    assert worker.waiting() == ["trace-silence_2"]


async def test_what_valkey_does_not_confirm_is_handed_over_again(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_1_60").finished, 10)
    posted, real = [], worker.link.post

    def post(commands: bytes, count: int, last: Any = None) -> bool:
        if due_list.ITEMS.encode() in commands and not posted:
            posted.append(commands)
            last.set_exception(ConnectionError("lost"))
            return False
        return real(commands, count, last)

    worker.link.post = post  # type: ignore[method-assign]
    try:
        await worker.deliver()
    finally:
        worker.link.post = real  # type: ignore[method-assign]
    assert (len(posted), len(worker.rows())) == (1, 1)


async def test_what_was_altered_is_lost_in_a_row_of_its_own_and_harms_no_other(worker: Worker) -> None:
    await asyncio.wait_for(worker.begin("busy_1_60", "busy_1_61").finished, 10)
    sealed = worker.store.hget(due_list.ITEMS, "trace-busy_1_60")
    assert isinstance(sealed, bytes)
    worker.store.hset(due_list.ITEMS, "trace-busy_1_60", sealed[:-1] + bytes([sealed[-1] ^ 1]))
    await worker.deliver()
    await until(lambda: not worker.waiting())
    ended = {row["trace"]: (row["outcome"], row["whose"]) for row in worker.rows()}
    assert ended == {"trace-busy_1_60": ("lost", "ours"), "trace-busy_1_61": ("sent", "provider")}
    assert (worker.store.llen(due_list.UNREADABLE), worker.store.hget(ledger.STATE, "lost")) == (1, b"1")


def _parts(packed: bytes) -> list[bytes]:
    """The words of a packed command."""
    parts, rest = [], packed[packed.index(b"\r\n") + 2 :]
    while rest:
        length, _, rest = rest[1:].partition(b"\r\n")
        parts.append(rest[: int(length)])
        rest = rest[int(length) + 2 :]
    return parts
