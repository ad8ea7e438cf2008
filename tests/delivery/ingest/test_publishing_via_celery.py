"""Publishing through another broker than Valkey, whose client blocks: what has no thread is turned away at once."""

import asyncio
import json
import threading

import pytest
from pytest_django import Settings

from delivery.executors import BoundedExecutor
from delivery.ingest import publishing
from delivery.ingest.outbox import Outbox
from tests.delivery.ingest.test_outbox import submit
from tests.waiting import PATIENCE


async def test_while_as_many_batches_wait_for_the_broker_as_may_a_push_is_turned_away_at_once(
    valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL, settings.CELERY_BROKER_URL = valkey_url, "amqp://127.0.0.1:1/"
    settings.PUSH_DEADLINE = 10 * PATIENCE
    gate, executor = threading.Event(), BoundedExecutor("the broker", threads=1, queued=0)
    executor.submit(gate.wait, 10 * PATIENCE)
    monkeypatch.setattr(publishing, "CELERYS", executor)
    outbox = Outbox()
    outbox.start()
    while not outbox.ready:
        await asyncio.sleep(0.01)
    answer = json.loads(await asyncio.wait_for(submit(outbox), PATIENCE))
    assert answer["error"].startswith("queue_down"), answer
    gate.set()
    await outbox.close()


async def test_whatever_the_brokers_client_raises_ends_the_batch(
    valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL, settings.CELERY_BROKER_URL = valkey_url, "amqp://127.0.0.1:1/"
    settings.PUSH_DEADLINE = 10 * PATIENCE

    def failing(*_: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(publishing.tasks, "publish", failing)
    outbox = Outbox()
    outbox.start()
    assert "the watch over the queue's file" not in {task.get_name() for task in asyncio.all_tasks()}
    while not outbox.ready:
        await asyncio.sleep(0.01)
    answer = json.loads(await asyncio.wait_for(submit(outbox), PATIENCE))
    assert answer["error"].startswith("queue_down"), answer
    assert "could not be published through Celery" in caplog.text
    assert not outbox.responses.batches
    await outbox.close()
