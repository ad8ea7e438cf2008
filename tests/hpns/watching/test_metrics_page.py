"""The /metrics page: who may read it, what it says of the queue, and that it speaks for all processes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from delivery.ingest import envelope
from delivery.log import writing
from delivery.log.rows import ROWS
from delivery.metrics import counting, files
from delivery.metrics.names import METERS
from delivery.outcomes.judge import refusal
from delivery.protocol.wire import Push
from delivery.queue import due_list, ledger, timetable
from hpns.watching import metrics_page
from tenants import network
from tests.hpns.watching.asking import asked

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture(autouse=True)
def from_zero() -> Iterator[None]:
    counting.reset()
    yield
    counting.reset()


@pytest.fixture
def valkey(settings: Settings) -> Iterator[redis.Redis]:
    """An empty queue."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        names = ["push", "workers", "workers:failing", "unreadable", ROWS, writing.SEGMENTS, writing.REJECTED]
        names += [ledger.OPEN, ledger.STATE, due_list.DUE, timetable.AT, timetable.TASKS]
        client.delete(*names)
        yield client
        client.delete(*names)


def status(address: str = "127.0.0.1", **headers: str) -> int:
    """The status that a caller from this address gets."""
    return asked("/metrics", address=address, headers=headers).status


def scrape() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Name and labels -> value, read by prometheus_client's own parser."""
    answer = asked("/metrics")
    assert answer.status == 200
    families = text_string_to_metric_families(answer.body.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(name: str, **labels: str) -> float:
    return scrape()[name, frozenset(labels.items())]


# --- Who may read


@pytest.mark.parametrize(
    ("address", "expected"), [("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 404), ("", 404), ("127.0.0.1.evil", 404)]
)
def test_without_a_token_only_this_machine_may_read(address: str, expected: int) -> None:
    assert status(address) == expected


@pytest.mark.parametrize("header", metrics_page.FORWARDED)
def test_a_request_that_came_through_a_proxy_is_not_from_this_machine(header: str) -> None:
    assert status(**{header: "127.0.0.1"}) == 404


def test_behind_a_proxy_nobody_may_read_without_a_token(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = network.networks(["10.0.0.0/8"])
    assert status() == 404
    settings.METRICS_TOKEN = TOKEN
    assert status(authorization=f"Bearer {TOKEN}") == 200


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [(f"Bearer {TOKEN}", 200), ("", 404), ("Bearer ", 404), (TOKEN, 404), (f"Bearer {TOKEN}x", 404), ("Bearer ü", 404)],
)
def test_with_a_token_its_bearer_may_read_from_anywhere_and_nobody_else(
    settings: Settings, authorization: str, expected: int
) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert status("203.0.113.9", authorization=authorization) == expected
    assert status(authorization=authorization) == expected


# --- What it says


def test_the_page_is_what_prometheus_reads(valkey: redis.Redis) -> None:
    counting.ended(Push(platform="android_rn", type="message"), refusal("overloaded"), 0.3)
    counting.answered(0.3)
    answer = asked("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    histogram = {
        sample.labels.get("le", sample.name): sample.value
        for sample in families["service_request_duration_seconds"].samples
    }
    assert histogram["0.25"] == 0
    assert histogram["0.5"] == histogram["+Inf"] == histogram["service_request_duration_seconds_count"] == 1
    assert histogram["service_request_duration_seconds_sum"] == pytest.approx(0.3)
    assert value("service_failure_with_reason_total", platform="android", type="message", reason="overloaded") == 1
    for family in families.values():
        assert family.documentation


def test_no_label_names_a_customer_and_every_metric_says_what_it_is() -> None:
    for name, meter in METERS.items():
        assert name.startswith(("service_", "hpns_"))
        assert meter.help
        assert not {"customer", "server", "key", "app", "credential", "device"} & set(meter.labels)


def test_since_when_nothing_of_the_timetable_came_is_told_from_the_first_workers_start_on(valkey: redis.Redis) -> None:
    assert ("hpns_timetable_age_seconds", frozenset()) not in scrape()
    valkey.set(timetable.AT, valkey.time()[0] - 600)
    assert 600 <= value("hpns_timetable_age_seconds") < 660


def test_each_task_of_the_timetable_has_its_age_and_whether_it_is_overdue(valkey: redis.Redis) -> None:
    now = valkey.time()[0]
    valkey.hset(timetable.TASKS, mapping={"billing.sla": f"{now - 5_000} 300", "billing.usage": f"{now - 5_000} 3600"})
    assert 5_000 <= value("hpns_timetable_task_age_seconds", task="billing.sla") < 5_060
    overdue = {name: value("hpns_timetable_task_overdue", task=name) for name in ("billing.sla", "billing.usage")}
    assert overdue == {"billing.sla": 1, "billing.usage": 0}


def test_the_depth_of_the_queue_and_the_age_of_its_oldest_batch_are_told(valkey: redis.Redis) -> None:
    for at in (time.time() - 100, time.time() - 50, time.time()):
        valkey.lpush("push", json.dumps({"body": "x", "headers": {"at": at}, "properties": {}}))
    valkey.rpush(ROWS, "a", "b")
    assert value("hpns_queue_batches") == 3
    assert 99 < value("hpns_queue_oldest_seconds") < 110
    assert value("hpns_log_entries_waiting") == 2


def test_the_age_of_the_oldest_batch_is_told_by_valkeys_clock(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey.lpush("push", json.dumps({"headers": {"at": time.time() - 100}}))
    ours = time.time
    monkeypatch.setattr(time, "time", lambda: ours() + 1000)
    assert 98 < value("hpns_queue_oldest_seconds") < 110


@pytest.mark.parametrize("message", [b"", b"{}", b'{"headers":{}}', b'{"headers":{"at":"x"}}', b"\xff"])
def test_a_message_that_does_not_say_when_it_came_has_no_age(valkey: redis.Redis, message: bytes) -> None:
    valkey.lpush("push", message)
    assert value("hpns_queue_oldest_seconds") == 0


def test_rows_in_segments_are_waiting_too(valkey: redis.Redis) -> None:
    valkey.rpush(f"{ROWS}:abc", "a", "b", "c")
    valkey.sadd(writing.SEGMENTS, "abc")
    assert value("hpns_log_entries_waiting") == 3
    valkey.delete(f"{ROWS}:abc")


def test_workers_with_a_heartbeat_are_counted_and_those_of_them_that_cannot_deliver(valkey: redis.Redis) -> None:
    now = valkey.time()[0]
    valkey.zadd("workers", {"alive": now, "ill": now, "dead": now - 3600})
    valkey.hset("workers:failing", mapping={"ill": "queue push is not being consumed", "dead": "the same"})
    assert (value("hpns_workers"), value("hpns_workers_failing")) == (2, 1)


def test_messages_that_were_put_aside_are_counted_and_those_that_are_kept(valkey: redis.Redis) -> None:
    valkey.lpush("unreadable", "one", "two")
    for _ in range(3):
        counting.put_aside("push")
    assert value("hpns_messages_unreadable") == 2
    assert value("hpns_messages_put_aside_total", queue="push") == 3


def test_an_empty_queue_is_told_as_such(valkey: redis.Redis) -> None:
    assert value("hpns_queue_batches") == value("hpns_queue_oldest_seconds") == value("hpns_workers") == 0


def test_without_valkey_the_page_says_so_and_tells_the_rest(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    counting.accepted(2)
    scraped = scrape()
    assert scraped["hpns_valkey_up", frozenset()] == 0
    assert scraped["hpns_accepted_total", frozenset()] == 2
    assert not any(name == "hpns_queue_batches" for name, _ in scraped)


def test_with_a_folder_the_page_speaks_for_all_processes(
    valkey: redis.Redis, tmp_path: Path, settings: Settings
) -> None:
    settings.METRICS_DIR = str(tmp_path)
    for role, age in (("ingest", 3.0), ("worker", 7.0), ("worker", 5.0)):
        counts = files.Counts(
            {("hpns_accepted_total", ()): 2.0, ("hpns_gone_since", ()): 1.0},
            {},
            {("hpns_processes", (role,)): [1.0], ("hpns_directory_age_seconds", (role,)): [age]},
        )
        files.ProcessFile(tmp_path).write(files.encode(counts))
    assert value("hpns_accepted_total") == 6
    assert value("hpns_processes", role="worker") == 2
    assert value("hpns_directory_age_seconds", role="worker") == 7


def test_a_folder_that_is_not_there_makes_a_gap_and_no_error(
    valkey: redis.Redis, tmp_path: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.METRICS_DIR = str(tmp_path / "nowhere")
    assert scrape()["hpns_valkey_up", frozenset()] == 1
    assert "METRICS_DIR" in caplog.text


def test_the_envelope_of_a_batch_has_a_place_for_when_it_was_put_there() -> None:
    _, message = envelope.serialised(with_payload=True)
    headers: dict[str, Any] = msgspec.json.decode(message)["headers"]
    assert headers["at"] == envelope.AT


def test_the_ledger_says_what_has_not_ended_what_was_lost_and_when_it_was_checked(valkey: redis.Redis) -> None:
    assert (value("hpns_ledger_open_batches"), value("hpns_ledger_lost_total")) == (0, 0)
    valkey.hset(ledger.OPEN, mapping={"p:1": "[]", "p:2": "[]"})
    valkey.hset(ledger.STATE, mapping={"lost": 3, "checked_at": time.time() - 100})
    assert (value("hpns_ledger_open_batches"), value("hpns_ledger_lost_total")) == (2, 3)
    assert 95 < value("hpns_ledger_check_age_seconds") < 200


def test_what_waits_to_be_tried_again_is_in_flight_and_how_late_it_is_shows_whether_anybody_comes_for_it(
    valkey: redis.Redis,
) -> None:
    assert (value("hpns_pushes_due"), value("hpns_pushes_due_late_seconds")) == (0, 0)
    valkey.zadd(due_list.DUE, {"a": time.time() * 1000 + 60_000})
    assert (value("hpns_pushes_due"), value("hpns_pushes_due_late_seconds")) == (1, 0)
    valkey.zadd(due_list.DUE, {"b": time.time() * 1000 - 500_000})
    assert value("hpns_pushes_due") == 2
    assert 499 <= value("hpns_pushes_due_late_seconds") < 600
