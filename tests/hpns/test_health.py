"""What /health/live and /health/ready say: ready names what is missing, and what is amiss though pushes go on."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import connection, connections
from django.test import Client
from pytest_django import Settings

from hpns import state
from tenants.directory import DIRECTORY


class Door:
    """The outbox as /health/ready sees it."""

    def __init__(self, ready: bool) -> None:
        self.ready = ready


@pytest.fixture
def well(settings: Settings, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """Everything a push needs: an open door, a directory that was read, a worker, the tables."""
    monkeypatch.setattr(state, "outbox", Door(ready=True))
    monkeypatch.setattr(DIRECTORY, "source", "postgres")
    monkeypatch.setattr(DIRECTORY, "problem", "")
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.delete("workers")
        valkey.zadd("workers", {"host:1:abc": int(valkey.time()[0])})
        yield valkey
        valkey.delete("workers")


def ready() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/health/ready")
    assert answer["Cache-Control"].startswith("max-age=0")
    return answer.status_code, answer.json()


def test_live_needs_nothing(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = Client().get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


def test_ready_when_all_is_there(well: redis.Redis) -> None:
    assert ready() == (200, {"status": "ready", "missing": [], "amiss": [], "workers": 1})


def test_not_ready_without_valkey(well: redis.Redis, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    status, told = ready()
    assert status == 503
    assert told["missing"] == ["the queue (Valkey) does not answer: ConnectionError"]


def test_not_ready_while_this_process_has_no_connection_to_the_queue(
    well: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "outbox", Door(ready=False))
    status, told = ready()
    assert status == 503
    assert told["missing"] == ["this process has no connection to the queue (Valkey)"]


def test_not_ready_without_a_worker(well: redis.Redis) -> None:
    well.delete("workers")
    status, told = ready()
    assert status == 503
    assert told["missing"] == ["no worker is running: pushes would wait in the queue"]


def test_a_worker_that_has_given_no_sign_of_life_for_a_while_does_not_count(well: redis.Redis) -> None:
    well.zadd("workers", {"host:1:abc": int(well.time()[0]) - 60})
    assert ready()[0] == 503


def test_not_ready_before_the_directory_was_read(well: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DIRECTORY, "source", "")
    monkeypatch.setattr(DIRECTORY, "problem", "PostgreSQL cannot be read")
    status, told = ready()
    assert status == 503
    assert told["missing"] == ["the directory of keys has not been read: PostgreSQL cannot be read"]


def test_ready_with_a_directory_that_is_not_fresh(well: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DIRECTORY, "problem", "Valkey cannot be reached")
    status, told = ready()
    assert status == 200
    assert told["amiss"] == ["the directory of keys is not fresh: Valkey cannot be reached"]


def test_not_ready_without_tables(well: redis.Redis) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE delivery_delivery RENAME TO delivery_elsewhere")
    try:
        status, told = ready()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE delivery_elsewhere RENAME TO delivery_delivery")
    assert status == 503
    assert told["missing"] == ["the database has no tables yet: run manage.py migrate"]


def test_without_postgres_pushes_go_on_and_that_is_said(well: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    default = connections["default"]
    default.close()
    monkeypatch.setitem(default.settings_dict, "PORT", "1")
    monkeypatch.setattr(DIRECTORY, "source", "copy")
    monkeypatch.setattr(DIRECTORY, "problem", "PostgreSQL cannot be read")
    status, told = ready()
    monkeypatch.undo()
    default.close()
    assert status == 200
    assert told["status"] == "ready"
    assert len(told["amiss"]) == 2
    assert "the database does not answer (OperationalError" in told["amiss"][1]


def test_another_broker_keeps_its_own_list_of_workers(well: redis.Redis, settings: Settings) -> None:
    well.delete("workers")
    settings.CELERY_BROKER_URL = "amqp://rabbit"
    assert ready()[0] == 200


def test_nothing_secret_stands_in_what_is_missing(well: redis.Redis, settings: Settings) -> None:
    settings.REDIS_URL = "redis://:s3cr3t@127.0.0.1:1/0"
    assert "s3cr3t" not in str(ready())
