"""Rows of the rollups that are merged: the sums are the same, whenever it is killed and whatever comes meanwhile."""

import importlib
import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from django.db import OperationalError, connection, transaction

from delivery import tasks
from delivery.rollups import compacting
from delivery.rollups.increments import Cell, Increments
from tests.delivery.rollups import comparing
from tests.roles import WORKER, acting_as
from tests.sessions import session

pytestmark = pytest.mark.django_db(transaction=True)

NOW: Final = datetime(2026, 9, 21, 14, 18, 30, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
CELL: Final = Cell(NOW.replace(second=0), 1, 2, 4, "apns", "message", "sent", "sent", "", counts=True)


@pytest.fixture(autouse=True)
def _at_that_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(compacting, "_now", lambda: NOW)
    yield
    comparing.empty()


def write(*cells: Cell, acked: bool = True) -> None:
    """Write increments: of each cell two pushes, one of which is acknowledged."""
    increments = Increments()
    for cell in cells:
        increments.push(cell, 1, random.randrange(90))  # noqa: S311
        increments.push(cell, 1, 255 - random.randrange(9))  # noqa: S311  whatever may ever be packed
        if acked:
            increments.acked(cell, random.randrange(90))  # noqa: S311
    with transaction.atomic(), connection.cursor() as cursor:
        increments.write(cursor)


def ago(minutes: int, **members: Any) -> Cell:
    """The cell of some minutes ago."""
    return CELL._replace(at=CELL.at - minutes * MINUTE, **members)


def some() -> None:
    """Write increments of what is over and what is not, most of them several times."""
    for _ in range(3):
        for minutes in (0, 1, 2, 3, 40, 90, 3000):
            write(ago(minutes), ago(minutes, code="other"), ago(minutes, server_id=9, type="clear"), acked=minutes != 3)


def sizes(table: str) -> tuple[int, int]:
    """How many rows wait, and how many are merged."""
    return comparing.rows_of(f"{table}_new"), comparing.rows_of(f"{table}_merged")


def test_rows_of_a_cell_become_one_with_the_same_sums() -> None:
    some()
    counted = comparing.everything()
    compacting.compact()
    assert counted == comparing.everything()
    # Three cells of the detail, and once they are merged two of the whole customer, at each minute; two minutes are not
    # over for long enough.
    assert sizes("delivery_minute") == (2 * 3 * 3, 5 * 5)
    assert sizes("delivery_service_minute") == (2 * 3 * 2, 5 * 2)
    # What is of this hour is merged, and waits: of the hours that are over, one is 90 minutes and one two days ago.
    assert sizes("delivery_hour") == (5, 3 * 5)
    assert sizes("delivery_service_hour") == (2, 3 * 2)
    # With its hour of 90 minutes ago today has begun; of two days ago the day is over.
    assert sizes("delivery_day") == (5, 5)


def test_what_comes_late_is_merged_with_what_is_there() -> None:
    some()
    compacting.compact()
    minutes, hours = sizes("delivery_minute")[1], sizes("delivery_hour")[1]
    write(ago(3000), ago(40))
    write(ago(3000, code="new"))
    counted = comparing.everything()
    compacting.compact()
    assert counted == comparing.everything()
    assert sizes("delivery_minute")[1] == minutes + 2
    assert sizes("delivery_hour")[1] == hours + 2


def test_of_a_day_that_is_over_what_comes_late_is_merged_with_what_is_there() -> None:
    for _ in range(2):
        write(ago(3000), ago(3100), ago(4500), ago(3000, code="other"))
        counted = comparing.everything()
        compacting.compact()
        assert counted == comparing.everything()
        assert sizes("delivery_day") == (0, 2 * 2 + 2)


def test_what_waits_of_a_customer_is_moved_on_at_once_as_far_as_its_day() -> None:
    write(ago(0), ago(90), ago(90, customer_id=7))
    counted = comparing.everything()
    with transaction.atomic(), connection.cursor() as cursor:
        compacting.close_customer(cursor, 1)
    assert counted == comparing.everything()
    assert (sizes("delivery_minute"), sizes("delivery_hour"), sizes("delivery_day")) == ((1, 4), (0, 4), (2, 0))


def test_days_are_filled_out_of_the_hours_that_are_merged_by_the_migration() -> None:
    some()
    compacting.compact()
    write(ago(3000), ago(90))
    counted = comparing.everything()
    migration = importlib.import_module("delivery.migrations.0013_rollups_by_day")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM delivery_day")
        cursor.execute(migration.FILL)
    assert counted == comparing.everything()


def test_hours_are_merged_for_good_only_some_times_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "_now", lambda: NOW + MINUTE)
    some()
    counted = comparing.everything()
    compacting.compact()
    assert counted == comparing.everything()
    assert sizes("delivery_hour") == (4 * 5, 0)


def test_a_second_time_there_is_nothing_to_do() -> None:
    some()
    compacting.compact()
    assert compacting.compact() == 0


def test_a_batch_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "BATCH", 19)
    some()
    counted = comparing.everything()
    assert [len(batch) for batch in compacting._batches("delivery_minute", None)] == [2, 2, 2, 1]
    compacting.compact()
    assert counted == comparing.everything()
    assert sizes("delivery_minute") == (2 * 3 * 3, 5 * 5)


def test_killed_at_any_step_it_has_changed_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "BATCH", 31)
    counted: dict[str, comparing.Sums] = {}
    for step in itertools.count():
        write(ago(step), ago(step, type="clear"), ago(3000), CELL)
        counted = comparing.everything()
        steps = iter(range(10_000))

        def killing(execute: Any, *call: Any, steps: Iterator[int] = steps, step: int = step) -> Any:
            done = execute(*call)
            if next(steps) == step:
                raise OperationalError("killed")
            return done

        try:
            with connection.execute_wrapper(killing):
                compacting.compact()
        except OperationalError:
            assert counted == comparing.everything()
        else:
            break
    assert step > 12, "statements there are to be killed after"
    assert counted == comparing.everything()
    closed = {cell for cell in counted["delivery_minute"] if cell[0] <= NOW - MINUTE - compacting.SETTLED}
    assert sizes("delivery_minute")[1] == len(closed)


def test_what_is_being_written_meanwhile_is_counted_once() -> None:
    some()
    with session("INSERT INTO delivery_minute SELECT * FROM delivery_minute") as other:
        compacting.compact()
        other.commit()
    counted = comparing.everything()
    # In the minutes and hours of customers, and not in those of all customers together.
    assert sum(sums[0] for sums in counted["delivery_minute"].values()) == 4 * sum(
        sums[0] for sums in counted["delivery_service_hour"].values()
    )
    compacting.compact()
    assert counted == comparing.everything()


def test_while_another_merges_it_leaves_it_to_that_one_at_once() -> None:
    some()
    with session(compacting.LOCK):
        assert compacting.compact() == 0
    assert compacting.compact() > 0


def test_the_workers_role_may_count_and_merge() -> None:
    with acting_as(WORKER):
        some()
        assert compacting.compact() > 0


async def test_a_task_that_cannot_merge_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> int:
        raise OperationalError("the server is away")

    monkeypatch.setattr(tasks, "compact", away)
    await tasks._compact({})
    assert "the rollups cannot be merged, which only makes them larger: the server is away" in caplog.text
