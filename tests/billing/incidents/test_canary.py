"""The canary: one row for each minute and provider, whoever pushes and however often, whatever is away meanwhile."""

import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import DatabaseError, connection
from pytest_django import Settings

from billing import customers
from billing.incidents import canary, canary_state
from billing.models import PAGES, CanaryMinute
from tenants import keys
from tenants.models import Customer, ServerKey
from tenants.problem import ProblemError
from tests.billing.incidents.canary_world import DEVICES, MINUTE, NOW, OK, PAGE, Network, beats, fail, since
from tests.delivery.rollups import pushes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ready(settings: Settings, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary that is set up, at a time of the test's."""
    settings.CANARY_DEVICES = DEVICES
    settings.PUBLIC_URL = "https://push.example.com"
    monkeypatch.setattr(canary, "_known", {})
    clock(monkeypatch, NOW)
    canary.setup()


def clock(monkeypatch: pytest.MonkeyPatch, now: Any) -> None:
    monkeypatch.setattr(canary, "now_of", lambda _store: now)


def rows() -> list[tuple[str, bool, str, str]]:
    return list(CanaryMinute.objects.order_by("at", "id").values_list("family", "good", "why", "whose"))


def test_it_pushes_to_each_provider_through_the_public_address_with_its_own_key_and_looks_at_the_pages(
    valkey: redis.Redis,
) -> None:
    network = Network()
    assert canary.run(valkey, network) == 3
    assert rows() == [("apns", True, "", ""), ("fcm", True, "", ""), (PAGES, True, "", "")]
    key = canary.key()
    assert key is not None
    assert [each.url for each in network.sent] == [
        *[f"https://push.example.com/t/{key}/api/v1/send_push"] * 2,
        "https://push.example.com/",
    ]
    assert [json.loads(each.body)["device_id"] for each in network.sent[:2]] == ["ca" * 32, "canary:token"]


def test_setting_it_up_again_changes_nothing_and_a_revoked_key_gets_a_successor(settings: Settings) -> None:
    first = canary.key()
    assert not canary.setup().changed
    ServerKey.objects.update(revoked_at=NOW)
    assert canary.key() is None
    assert canary.setup().changed
    second = canary.key()
    assert second not in (first, None)
    assert keys.parse(str(second)) is not None
    row = ServerKey.objects.get(prefix=str(second)[3:11])
    assert bytes(row.digest) == keys.digest(str(second), settings.HASH_KEY)


def test_a_customer_who_has_its_name_already_is_never_made_the_canary(settings: Settings) -> None:
    Customer.objects.filter(canary=True).update(canary=False)
    with pytest.raises(ProblemError, match="--slug"):
        canary.setup()
    assert not Customer.objects.filter(canary=True).exists()
    assert canary.setup(slug="our-canary").changed


def test_two_beats_at_once_push_once(valkey: redis.Redis) -> None:
    network = Network()
    assert [canary.run(valkey, network), canary.run(valkey, network)] == [3, 0]
    assert len(network.sent) == 3
    # And where both have pushed all the same, the first row stays.
    valkey.delete(*valkey.keys("canary:2*"))
    canary.run(valkey, Network(lambda _: fail("queue_down away (trace x)")))
    assert [good for _, good, _, _ in rows()] == [True] * 3


def test_a_clock_that_jumps_doubles_no_minute_and_hides_no_gap(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for jump in (timedelta(0), timedelta(days=90), -timedelta(days=90), MINUTE, timedelta(0)):
        clock(monkeypatch, NOW + jump)
        canary.run(valkey, Network())
    found = canary.minutes(NOW - 2 * MINUTE, NOW + 3 * MINUTE)
    assert list(found.values()) == ["missing", "missing", "good", "good", "missing"]


def test_without_phones_or_a_key_nothing_is_pushed(valkey: redis.Redis, settings: Settings) -> None:
    settings.CANARY_DEVICES = []
    assert canary.run(valkey, Network()) == 0
    settings.CANARY_DEVICES = DEVICES
    ServerKey.objects.update(revoked_at=NOW)
    assert canary.run(valkey, Network()) == 0
    assert rows() == []


def test_what_is_bad_says_why_and_whose_it_is(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = OK._replace(status=0, body=b"", problem="unreachable: ConnectionRefusedError")
    answers = (
        (unreachable, "unreachable: ConnectionRefusedError", "ours"),
        (OK._replace(status=502), "status 502", "ours"),
        (OK._replace(body=b"<html>hello"), "the answer is no push proxy's", "ours"),
        (fail("queue_down the queue is away (trace x)"), "queue_down", "ours"),
        (OK._replace(seconds=5.0), "late", "ours"),
        (fail("suspended the account is suspended"), "suspended", "customer"),
    )
    for number, (answer, why, whose) in enumerate(answers):
        CanaryMinute.objects.all().delete()
        clock(monkeypatch, NOW + number * MINUTE)
        canary.run(valkey, Network(lambda _, answer=answer: answer, PAGE._replace(status=503)))  # type: ignore[misc]
        assert rows() == [("apns", False, why, whose), ("fcm", False, why, whose), (PAGES, False, "status 503", "ours")]


def settled(valkey: redis.Redis, verdict: Any, ended: float) -> tuple[bool, str, str]:
    """The row of a push that was late, once the log knows that it ended so."""
    network = Network(lambda _: OK._replace(seconds=5.0))
    canary.run(valkey, network)
    ack = json.loads(network.sent[0].body)["ack_id"]
    pushes.write("0123456789ab-1", (NOW - pushes.HOUR).total_seconds(), verdict, ended=ended, ack_id=ack)
    canary.settle(NOW + MINUTE)
    row = CanaryMinute.objects.get(family="apns")
    assert row.settled
    return row.good, row.why, row.whose


def test_a_late_push_that_was_handed_off_within_a_minute_is_good(valkey: redis.Redis) -> None:
    assert settled(valkey, pushes.SENT, 59.0) == (True, "", "")


def test_one_that_took_longer_is_not(valkey: redis.Redis) -> None:
    assert settled(valkey, pushes.SENT, 61.0) == (False, "sent", "provider")


def test_what_the_provider_has_failed_is_the_providers_and_no_bad_minute(valkey: redis.Redis) -> None:
    verdict = pushes.table.verdict_of("apns_internal_server_error")
    assert verdict is not None
    assert settled(valkey, verdict, 1.0) == (False, verdict.code, verdict.attribution)
    CanaryMinute.objects.filter(family="fcm").delete()
    assert canary.minutes(NOW, NOW + MINUTE) == {NOW: "good" if verdict.attribution == "provider" else "bad"}


def test_a_push_that_the_log_never_hears_of_stays_ours(valkey: redis.Redis) -> None:
    canary.run(valkey, Network(lambda _: fail("queue_down away")))
    canary.settle(NOW + timedelta(minutes=14))
    assert CanaryMinute.objects.filter(settled=False).count() == 2
    canary.settle(NOW + timedelta(minutes=16))
    assert not CanaryMinute.objects.filter(settled=False).exists()
    assert canary.minutes(NOW, NOW + MINUTE) == {NOW: "bad"}


def test_minutes_are_good_bad_or_missing_and_a_look_at_the_pages_alone_is_no_push() -> None:
    beats([NOW])
    beats([NOW + MINUTE], good=False)
    beats([NOW + 2 * MINUTE], good=False, whose="provider")
    beats([NOW + 3 * MINUTE])
    CanaryMinute.objects.filter(at=NOW + 3 * MINUTE).exclude(family=PAGES).delete()
    assert list(canary.minutes(NOW, NOW + 5 * MINUTE).values()) == ["good", "bad", "good", "missing", "missing"]
    assert canary.minutes(NOW, NOW) == {}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_leaves_no_gap(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    canary.run(valkey, Network())

    def away(*_args: Any, **_more: Any) -> None:
        raise DatabaseError("away")

    clock(monkeypatch, NOW + MINUTE)
    nowhere = connection.execute_wrapper(lambda execute, sql, params, many, context: away())
    with nowhere, pytest.raises(DatabaseError):
        canary.run(valkey, Network())
    assert canary.minutes(NOW + MINUTE, NOW + 2 * MINUTE) == {NOW + MINUTE: "missing"}
    assert canary.write(valkey) == 3
    assert canary.minutes(NOW + MINUTE, NOW + 2 * MINUTE) == {NOW + MINUTE: "good"}
    assert canary.write(valkey) == 0


def test_what_waits_in_valkey_has_a_bound_and_what_nobody_can_read_is_left_out(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "WAITING_MAX", 4)
    valkey.rpush(canary.WAITING, *(f'{{"color": {number}}}' for number in range(10)))
    canary.run(valkey, Network())
    assert len(rows()) == 3
    assert valkey.llen(canary.WAITING) == 0


def test_rows_of_more_than_25_months_go() -> None:
    beats(since(NOW - timedelta(days=800), 2))
    beats([NOW - timedelta(days=700)])
    assert canary.forget(NOW) == 6
    assert CanaryMinute.objects.count() == 3


def test_health_says_that_it_is_missing_or_failed_and_nothing_where_there_is_none(valkey: redis.Redis) -> None:
    assert canary_state.describe({}, 0) == ""
    canary.run(valkey, Network())
    now = int(NOW.timestamp())
    last = canary_state.decode(valkey.hgetall(canary_state.LAST))  # type: ignore[arg-type]
    assert canary_state.describe(last, now + 200) == ""
    assert "missing for 10 min" in canary_state.describe(last, now + 600)
    bad = {**last, "apns": last["apns"]._replace(good=False, why="queue_down")}
    assert canary_state.describe(bad, now) == "the last canary failed (apns: queue_down)"
    assert canary_state.decode({b"apns": b"?"}) == {}


def test_it_is_a_customer_like_others_that_can_be_suspended_and_erased(valkey: redis.Redis) -> None:
    own = Customer.objects.get(canary=True)
    customers.suspend(customer=own, reason="unpaid")
    customers.erase(customer=own)
    assert canary.run(valkey, Network()) == 0
    assert canary.setup().changed
