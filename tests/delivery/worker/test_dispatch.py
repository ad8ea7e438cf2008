"""The dispatcher when something of its own fails: it is seen, it is tried again, and no batch is held for ever."""

import asyncio
import base64
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import redis
from pytest_django import Settings

from delivery.log.rows import ROWS
from delivery.outcomes.verdict import ANSWERED, Attempt
from delivery.protocol.wire import Push
from delivery.providers import table
from delivery.providers.base import Target, Try
from delivery.queue import batch, shared_clock, valkey
from delivery.worker import batch_sender, dispatch, places
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.dispatch import Dispatcher
from tenants import supervision
from tenants.supervision import supervise
from tests.delivery.links import until

BATCH = "abcdef:7"
ACCEPTED = Attempt("apns", "api.push.apple.com", 200, "", ANSWERED, 1.0, 5)


@pytest.fixture
async def dispatcher(valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Dispatcher]:
    """One that has not started; the directory is no matter of these tests."""
    settings.REDIS_URL = valkey_url
    monkeypatch.setattr(supervision, "BACKOFF_MIN", 0.02)
    monkeypatch.setattr(dispatch, "DIRECTORY", SimpleNamespace(ready=True, follow=asyncio.Event().wait))
    made = Dispatcher()
    yield made
    await made.close()
    valkey.shared(valkey_url).close()


def an_item(device: str = "a" * 64) -> batch.Item:
    return batch.Item("trace", 1.0, 1, 1, 1, 100, Push(platform="apple_rn", device_id=device, ack_id="ack"))


def progress(dispatcher: Dispatcher) -> BatchProgress:
    """A batch of one push that has begun."""
    return BatchProgress(BATCH, [an_item()], dispatcher.loop.create_future())


async def test_a_start_that_fails_is_said_and_made_again_and_the_batches_wait_for_it(
    dispatcher: Dispatcher, settings: Settings, store: redis.Redis
) -> None:
    settings.HTTPS_PROXY = "http://[no address"
    serving = supervise("the dispatcher", dispatcher.serve)
    await until(lambda: supervision.failing(essential=True))
    assert supervision.failing(essential=True) == ["the dispatcher (ValueError)"]
    sealed = base64.b64encode(dispatcher.cipher.seal_bytes(b"[]", BATCH.encode())).decode()
    running = asyncio.create_task(dispatcher.run(BATCH, sealed, False))
    await asyncio.sleep(0.05)
    assert not running.done()
    settings.HTTPS_PROXY = ""
    async with asyncio.timeout(60):
        await running
    serving.cancel()


async def test_a_batch_that_was_altered_fails_for_good(dispatcher: Dispatcher) -> None:
    dispatcher.start()
    sealed = bytearray(dispatcher.cipher.seal_bytes(b"[]", BATCH.encode()))
    sealed[-1] ^= 1
    with pytest.raises(dispatch.UnreadableBatch):
        await dispatcher.run(BATCH, base64.b64encode(sealed).decode(), False)
    assert dispatcher.in_flight == 0


async def test_a_push_that_does_not_end_is_ended_and_its_batch_settled(
    dispatcher: Dispatcher, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batch_sender, "OVERDUE", 0.1)
    dispatcher.start()
    work = progress(dispatcher)
    work.started_at = dispatcher.loop.time() - 60
    dispatcher._batches.add(work)
    async with asyncio.timeout(60):
        await work.finished
    assert b"internal_error" in store.lindex(ROWS, 0)
    assert "a push has not ended in time" in caplog.text
    dispatcher.deliverer.end(work, 0, table.judge(ACCEPTED))  # its sender finds to an end after all
    assert not work.ended


@pytest.mark.parametrize("method", ["_tried", "_tried_spare"])
async def test_a_push_whose_answer_cannot_be_judged_ends_all_the_same(
    dispatcher: Dispatcher,
    store: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    dispatcher.start()
    monkeypatch.setattr(table, "judge", lambda attempt: 1 / 0)
    work = progress(dispatcher)
    target = Target(1, "apns", "com.example", "", "https://api.push.apple.com", 1, "token", {})
    tried = Try(work.items[0].push, target, "", 0, 2, 1.0, lambda *_: None, work, 0)
    getattr(dispatcher.deliverer, method)(tried, ACCEPTED)
    async with asyncio.timeout(60):
        await work.finished
    assert b"internal_error" in store.lindex(ROWS, 0)
    assert "an attempt could not be judged" in caplog.text


async def test_a_call_that_waited_longer_than_it_rings_is_expired_and_counts_against_us(
    dispatcher: Dispatcher, store: redis.Redis
) -> None:
    dispatcher.start()
    now = shared_clock.now()
    call = Push(platform="apple_rn", device_id="a" * 64, ack_id="ack", transport="voip", sub_type="calls")
    work = BatchProgress(BATCH, [batch.Item("trace", now - 61, 1, 1, 1, 100, call)], dispatcher.loop.create_future())
    dispatcher.deliverer.begin(work, 0, work.items[0], now, dispatcher.loop.time())
    async with asyncio.timeout(60):
        await work.finished
    fields = store.lindex(ROWS, 0).split(b"\t")
    assert fields.count(b"expired") == 2  # the outcome and the code
    assert b"ours" in fields
    assert b"[]" in fields


async def test_a_worker_holds_the_bytes_of_a_batch_until_it_is_settled(
    dispatcher: Dispatcher, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher.start()
    before, seen = places.WORKER.held, []
    refresh = dispatcher.deliverer.routes.refresh
    monkeypatch.setattr(
        dispatcher.deliverer.routes, "refresh", lambda: (seen.append(places.WORKER.held - before), refresh())
    )
    push = b'{"platform":"nobodys","device_id":"one","type":"message","server_id":"s"}'
    sealed = dispatcher.cipher.seal_bytes(batch.join([batch.encode_item("t-1", 1e9, 1, 1, 1, 9, push)]), BATCH.encode())
    await dispatcher.run(BATCH, base64.b64encode(sealed).decode(), False)
    assert seen == [places.cost(1, len(sealed))]
    assert places.WORKER.held == before
    assert store.llen(ROWS) == 1
