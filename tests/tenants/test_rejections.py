"""Rejected requests by key, code and address: added up, bounded, and forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from tenants import rejections, services
from tenants.models import Rejection, ServerKey
from tenants.rejections import ADDRESSES_MAX, News
from tests.tenants.conftest import Acme

NOW = 1_700_000_000
DAY = 86_400


def news(key: ServerKey, address: str = "192.0.2.7", **members: Any) -> News:
    """One rejection of a key from an address."""
    return News(key.pk, "wrong_network", address, 1, NOW, NOW, True, "TLSv1.3")._replace(**members)


def test_what_comes_again_is_added_up_with_the_first_time_and_the_last(acme: Acme) -> None:
    rejections.record([news(acme.key, requests=3, first_at=NOW - 10)])
    rejections.record([news(acme.key), news(acme.key, last_at=NOW + 60, encrypted=False, tls="")])
    row = Rejection.objects.get()
    assert (row.count, row.encrypted, row.tls) == (5, False, "")
    assert row.first_at == datetime.fromtimestamp(NOW - 10, UTC)
    assert row.last_at == datetime.fromtimestamp(NOW + 60, UTC)


def test_news_that_comes_late_changes_how_the_last_one_came_no_more(acme: Acme) -> None:
    rejections.record([news(acme.key)])
    rejections.record([news(acme.key, first_at=NOW - 60, last_at=NOW - 60, encrypted=False, tls="")])
    row = Rejection.objects.get()
    assert (row.count, row.encrypted, row.tls) == (2, True, "TLSv1.3")
    assert row.last_at == datetime.fromtimestamp(NOW, UTC)


def test_after_a_day_without_any_they_are_counted_anew(acme: Acme) -> None:
    rejections.record([news(acme.key, requests=400)])
    later = NOW + DAY + 1
    rejections.record([news(acme.key, first_at=later, last_at=later)])
    row = Rejection.objects.get()
    assert (row.count, row.first_at) == (1, datetime.fromtimestamp(later, UTC))


def test_addresses_that_somebody_makes_up_are_counted_together_and_hide_no_known_one(acme: Acme) -> None:
    rejections.record([news(acme.key, f"192.0.2.{number}") for number in range(100)])
    assert Rejection.objects.count() == ADDRESSES_MAX + 1
    assert Rejection.objects.get(address="").count == 100 - ADDRESSES_MAX
    rejections.record([news(acme.key, "192.0.2.0"), news(acme.key, "192.0.2.99"), news(acme.key, "192.0.2.98")])
    assert Rejection.objects.get(address="192.0.2.0").count == 2
    assert Rejection.objects.get(address="").count == 102 - ADDRESSES_MAX
    assert Rejection.objects.count() == ADDRESSES_MAX + 1


def test_a_key_that_is_gone_is_left_out_and_the_others_are_noted(acme: Acme) -> None:
    gone = services.key_add(server=acme.server).row
    entries = [news(gone), news(acme.key)]
    gone.delete()
    rejections.record(entries)
    assert [row.key for row in Rejection.objects.all()] == [acme.key]
    rejections.record([])


def test_what_is_older_than_the_log_is_forgotten(acme: Acme, settings: Any) -> None:
    old = int((timezone.now() - timedelta(days=settings.RETENTION_DAYS, minutes=1)).timestamp())
    now = int(timezone.now().timestamp())
    rejections.record([news(acme.key, last_at=old, first_at=old), news(acme.key, "", last_at=now, first_at=old)])
    assert rejections.forget() == 1
    assert [row.address for row in Rejection.objects.all()] == [""]
