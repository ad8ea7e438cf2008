"""Rollups that are counted anew out of the log."""

from datetime import timedelta

import pytest
from django.db import connection

from delivery.models import Grain, Hour, Minute, ServiceHour
from delivery.outcomes import judge
from delivery.rollups import buckets, rebuilding
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db


def test_pushes_are_counted_by_minute_and_hour_in_both_grains_and_for_the_whole_service() -> None:
    write("a", 10, SENT, ended=0.2)
    write("b", 20, SENT, ended=0.4, server=3)
    write("c", 70, judge.refusal("no_app"), platform="android_rn-v2", type="gossip")
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=1))
    detail = Minute.objects.filter(grain=Grain.DETAIL).order_by("at", "server_id")
    assert [(row.at.minute, row.server_id, row.family, row.type, row.code, row.pushes) for row in detail] == [
        (0, 2, "apns", "message", "sent", 1),
        (0, 3, "apns", "message", "sent", 1),
        (1, 2, "fcm", "other", "no_app", 1),
    ]
    whole = Minute.objects.filter(grain=Grain.CUSTOMER).order_by("at")
    assert [(row.at.minute, row.server_id, row.type, row.pushes) for row in whole] == [(0, 0, "", 2), (1, 0, "", 1)]
    assert sum(row.pushes for row in Hour.objects.filter(grain=Grain.CUSTOMER)) == 3
    assert sum(row.pushes for row in ServiceHour.objects.all()) == 3
    assert whole[0].handoff == buckets.pack({buckets.bucket_of(200): 1, buckets.bucket_of(400): 1})


def test_a_receipt_counts_once_with_its_latency() -> None:
    write("a", 10, SENT, ended=0.2)
    with connection.cursor() as cursor:
        for number, repeated in ((1, False), (2, True)):
            cursor.execute(
                "INSERT INTO delivery_receipt (id, received_at, customer_id, server_id, ack_id, type, platform, trace, "
                "push_at, repeated) VALUES (%s, %s, 1, 2, 'x', 'message', 'ios', 'a', %s, %s)",
                [str(number), HOUR + timedelta(seconds=10 + 2 * number), HOUR + timedelta(seconds=10), repeated],
            )
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=1))
    (row,) = Hour.objects.filter(grain=Grain.CUSTOMER)
    assert (row.pushes, row.acked, row.receipt) == (1, 1, buckets.pack({buckets.bucket_of(2000): 1}))


def test_a_second_time_changes_nothing() -> None:
    write("a", 10, SENT, ended=0.2)
    for _ in range(2):
        rebuilding.rebuild(HOUR, HOUR + timedelta(hours=1))
    assert [row.pushes for row in Minute.objects.filter(grain=Grain.DETAIL)] == [1]


def test_bounds_that_are_no_whole_hours_are_rejected() -> None:
    with pytest.raises(ValueError, match="whole hours"):
        rebuilding.rebuild(HOUR + timedelta(minutes=1), HOUR + timedelta(hours=1))


def test_a_clock_that_was_set_by_years_meanwhile_does_not_keep_the_hour_from_being_counted() -> None:
    for trace, years in (("a", -3), ("b", 3)):
        write(trace, 10, SENT, ended=years * 31_557_600)
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=1))
    (row,) = Hour.objects.filter(grain=Grain.CUSTOMER)
    assert (row.pushes, row.handoff) == (2, buckets.pack({0: 1, len(buckets.EDGES): 1}))
