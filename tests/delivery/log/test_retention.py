"""How long the rollups are kept, and what an erasure takes out of them."""

from datetime import date, datetime, timedelta
from typing import Final

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from billing import customers
from delivery.log import erasing, partitions, retention
from delivery.models import Day, Grain, Hour, Minute, ServiceMinute
from delivery.rollups import compacting, rebuilding
from delivery.rollups.increments import Cell, Increments
from tests.delivery.rollups import comparing
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
TODAY: Final = date(2026, 9, 21)
MONTHLY: Final = (partitions.MINUTES, partitions.HOURS, partitions.DAYS)


@pytest.fixture(autouse=True)
def _retention(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RETENTION_DAYS = 10
    monkeypatch.setattr(compacting, "HOURS_CLOSE", frozenset(range(60)))


def count(customer: int, at: datetime) -> None:
    """Write a push of a customer into the rollups, merged for good."""
    made = Increments()
    made.push(Cell(at, customer, 2, 4, "apns", "message", "sent", "sent", "", counts=True), 1, 30)
    with transaction.atomic(), connection.cursor() as cursor:
        made.write(cursor)
    compacting.compact()


def partition_of(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT tableoid::regclass::text FROM {table} ORDER BY 1")  # noqa: S608
        return [name for (name,) in cursor.fetchall()]


def test_months_are_made_ahead_and_what_came_before_them_moves_in() -> None:
    count(1, HOUR)
    assert partition_of("delivery_minute") == ["delivery_minute_other"]
    made = partitions.make_partitions(date(2026, 9, 29), tables=MONTHLY)
    assert made == [f"delivery_{unit}_2026_{month}" for unit in ("minute", "hour", "day") for month in ("09", "10")]
    assert partition_of("delivery_minute") == ["delivery_minute_2026_09"]
    assert partitions.make_partitions(date(2026, 9, 28), tables=MONTHLY) == []
    count(1, datetime.fromisoformat("2026-10-01T00:00Z"))
    assert partition_of("delivery_minute") == ["delivery_minute_2026_09", "delivery_minute_2026_10"]


@pytest.mark.parametrize(
    ("today", "dropped"),
    [("2028-10-31", []), ("2028-11-01", ["delivery_hour_2026_09"]), ("2029-01-01", ["delivery_hour_2026_09"])],
)
def test_a_month_is_dropped_after_twenty_five_more(today: str, dropped: list[str]) -> None:
    partitions.make_partitions(date(2026, 9, 10), tables=(partitions.HOURS,))
    assert partitions.drop_partitions(date.fromisoformat(today), tables=(partitions.HOURS,)) == (dropped, [])


def test_months_of_the_turn_of_a_year() -> None:
    assert partitions.MINUTES.bounds(date(2026, 12, 31)) == (
        datetime.fromisoformat("2026-12-01T00:00Z"),
        datetime.fromisoformat("2027-01-01T00:00Z"),
    )
    assert partitions.months_before(date(2027, 1, 31), 25) == date(2024, 12, 1)


def test_no_foreign_table_is_taken_for_a_partition_that_is_past() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE delivery_archive PARTITION OF delivery_delivery "
            "FOR VALUES FROM ('2001-01-01') TO ('2002-01-01')"
        )
    assert partitions.drop_partitions(TODAY) == ([], [])


def test_receipts_have_days_as_the_log_has() -> None:
    names = partitions.make_partitions(TODAY, ahead=0, tables=(partitions.RECEIPTS,))
    assert names == ["delivery_receipt_2026_09_20", "delivery_receipt_2026_09_21"]
    assert partitions.drop_partitions(TODAY + timedelta(days=10), tables=(partitions.RECEIPTS,)) == (names[:1], [])


def test_minutes_are_kept_with_an_sla_and_else_no_longer_than_the_log() -> None:
    ids = [customers.add(name=f"Of {offer}", offer=offer).row.pk for offer in ("hpns", "eas", "tpns")]
    unknown = max(ids) + 1000
    last = retention.minutes_since(TODAY)
    for customer in (*ids, unknown):
        count(customer, last - timedelta(minutes=1))
        count(customer, last)
    assert retention.drop_counts(TODAY) == 2 * 2 + 2 + 2 + 1, "minutes of two, hours and days of one, a minute of all"
    for customer in (*ids, unknown):
        kept = [last] if customer in (ids[2], unknown) else [last - timedelta(minutes=1), last]
        assert (
            list(Minute.objects.filter(customer_id=customer, grain=0).order_by("at").values_list("at", flat=True))
            == kept
        )
        hours = Hour.objects.filter(customer_id=customer, grain=Grain.CUSTOMER).count()
        assert hours == (1 if customer == unknown else 2)
        assert Day.objects.filter(customer_id=customer, grain=Grain.CUSTOMER).count() == hours
    assert {row.at for row in ServiceMinute.objects.all()} == {last}
    assert retention.drop_counts(TODAY) == 0


def test_what_is_erased_of_a_customer_is_what_the_log_has_no_more() -> None:
    for number, customer in enumerate((1, 1, 7)):
        write(f"t-{number}", 100 * number, SENT, customer=customer, ended=0.1 * number)
    span = HOUR, HOUR + timedelta(hours=1)
    rebuilding.rebuild(*span)
    count(1, HOUR - timedelta(days=600))
    with connection.cursor() as cursor:  # as long after, when all customers' minutes are gone
        cursor.execute("DELETE FROM delivery_service_minute WHERE at < %s", [HOUR])
    assert erasing.erase(1) == 2
    assert not Minute.objects.filter(customer_id=1).exists()
    assert not Hour.objects.filter(customer_id=1).exists()
    assert not Day.objects.filter(customer_id=1).exists()
    erased = comparing.everything()
    compacting.compact()
    assert comparing.everything() == erased
    rebuilding.rebuild(*span)
    assert comparing.everything() == erased
    assert sum(sums[0] for sums in erased["delivery_service_minute"].values()) == 1
