"""Rows of pushes that a provider refused before its incident was known: put down to it, and counted so, once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import connections

from delivery.log import reattributing, rows, writing
from delivery.log.reattributing import Incident
from delivery.models import Delivery
from delivery.outcomes import judge
from delivery.outcomes.verdict import ANSWERED, Attempt, Verdict
from delivery.protocol.wire import Push
from delivery.providers import table
from delivery.rollups import compacting, rebuilding
from delivery.rollups.reading import counted
from delivery.worker import incident_corrections
from tests.delivery.rollups import comparing
from tests.delivery.rollups.pushes import HOUR, SENT

pytestmark = pytest.mark.django_db

BEGUN = HOUR + timedelta(seconds=100)
SPAN = (BEGUN - timedelta(seconds=15), BEGUN + timedelta(seconds=300))
REFUSED = table.judge(Attempt("apns", "api.example", 403, "InvalidProviderToken", ANSWERED, 1.0, 5))
TOPIC = table.judge(Attempt("apns", "api.example", 400, "BadTopic", ANSWERED, 1.0, 5))
GOOGLES = table.judge(Attempt("fcm", "fcm.example", 401, "UNAUTHENTICATED", ANSWERED, 1.0, 5))


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


def put(
    store: redis.Redis, trace: str, second: float, verdict: Verdict, *, app: int = 4, count: int = 1, **more: Any
) -> None:
    """A row as whoever sends leaves it: of a push that came so many seconds after the incident began."""
    at = BEGUN.timestamp() + second
    push = Push(**{"platform": "apple_rn-v2", "type": "message", "device_id": "d", **more})
    store.rpush(rows.ROWS, rows.row(trace, at, at + 0.2, "1\t2\t5", app, push, "f" * 32, 700, verdict, (), count))


def incident(*, apps: tuple[int, ...] = ()) -> Incident:
    return Incident("apns", BEGUN, incident_corrections.key_faults("apns"), apps)


def whose() -> dict[str, str]:
    return dict(Delivery.objects.values_list("trace", "attribution"))


def assert_counted_as_the_log_says() -> None:
    """The rollups are what counting the log anew makes of them."""
    before = comparing.everything()
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=1))
    assert comparing.everything() == before


def test_what_was_refused_for_its_key_is_the_providers_and_nothing_else_changes(store: redis.Redis) -> None:
    put(store, "refused", 1, REFUSED)
    put(store, "operators", 2, judge.attributed(REFUSED, True), app=7)
    put(store, "flood", 3, REFUSED, count=40)
    put(store, "before", -60, REFUSED)
    put(store, "sent", 4, SENT)
    put(store, "topic", 4, TOPIC)
    put(store, "google", 4, GOOGLES, platform="android_rn-v2")
    put(store, "revoked", 4, REFUSED, app=9)
    writing.write(store)
    assert reattributing.correct(incident(apps=(9,)), *SPAN) == 3
    assert whose() == {
        **dict.fromkeys(("refused", "operators", "flood", "sent"), "provider"),
        **dict.fromkeys(("before", "topic", "google", "revoked"), "customer"),
    }
    assert not Delivery.objects.filter(trace__in=("refused", "operators", "flood"), counts=True).exists()
    assert Delivery.objects.get(trace="sent").counts
    assert_counted_as_the_log_says()


@pytest.mark.parametrize("merged_before", [False, True])
def test_each_is_counted_once_whenever_the_counts_are_merged_and_a_second_time_changes_nothing(
    store: redis.Redis, merged_before: bool
) -> None:
    put(store, "a", 1, REFUSED)
    put(store, "b", 2, SENT)
    writing.write(store)
    if merged_before:
        compacting.compact()
    assert reattributing.correct(incident(), *SPAN) == 1
    assert reattributing.correct(incident(), *SPAN) == 0
    compacting.compact()
    found = counted(HOUR, HOUR + timedelta(hours=1), by=("code", "attribution"), service=True)
    assert {(row.of["code"], row.of["attribution"]): row.pushes for row in found} == {
        ("sent", "provider"): 1,
        ("apns_invalid_provider_token", "provider"): 1,
    }
    assert_counted_as_the_log_says()


def test_no_reader_sees_what_was_corrected_to_nothing(store: redis.Redis) -> None:
    put(store, "a", 1, REFUSED)
    writing.write(store)
    reattributing.correct(incident(), *SPAN)
    for more in ({"by": ("attribution",)}, {"by": ("attribution",), "step": timedelta(minutes=5)}):
        found = counted(HOUR, HOUR + timedelta(hours=1), service=True, **more)
        assert [row.of["attribution"] for row in found] == ["provider"]
    (whole,) = counted(HOUR - timedelta(hours=2), HOUR, service=True)
    assert whole.pushes == 0, "a span without pushes has its one row all the same"


@pytest.mark.django_db(transaction=True)
def test_while_another_writes_the_log_it_is_left_for_later(store: redis.Redis) -> None:
    put(store, "a", 1, REFUSED)
    writing.write(store)
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('delivery log'))")
            assert reattributing.correct(incident(), *SPAN) is None
        other.rollback()
    finally:
        other.close()
    assert reattributing.correct(incident(), *SPAN) == 1
    comparing.empty()
    Delivery.objects.all().delete()


def test_the_moments_of_an_incident_are_read_from_valkey(store: redis.Redis) -> None:
    now = datetime.now(UTC).timestamp()
    assert incident_corrections.write(store) == 0
    ago = BEGUN.timestamp() - now  # and each came so many seconds before this moment
    put(store, "a", -0.9 - ago, REFUSED)
    writing.write(store)
    store.mset({"credentials:refused:apns:since": now + 4, "credentials:refused:apns:begun": now - 1})
    assert incident_corrections.write(store) == 1
    put(store, "b", -0.5 - ago, REFUSED)  # by a process that had not looked
    writing.write(store)
    assert incident_corrections.write(store) == 1
    assert whose() == {"a": "provider", "b": "provider"}
    store.delete("credentials:refused:apns:since")
    put(store, "c", -0.4 - ago, REFUSED)
    writing.write(store)
    assert incident_corrections.write(store) == 0
