"""What is read from the rollups."""

from datetime import timedelta

import pytest

from delivery.outcomes import judge
from delivery.rollups import buckets, rebuilding
from delivery.rollups.reading import Counted, counted
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
END = HOUR + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _pushes() -> None:
    write("a", 10, SENT, ended=0.2)
    write("b", 20, SENT, ended=0.4, server=3)
    write("c", 700, judge.refusal("no_app"), platform="android_rn-v2")
    rebuilding.rebuild(HOUR, END)


def sums(found: list[Counted]) -> list[tuple[object, ...]]:
    """Of each: its step in minutes, its dimensions, its pushes."""
    return [
        ((row.at - HOUR) // timedelta(minutes=1) if row.at else None, *row.of.values(), row.pushes) for row in found
    ]


@pytest.mark.parametrize("unit", [timedelta(minutes=1), timedelta(hours=1)])
def test_without_dimensions_there_is_one_sum_in_either_unit(unit: timedelta) -> None:
    assert sums(counted(HOUR, END, unit=unit)) == [(None, 3)]
    assert sums(counted(HOUR, END, unit=unit, latencies=True)) == [(None, 3)]


def test_sums_are_told_apart_by_what_is_asked_for() -> None:
    assert sorted(sums(counted(HOUR, END, by=("code",)))) == [(None, "no_app", 1), (None, "sent", 2)]
    assert sorted(sums(counted(HOUR, END, by=("server_id",), family="apns"))) == [(None, 2, 1), (None, 3, 1)]


def test_steps_without_a_push_are_left_out_and_latencies_add_up() -> None:
    found = counted(HOUR, END, step=timedelta(minutes=10), latencies=True)
    assert sums(found) == [(0, 2), (10, 1)]
    assert found[0].handoff == {buckets.bucket_of(200): 1, buckets.bucket_of(400): 1}


def test_the_whole_service_has_no_customer() -> None:
    write("d", 30, SENT, customer=9)
    rebuilding.rebuild(HOUR, END)
    assert sorted(sums(counted(HOUR, END, service=True, by=("family",)))) == [(None, "apns", 3), (None, "fcm", 1)]
