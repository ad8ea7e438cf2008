"""Readiness: what of the queue and the workers is missing, and what is amiss though pushes go on."""

import asyncio
import time

import pytest
import redis
from pytest_django import Settings

from delivery.log.rows import ROWS
from delivery.log.writing import WRITTEN_AT
from delivery.queue import timetable
from hpns.watching import readiness
from hpns.watching.readiness import Health, Observer
from tests.hpns.watching.asking import Intake, no_pages

pytestmark = pytest.mark.django_db
WHY = "queue push is not being consumed"


@pytest.fixture(autouse=True)
def broker(settings: Settings, valkey: redis.Redis) -> None:
    """The broker is the same Valkey, and workers send everything."""
    settings.CELERY_BROKER_URL = settings.REDIS_URL
    settings.DELIVER_FROM = "workers"


def looked() -> Health:
    """What is known after one look at Valkey."""

    async def look() -> Health:
        health = Health()
        await Observer(Intake(), no_pages)._look_at_valkey(health)
        return health

    return asyncio.run(look())


def workers(valkey: redis.Redis, **states: str) -> None:
    """Let these workers be alive, each with what keeps it from delivering."""
    valkey.zadd("workers", dict.fromkeys(states, valkey.time()[0]))
    for name, state in states.items():
        if state:
            valkey.hset("workers:failing", name, state)


def test_workers_that_can_deliver_are_counted(valkey: redis.Redis) -> None:
    workers(valkey, first="", second="")
    health = looked()
    assert (health.ready, health.workers, health.amiss) == (True, 2, [])


def test_one_that_cannot_is_amiss_while_others_can(valkey: redis.Redis) -> None:
    workers(valkey, first="", second=WHY)
    health = looked()
    assert (health.ready, health.workers) == (True, 1)
    assert health.amiss == [f"1 of 2 workers cannot deliver: {WHY}"]


def test_when_none_can_a_push_would_not_be_sent(valkey: redis.Redis) -> None:
    workers(valkey, first=WHY, second=WHY)
    health = looked()
    assert (health.workers, health.missing) == (0, [f"no worker can deliver: {WHY}"])


def test_what_a_worker_said_does_not_outlast_it(valkey: redis.Redis) -> None:
    workers(valkey, first=WHY)
    valkey.zadd("workers", {"first": valkey.time()[0] - 60})
    assert looked().missing == ["no worker is running: pushes would wait in the queue"]


def test_where_web_processes_send_themselves_a_push_is_sent_without_a_worker(
    valkey: redis.Redis, settings: Settings
) -> None:
    settings.DELIVER_FROM = "web"
    found = looked()
    assert (found.ready, found.amiss) == (
        True,
        ["no worker is running: nothing is written to the delivery log, and nobody takes pushes over"],
    )
    workers(valkey, first=WHY)
    found = looked()
    assert (found.ready, found.amiss) == (True, [f"no worker can deliver: {WHY}"])


def test_a_web_process_that_sends_itself_is_no_worker(valkey: redis.Redis) -> None:
    workers(valkey, **{"web@host:1:abcdef": ""})
    assert looked().workers == 0


def test_with_another_broker_no_lease_is_asked_for(valkey: redis.Redis, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "amqp://127.0.0.1/"
    assert looked().missing == []


def test_rows_of_the_log_that_wait_for_long_are_amiss_and_keep_no_push_from_being_taken(valkey: redis.Redis) -> None:
    workers(valkey, first="")
    valkey.rpush(ROWS, "a")
    valkey.set(WRITTEN_AT, int(time.time()))
    assert looked().amiss == []
    valkey.set(WRITTEN_AT, int(time.time()) - 600)
    health = looked()
    (text,) = health.amiss
    assert text.startswith("rows of the delivery log have not been written for 60")
    assert health.ready


def test_what_nobody_asks_about_is_looked_at_less_often() -> None:
    now = time.monotonic()
    assert readiness._interval(now) == 1.0
    assert readiness._interval(now - 60) == 5.0


def test_a_timetable_that_sends_nothing_is_amiss_and_keeps_no_push_from_being_taken(valkey: redis.Redis) -> None:
    workers(valkey, first="")
    now = valkey.time()[0]
    valkey.set(timetable.AT, now - timetable.STILL + 100)
    assert looked().amiss == []
    valkey.set(timetable.AT, now - 600)
    health = looked()
    assert (health.ready, len(health.amiss)) == (True, 1)
    assert health.amiss[0].startswith("the timetable has sent nothing for 10 min")
