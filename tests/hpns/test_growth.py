"""The generator of bin/bench growth: rows as the service writes them, in the shape that was planned."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from delivery.devices import rebuilding as devices_rebuilding
from delivery.devices.reading import silent
from delivery.log.partitions import drop_partitions
from delivery.models import Delivery, Device, DeviceCount, Receipt
from delivery.rollups.reading import counted
from delivery.rollups.rebuilding import rebuild
from hpns.local.problem import ProblemError
from tests.bench.growth import filling, report, run
from tests.bench.growth.plan import Plan
from tests.delivery.rollups import comparing

PLAN = Plan(rows=20_000, customers=40, days=4, end=datetime(2026, 9, 24, 13, 20, tzinfo=UTC))


def test_days_share_the_rows_by_the_hours_that_they_have() -> None:
    days = PLAN.days_of()
    assert sum(day.rows for day in days) == PLAN.rows
    assert [day.start.day for day in days] == [21, 22, 23, 24]
    assert days[-1].end == PLAN.end
    assert days[-1].rows < days[-2].rows


def test_the_largest_customer_has_a_fifth() -> None:
    assert PLAN.weights()[0] == 0.2
    assert sum(PLAN.weights()) == pytest.approx(1)


@pytest.mark.django_db
def test_a_small_service_is_filled_with_posts_devices_failures_and_receipts() -> None:
    said: list[str] = []
    tenants = filling.fill(PLAN, said.append)
    start, end = PLAN.days_of()[0].start, PLAN.end
    assert Delivery.objects.count() == PLAN.rows
    assert (
        Delivery.objects.filter(accepted_at__gte=start, accepted_at__lt=end + timedelta(seconds=1)).count() == PLAN.rows
    )
    largest = Delivery.objects.filter(customer_id=tenants[0].customer)
    assert 0.15 < largest.count() / PLAN.rows < 0.3
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE n > 1), count(*) FILTER (WHERE n > 20) FROM "
            "(SELECT count(*) AS n FROM delivery_delivery WHERE post_id IS NOT NULL GROUP BY post_id) AS posts"
        )
        several, many = cursor.fetchone()
        cursor.execute("SELECT count(DISTINCT trace), count(DISTINCT device) FROM delivery_delivery")
        traces, devices = cursor.fetchone()
    assert several > 500
    assert many > 0
    assert traces == PLAN.rows
    assert 200 < devices < 2_000
    assert Device.objects.values("device").distinct().count() == devices
    days = [day.start.date() for day in PLAN.days_of()]
    assert [day for day in days if devices_rebuilding.compare(day)] == []
    assert silent(end, 2).count() > 3
    assert DeviceCount.objects.filter(server_id=0).count() == len(tenants)
    acked = Receipt.objects.count()
    assert 0.5 < acked / PLAN.rows < 0.8
    (total,) = counted(start - timedelta(days=1), end)
    assert (total.pushes, total.acked > 0.98 * acked) == (PLAN.rows, True)
    codes = {row.of["code"] for row in counted(start - timedelta(days=1), end, by=("code",))}
    assert {"sent", "apns_unregistered", "fcm_unregistered"} <= codes
    assert len(codes) > 6
    assert said[-1].startswith("Filled")
    counts = comparing.everything()
    rebuild(start, end.replace(minute=0) + timedelta(hours=1))
    assert comparing.everything() == counts


@pytest.mark.django_db
def test_its_days_are_partitions_that_retention_knows() -> None:
    plan = PLAN._replace(rows=200, days=2)
    filling.fill(plan, lambda _: None)
    dropped, _ = drop_partitions(plan.end.date() + timedelta(days=1), 1)
    assert "delivery_2026_09_23" in dropped
    assert set(Delivery.objects.values_list("accepted_at__day", flat=True)) == {24}


def test_without_room_on_the_disk_nothing_is_begun(tmp_path) -> None:  # type: ignore[no-untyped-def]
    options = run.parse(["--rows", str(10**12), "--state", str(tmp_path / "state")])
    with pytest.raises(ProblemError, match="Too little disk"):
        run.work(options)


def test_the_table_says_what_was_not_asked_for() -> None:
    found = report.Growth(1_000, 10, 2, pages=[report.Page("home", "large", 30, 12, 20, 9), report.Page("x", "small")])
    found.pages[1].skipped = "there is no such page"
    text = report.table(found)
    assert "| home | large | 12 | 20 | 0 | 9 |" in text
    assert "Not asked for: x (there is no such page)." in text


def test_a_percentile_is_one_of_the_values() -> None:
    assert report.percentile(range(1, 31), 0.95) == 29
    assert report.percentile([5], 0.5) == 5
