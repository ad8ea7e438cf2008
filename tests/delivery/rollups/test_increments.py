"""Increments of the rollups that are written beside what they count."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from django.db import connection

from delivery.models import Grain, Hour, Minute, ServiceHour, ServiceMinute
from delivery.rollups import buckets
from delivery.rollups.increments import Cell, Increments
from tests.delivery.rollups.pushes import HOUR

pytestmark = pytest.mark.django_db
CELL: Final = Cell(HOUR + timedelta(minutes=3), 1, 2, 4, "apns", "message", "sent", "sent", "", counts=True)


def written(*steps: Callable[[Increments], Any]) -> None:
    increments = Increments()
    for step in steps:
        step(increments)
    with connection.cursor() as cursor:
        increments.write(cursor)


def test_a_cell_is_written_in_both_grains_of_both_units_and_for_the_whole_service() -> None:
    other = CELL._replace(server_id=3, type="clear")
    written(lambda made: made.push(CELL, 2, 30), lambda made: made.push(other, 1, 40))
    for model, at in ((Minute, CELL.at), (Hour, HOUR)):
        detail = model.objects.filter(grain=Grain.DETAIL).order_by("server_id")
        assert [(row.at, row.server_id, row.app_id, row.type, row.pushes) for row in detail] == [
            (at, 2, 4, "message", 2),
            (at, 3, 4, "clear", 1),
        ]
        whole = model.objects.filter(grain=Grain.CUSTOMER).order_by("-pushes")
        assert {(row.server_id, row.app_id, row.type) for row in whole} == {(0, 0, "")}
        assert [(row.pushes, row.handoff) for row in whole] == [(2, buckets.pack({30: 2})), (1, buckets.pack({40: 1}))]
    for service, at in ((ServiceMinute, CELL.at), (ServiceHour, HOUR)):
        (row,) = service.objects.all()
        assert (row.at, row.family, row.code, row.counts, row.pushes, row.acked) == (at, "apns", "sent", True, 3, 0)


def test_a_receipt_alone_is_a_row_without_a_push() -> None:
    written(lambda made: made.acked(CELL, 77))
    (row,) = Hour.objects.filter(grain=Grain.CUSTOMER)
    assert (row.pushes, row.acked, row.handoff, row.receipt) == (0, 1, [], buckets.pack({77: 1}))


def test_nothing_is_written_of_nothing() -> None:
    written()
    assert not ServiceMinute.objects.exists()


def test_minutes_of_an_hour_are_one_row_of_it_for_all_customers() -> None:
    later = CELL._replace(at=CELL.at + timedelta(minutes=1))
    written(lambda made: made.push(CELL, 1, 30), lambda made: made.push(later, 1, 30))
    assert ServiceMinute.objects.count() == 2
    assert [row.pushes for row in ServiceHour.objects.all()] == [2]


def test_it_is_written_once_and_read_four_times() -> None:
    written(lambda made: made.push(CELL, 1, 30))
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM delivery_minute), (SELECT count(*) FROM delivery_hour)")
        assert cursor.fetchone() == (1, 0)
    assert (Minute.objects.count(), Hour.objects.count()) == (2, 2)
