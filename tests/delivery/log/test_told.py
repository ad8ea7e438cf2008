"""Rows whose servers were told something else than they say are corrected, once they are there."""

from collections.abc import Iterator

import pytest
import redis
from django.db import DatabaseError, connection

from delivery.log import rows, told, writing
from delivery.models import Delivery
from tests.delivery.log.test_writing import NOON, a_row

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


def test_a_row_gets_the_answer_that_its_server_was_told_and_no_other_does(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1"), a_row("t-2"))
    store.rpush(told.TOLD, told.entry("t-1", NOON, "FAIL"), told.entry("t-3", NOON, "FAIL"))
    entries = told.waiting(store)
    writing.write(store)
    assert told.write(store, entries) == 1
    assert dict(Delivery.objects.values_list("trace", "answer")) == {"t-1": "FAIL", "t-2": "OK"}
    assert not store.exists(told.TOLD)


def test_a_correction_that_comes_twice_or_says_what_the_row_says_changes_nothing(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1"))
    writing.write(store)
    entries = [told.entry("t-1", NOON, "OK")]
    assert told.write(store, entries) == 0
    assert told.write(store, entries * 2) == 0


def test_what_cannot_be_corrected_now_stays(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    store.rpush(told.TOLD, told.entry("t-1", NOON, "FAIL"))
    monkeypatch.setattr(told, "_CORRECT", "SELECT 1/(%s::text IS NULL)::int, %s, %s, %s")
    with pytest.raises(DatabaseError):
        told.write(store, told.waiting(store))
    assert store.llen(told.TOLD) == 1
    assert connection.needs_rollback is False
