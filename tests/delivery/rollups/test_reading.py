"""What is read from the rollups."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delivery.outcomes import judge
from delivery.rollups import buckets, rebuilding
from delivery.rollups.reading import Counted, counted, split
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


@pytest.mark.parametrize(("first", "last"), [(0, 300), (7, 331), (59, 240), (60, 241), (50, 110), (0, 179)])
def test_a_sum_by_the_minute_is_that_of_its_minutes_though_whole_hours_are_read_as_such(first: int, last: int) -> None:
    for number in range(40):
        write(f"more{number}", number * 540, SENT, ended=0.1 * number, server=2 + number % 3)
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=6))
    minute = timedelta(minutes=1)
    start, end = HOUR + first * minute, HOUR + last * minute
    by_minute = counted(start, end, by=("server_id",), step=minute, unit=minute, latencies=True)
    for whole in counted(start, end, by=("server_id",), unit=minute, latencies=True):
        same = [row for row in by_minute if row.of == whole.of]
        handoff: buckets.Histogram = {}
        for row in same:
            buckets.add(handoff, buckets.pack(row.handoff))
        assert (whole.at, whole.pushes, whole.handoff) == (None, sum(row.pushes for row in same), handoff)
    assert sums(counted(start, end, unit=minute)) == [(None, sum(row.pushes for row in by_minute))]


@pytest.mark.parametrize(
    ("first", "last", "days"), [(10, 58, 2), (34, 82, 2), (11, 57, 0), (10, 82, 3), (0, 90, 3), (33, 58, 0)]
)
@pytest.mark.parametrize("latencies", [False, True])
def test_a_sum_by_the_hour_is_that_of_its_hours_though_whole_days_are_read_as_such(
    first: int, last: int, days: int, latencies: bool
) -> None:
    for number in range(60):
        write(f"more{number}", number * 5400, SENT, ended=0.1 * number, server=2 + number % 3)
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=90))
    hour = timedelta(hours=1)
    start, end = HOUR + first * hour, HOUR + last * hour
    by_hour = counted(start, end, by=("server_id",), step=hour, unit=hour, latencies=True)
    with CaptureQueriesContext(connection) as queries:
        found = counted(start, end, by=("server_id",), unit=hour, latencies=latencies)
    assert any("delivery_day" in each["sql"] for each in queries) == (days > 1)
    assert sorted(row.of["server_id"] for row in found) == [2, 3, 4]
    for whole in found:
        same = [row for row in by_hour if row.of == whole.of]
        handoff: buckets.Histogram = {}
        for row in same:
            buckets.add(handoff, buckets.pack(row.handoff))
        assert (whole.at, whole.pushes, whole.handoff) == (
            None,
            sum(row.pushes for row in same),
            handoff if latencies else {},
        )


@pytest.mark.parametrize(("zone", "by_day"), [("UTC", True), ("Europe/Berlin", False)])
def test_steps_that_are_days_are_the_same_though_whole_days_of_utc_are_read_as_such(zone: str, by_day: bool) -> None:
    for number in range(60):
        write(f"more{number}", number * 5400, SENT, ended=0.1 * number)
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=90))
    hour, day = timedelta(hours=1), timedelta(days=1)
    start, end, of = HOUR + 3 * hour, HOUR + 87 * hour, ZoneInfo(zone)
    by_hour = counted(start, end, by=("code",), step=hour, unit=hour)
    with CaptureQueriesContext(connection) as queries:
        found = counted(start, end, by=("code",), step=day, unit=hour, zone=of)
    assert any("delivery_day" in each["sql"] for each in queries) == by_day
    expected: dict[tuple[str, str], int] = {}
    for row in by_hour:
        assert row.at
        key = f"{row.at.astimezone(of):%Y-%m-%d 00:00}", row.of["code"]
        expected[key] = expected.get(key, 0) + row.pushes
    assert [(f"{row.at.astimezone(of):%Y-%m-%d %H:%M}", row.of["code"], row.pushes) for row in found if row.at] == [
        (*key, pushes) for key, pushes in expected.items()
    ]


@pytest.mark.parametrize(("unit", "first", "last"), [("minutes", 7, 331), ("hours", 3, 87)])
def test_a_split_is_each_of_its_dimensions_counted_alone(unit: str, first: int, last: int) -> None:
    for number in range(60):
        verdict = SENT if number % 4 else judge.refusal("no_app")
        write(f"more{number}", number * 5400, verdict, server=2 + number % 3, app=4 + number % 2)
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=90))
    one = timedelta(**{unit: 1})
    start, end, names = HOUR + first * one, HOUR + last * one, ("server_id", "app_id", "type")
    found = split(start, end, names, outcomes=("sent", "gone"), unit=one)
    for name in names:
        expected: dict[object, list[int]] = {}
        for row in counted(start, end, by=(name, "outcome"), unit=one):
            sums_of = expected.setdefault(row.of[name], [0, 0, 0, 0])
            sums_of[0] += row.pushes
            sums_of[1] += row.acked
            sums_of[2] += row.pushes * (row.of["outcome"] == "sent")
        assert found[name] == expected


def test_moments_and_latencies_are_told_in_one_look_of_the_outcomes_that_are_wanted_alone() -> None:
    step, failed = timedelta(minutes=30), ("failed", "refused")
    of: dict[str, Any] = {"by": ("outcome",), "step": step, "moments_of": failed, "latencies": True}
    found = {row.of["outcome"]: row for row in counted(HOUR, END, latencies_of=("sent",), **of)}
    sent, refused = found.pop("sent"), next(iter(found.values()))
    assert sent.handoff == {buckets.bucket_of(200): 1, buckets.bucket_of(400): 1}
    assert not sent.moments
    assert not refused.handoff
    assert len(refused.moments) == 1


def test_a_long_sum_by_the_minute_needs_no_minute_of_its_whole_hours() -> None:
    minute = timedelta(minutes=1)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM delivery_minute")
    assert sums(counted(HOUR - 90 * minute, END + 90 * minute, unit=minute)) == [(None, 3)]


def test_sums_of_several_customers_are_told_apart_and_none_of_none() -> None:
    write("d", 30, SENT, customer=9)
    write("e", 40, SENT, customer=10)
    rebuilding.rebuild(HOUR, END)
    by = ("customer_id",)
    assert sorted(sums(counted(HOUR, END, by=by, customer_id__in=[9, 10]))) == [(None, 9, 1), (None, 10, 1)]
    assert sorted(sums(counted(HOUR, END, by=by, customer_id__in=[*range(9, 200)]))) == [(None, 9, 1), (None, 10, 1)]
    assert counted(HOUR, END, by=by, customer_id__in=[]) == []
    assert sums(counted(HOUR, END, customer_id__in=[])) == [(None, 0)]


def test_a_filter_without_a_value_is_refused() -> None:
    with pytest.raises(TypeError, match="server_id"):
        counted(HOUR, END, server_id=None)


def test_days_of_a_zone_have_23_to_25_hours_and_are_told_by_when_they_begin() -> None:
    zone = ZoneInfo("Europe/Berlin")
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    for hours in range(60):
        write(f"s{hours}", hours * 3600 + (spring - HOUR).total_seconds(), SENT)
    rebuilding.rebuild(spring, spring + timedelta(hours=60))
    days = counted(spring, spring + timedelta(hours=60), step=timedelta(days=1), unit=timedelta(hours=1), zone=zone)
    # The 29th began at 23:00 UTC and the 30th at 22:00 UTC: it had 23 hours.
    assert [(row.at and row.at.isoformat(), row.pushes) for row in days] == [
        ("2026-03-27T23:00:00+00:00", 11),
        ("2026-03-28T23:00:00+00:00", 23),
        ("2026-03-29T22:00:00+00:00", 24),
        ("2026-03-30T22:00:00+00:00", 2),
    ]
