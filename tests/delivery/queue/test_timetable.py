"""Whether the timetable is heard of: noted by the worker that takes its word of each minute, told when it is not."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import redis
from pytest_django import Settings

from delivery import tasks
from delivery.queue import timetable, valkey
from delivery.queue.valkey import Link
from hpns.celery import app, task_notes


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


async def test_a_task_that_hangs_is_told_by_its_name_once_two_of_its_runs_are_missing(
    link: Link, store: redis.Redis
) -> None:
    ask = partial(valkey.ask, link)
    await timetable.expect(ask, {"billing.sla": 300.0, "delivery.compact": 60.0})
    assert await timetable.describe(ask) == ""
    now = store.time()[0]
    missing = timetable.RUNS_MISSED * 300 + timetable.PATIENCE
    store.hset(timetable.TASKS, "billing.sla", f"{now - missing - 60} 300")
    assert await timetable.describe(ask) == ("billing.sla, which the timetable sends, has not ended well for 21 min")
    await timetable.note_ended(ask, "billing.sla", 300.0)
    assert await timetable.describe(ask) == ""


async def test_a_task_that_never_ends_has_an_age_from_the_first_workers_start_on(
    link: Link, store: redis.Redis
) -> None:
    ask = partial(valkey.ask, link)
    began = store.time()[0] - 5_000
    store.hset(timetable.TASKS, mapping={"billing.sla": f"{began} 300", "left.out": f"{began} 300"})
    await timetable.expect(ask, {"billing.sla": 600.0})  # another worker starts, of another version
    ((name, age, interval),) = timetable.tasks(store.hgetall(timetable.TASKS), store.time()[0])
    assert (name, interval) == ("billing.sla", 600.0)
    assert age >= 5_000, "it is not taken for one that has just ended"


async def test_every_task_of_the_timetable_has_the_seconds_between_its_runs() -> None:
    found = task_notes.intervals(app)
    assert found.keys() == {entry["task"] for entry in app.conf.beat_schedule.values()}
    named = {
        name: found[name] for name in ("delivery.compact", "delivery.devices", "billing.sla", "billing.watch_usage")
    }
    assert named == {
        "delivery.compact": 60.0,
        "delivery.devices": 60.0,
        "billing.sla": 300.0,
        "billing.watch_usage": 3600.0,
    }
    assert found["delivery.partitions"] == 6 * 3600.0
    assert found["tenants.forget_sessions"] == 24 * 3600.0
