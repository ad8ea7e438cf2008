"""A week without the timetable, and without anybody who makes partitions: what was to be done each day is done when it
is back, with the same result, and nothing is lost meanwhile."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import redis
from django.db import connection

from delivery.devices import absorbing
from delivery.log import partitions, rows, writing
from delivery.rollups import compacting
from tests.delivery.devices import writing as devices
from tests.delivery.log.test_writing import NOON, a_row
from tests.delivery.rollups import comparing

pytestmark = pytest.mark.django_db

FIRST: Final = datetime.fromtimestamp(NOON, UTC).date()
DAYS: Final = 7
PUSHES: Final = 3
TABLES: Final = ("delivery_minute", "delivery_service_minute", "delivery_hour", "delivery_service_hour", "delivery_day")


@pytest.fixture(autouse=True)
def _without_rollups() -> Iterator[None]:
    yield
    comparing.empty()


def pushed(store: redis.Redis, day: int) -> None:
    """The pushes of a day, an hour after the other, come to the log."""
    lines = [a_row(f"t-{day}-{hour}", NOON + day * 86_400 + hour * 3_600) for hour in range(PUSHES)]
    store.rpush(rows.ROWS, *lines)
    assert writing.write(store) == PUSHES


def done(day: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the timetable does, as of the morning after that day."""
    now = datetime(FIRST.year, FIRST.month, FIRST.day, 3, 18, 30, tzinfo=UTC) + timedelta(days=day + 1)
    monkeypatch.setattr(compacting, "_now", lambda: now)
    partitions.make_partitions(now.date())
    compacting.compact()
    while absorbing.absorb():
        pass
    partitions.drop_partitions(now.date())


def placed() -> dict[str, str]:
    """By trace the partition of each push."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT trace, tableoid::regclass::text FROM delivery_delivery")
        return dict(cursor.fetchall())


def left(table: str) -> tuple[int, int]:
    """How many rows of the rollups wait, and how many are merged."""
    return comparing.rows_of(f"{table}_new"), comparing.rows_of(f"{table}_merged")


def everything() -> dict[str, Any]:
    """What pages read of the log's pushes, and in how many rows it stands."""
    sizes = {table: left(table) for table in TABLES}
    return {"pushes": placed(), "rollups": comparing.everything(), "devices": devices.tables(), "sizes": sizes}


def test_a_week_without_the_timetable_ends_as_one_of_daily_runs(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as daily:
        for day in range(DAYS):
            pushed(store, day)
            done(day, daily)
    expected = everything()
    with connection.cursor() as cursor:
        for day in range(-1, DAYS + 4):
            name = partitions.LOG.name(FIRST + timedelta(days=day))
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
            cursor.execute(f"DROP TABLE IF EXISTS {partitions.RECEIPTS.name(FIRST + timedelta(days=day))}")
        for table in ("delivery_device", "delivery_active_device", "delivery_device_count", "delivery_written_minute"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608
    comparing.empty()

    for day in range(DAYS):
        pushed(store, day)
    assert set(placed().values()) == {"delivery_other_days"}
    before = comparing.everything()
    done(DAYS - 1, monkeypatch)
    assert comparing.everything() == before
    for what, found in everything().items():
        assert found == expected[what], what
    assert set(placed()) == {f"t-{day}-{hour}" for day in range(DAYS) for hour in range(PUSHES)}
    assert placed()["t-0-0"] == partitions.LOG.name(FIRST)
