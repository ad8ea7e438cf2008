"""Whether the timetable is heard of: noted by the worker that takes its word of each minute, told when it is not."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import redis
from pytest_django import Settings

from delivery import tasks
from delivery.queue import timetable, valkey
from delivery.queue.valkey import Link
from hpns.celery import app


@pytest.fixture
async def link(valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Link]:
    """A worker's link."""
    settings.REDIS_URL = valkey_url
    monkeypatch.setattr(valkey, "_shared", {})
    link = valkey.shared(valkey_url)
    await link.start()
    yield link
    link.close()


def heard(store: redis.Redis) -> int:
    """When it was heard of."""
    return int(store.get(timetable.AT) or 0)


async def test_its_word_of_each_minute_is_noted_by_the_worker_that_takes_it(link: Link, store: redis.Redis) -> None:
    assert app.conf.beat_schedule["compact"]["schedule"].minute == set(range(60))
    store.set(timetable.AT, 1)
    await tasks._note_timetable()
    assert 0 <= store.time()[0] - heard(store) < 60


async def test_a_timetable_that_was_never_started_is_missed_from_the_first_workers_start_on(
    link: Link, store: redis.Redis
) -> None:
    ask = partial(valkey.ask, link)
    assert await timetable.describe(ask) == ""
    await tasks._note_timetable(heard=False)
    began = heard(store)
    assert began > 0
    store.set(timetable.AT, began - timetable.STILL)
    await tasks._note_timetable(heard=False)  # another worker starts
    assert heard(store) == began - timetable.STILL
    assert "has sent nothing for 5 min" in await timetable.describe(ask)
