"""What is counted under which name, what it costs, and that the counts of processes that end are kept."""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from delivery.metrics import counting, exporting, files
from delivery.metrics.names import METERS
from delivery.outcomes import judge
from delivery.outcomes.verdict import ANSWERED, MAYBE, Attempt, Verdict
from delivery.protocol.wire import Ack, Push
from delivery.providers import table

OK = table.judge(Attempt("apns", "h", 200, "", ANSWERED, 0.0, 1))
GONE = table.judge(Attempt("apns", "h", 410, "Unregistered", ANSWERED, 0.0, 1))
TOPIC = table.judge(Attempt("apns", "h", 400, "DeviceTokenNotForTopic", ANSWERED, 0.0, 1))
PUSH = Push(platform="apple_rn-v2", type="message", ack_id="a", device_id="d")


@pytest.fixture(autouse=True)
def from_zero() -> Iterator[None]:
    counting.reset()
    yield
    counting.reset()


def counted(name: str, *labels: str) -> float:
    return counting.collect().counters.get((name, labels), 0.0)


def observed(name: str, *labels: str) -> list[float]:
    return counting.collect().histograms[name, labels]


def attempt(status: int = 200, reason: str = "", ms: int = 40, wire: int = ANSWERED) -> Attempt:
    return Attempt("apns", "api.push.apple.com", status, reason, wire, time.time(), ms)


@pytest.mark.parametrize(
    ("verdict", "success", "failure", "removal"),
    [(OK, 1, 0, 0), (GONE, 0, 1, 1), (TOPIC, 0, 1, 0), (judge.refusal("queue_down"), 0, 1, 0)],
)
def test_a_push_is_a_success_or_a_failure_and_a_removal_is_a_failure_too(
    verdict: Verdict, success: int, failure: int, removal: int
) -> None:
    counting.ended(PUSH, verdict, 0.1)
    assert counted("service_notifications_total", "apple", "message") == 1
    assert counted("service_success_total", "apple", "message") == success
    assert counted("service_failure_total", "apple", "message") == failure
    assert counted("service_failure_with_reason_total", "apple", "message", verdict.code) == failure
    assert counted("service_removal_total", "apple", verdict.code) == removal
    assert counted("service_bad_request_total") == 0


@pytest.mark.parametrize("code", sorted(counting.BAD_REQUESTS))
def test_what_is_no_push_is_a_bad_request_and_nothing_else(code: str) -> None:
    counting.ended(Push(), judge.refusal(code), 0.0)
    assert counted("service_bad_request_total") == 1
    assert counted("service_notifications_total", "other", "other") == 0


def test_a_success_with_an_ack_id_is_counted_as_such() -> None:
    counting.ended(PUSH, OK, 0.1)
    counting.ended(Push(platform="android_rn-v2", type="test"), OK, 0.1)
    assert counted("service_success_with_ack_total", "apple", "message") == 1
    assert counted("service_success_with_ack_total", "android", "test") == 0


def test_each_end_is_counted_by_whether_it_counts_in_the_sla_and_whose_affair_it_was() -> None:
    for verdict, has_key in ((OK, True), (OK, True), (OK, False), (TOPIC, True), (judge.refusal("queue_down"), True)):
        counting.ended(PUSH, verdict, 0.1, has_key)
    counts = counting.collect().counters
    assert {labels: count for (name, labels), count in counts.items() if name == "hpns_ended_total"} == {
        ("true", OK.attribution): 2,
        ("false", OK.attribution): 1,
        (str(TOPIC.counts_in_sla).lower(), TOPIC.attribution): 1,
        ("true", "ours"): 1,
    }


def test_what_strangers_send_adds_no_label() -> None:
    for platform, kind in (("<evil>", "message"), ("apple_evil", "evil\n"), ("", "")):
        counting.ended(Push(platform=platform, type=kind), OK, 0.1)
    counting.receipt(Ack("i", 0, "toaster", "burnt"))
    counts = counting.collect()
    values = {value for name, labels in counts.counters if name.startswith("service_") for value in labels}
    assert values == {"apple", "message", "other"}


def test_a_flood_of_different_platforms_does_not_fill_the_memory() -> None:
    for number in range(3 * counting.MOST):
        counting.ended(Push(platform=f"p{number}", type=f"t{number}"), OK, 0.1)
        counting.receipt(Ack("i", 0, f"p{number}", f"t{number}"))
        assert len(counting._ended) <= counting.MOST
        assert len(counting._receipts) <= counting.MOST
    assert counted("service_success_total", "other", "other") == 3 * counting.MOST
    assert counted("service_delivered_total", "other", "other") == 3 * counting.MOST


def test_an_attempt_is_counted_by_host_and_by_the_code_of_its_verdict() -> None:
    for made in (attempt(), attempt(410, "Unregistered"), attempt(0, "timeout", 4000, MAYBE), attempt(499, "<evil>")):
        counting.attempt(made, table.judge(made).code)
    codes = {labels[2] for name, labels in counting.collect().counters if name == "hpns_attempts_total"}
    assert codes == {"sent", "apns_unregistered", "transport_timeout_unanswered", "apns_unknown"}
    for name, *labels in (
        ("hpns_attempt_seconds", "apns", "api.push.apple.com"),
        ("service_notification_duration_seconds", "apple"),
        ("service_apns_request_duration_seconds",),
    ):
        *buckets, total = observed(name, *labels)
        assert sum(buckets) == 4
        assert total == pytest.approx(4.12)


def test_the_hand_off_is_timed_where_the_provider_spoke_and_nowhere_else() -> None:
    for verdict in (OK, GONE, TOPIC, judge.refusal("no_app"), judge.refusal("expired")):
        counting.ended(PUSH, verdict, 0.02)
    *buckets, total = observed("hpns_handoff_seconds", "apple")
    assert sum(buckets) == 3
    assert total == pytest.approx(0.06)


def test_a_value_on_a_bound_falls_into_the_bucket_of_that_bound() -> None:
    counting.batch(200)
    counting.batch(201)
    assert observed("hpns_batch_pushes") == [0] * 7 + [1, 1, 401]


def test_gathering_again_counts_nothing_twice() -> None:
    counting.ended(PUSH, OK, 0.1)
    counting.answered(0.1)
    counting.accepted(3)
    for _ in range(3):
        counting.collect()
    assert counted("service_success_total", "apple", "message") == 1
    assert counted("hpns_accepted_total") == 3
    assert sum(observed("service_request_duration_seconds")[:-1]) == 1


def test_everything_that_is_counted_is_in_the_table_with_as_many_labels() -> None:
    counting.ended(PUSH, GONE, 0.1)
    counting.ended(PUSH, OK, 0.1)
    counting.ended(PUSH, judge.refusal("malformed"), 0.1)
    counting.attempt(attempt(), "sent")
    counting.turned_away("no_key")
    counting.receipt(Ack("i", 0, "ios", "message"))
    counts = counting.snapshot("worker")
    kinds = {"counter": counts.counters, "histogram": counts.histograms, "gauge": counts.gauges}
    for kind, found in kinds.items():
        assert found
        for name, labels in found:
            assert METERS[name].kind == kind
            assert len(METERS[name].labels) == len(labels)
    for (name, _), buckets in counts.histograms.items():
        assert len(buckets) == len(METERS[name].bounds) + 2


def test_counting_a_push_costs_a_few_microseconds_at_most() -> None:
    made, rounds = attempt(), 20_000

    def cost() -> float:
        started = time.process_time()
        for _ in itertools.repeat(None, rounds):
            counting.attempt(made, "sent")
            counting.ended(PUSH, OK, 0.04)
            counting.answered(0.041)
        return (time.process_time() - started) / rounds

    assert min(cost() for _ in range(5)) < 4e-6  # measured: 1.3; the rest is for a slow machine


def test_gauges_are_read_when_asked_for_and_equal_ones_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_gauges", [])
    counting.register_gauges(
        lambda: [("hpns_provider_connections", ("h",), 1), ("hpns_provider_connections", ("h",), 2)]
    )
    assert counting.snapshot("x").gauges["hpns_provider_connections", ("h",)] == [3]


# --- Several processes


def some(count: float, gauge: float = 0.0) -> bytes:
    return files.encode(
        files.Counts({("c", ("x",)): count}, {("h", ()): [count, 0.0, 1.5]}, {("g", ()): [gauge]} if gauge else {})
    )


def age(file: files.ProcessFile, seconds: float) -> None:
    assert file.path
    at = time.time() - seconds
    os.utime(file.path, (at, at))


def test_the_counts_of_several_processes_are_added_up(tmp_path: Path) -> None:
    for count in (1, 2, 4):
        files.ProcessFile(tmp_path).write(some(count, gauge=count))
    total = files.aggregate(tmp_path)
    assert total.counters == {("c", ("x",)): 7}
    assert total.histograms == {("h", ()): [7, 0, 4.5]}
    assert sorted(total.gauges["g", ()]) == [1, 2, 4]


def test_a_dead_process_leaves_its_counts_and_neither_its_gauges_nor_its_file(tmp_path: Path) -> None:
    dead, living = files.ProcessFile(tmp_path), files.ProcessFile(tmp_path)
    dead.write(some(5, gauge=5))
    living.write(some(1, gauge=1))
    age(dead, files.DEAD_AFTER + 1)
    for _ in range(3):
        total = files.aggregate(tmp_path)
        assert total.counters == {("c", ("x",)): 6}
        assert total.gauges == {("g", ()): [1]}
    assert len(list(tmp_path.glob("*-*.json"))) == 1


def test_the_gauges_of_a_process_that_stands_still_are_void(tmp_path: Path) -> None:
    file = files.ProcessFile(tmp_path)
    file.write(some(5, gauge=5))
    age(file, files.STALE_AFTER + 1)
    assert not files.aggregate(tmp_path).gauges
    assert files.aggregate(tmp_path).counters


def test_a_process_that_was_taken_for_dead_counts_on_from_zero(tmp_path: Path) -> None:
    file = files.ProcessFile(tmp_path)
    assert file.write(some(5))
    age(file, files.DEAD_AFTER + 1)
    files.aggregate(tmp_path)
    assert not file.write(some(6))
    assert file.write(some(1))
    assert files.aggregate(tmp_path).counters == {("c", ("x",)): 6}


def test_a_file_of_another_version_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "old-1-aa.json").write_bytes(b"{}")
    files.ProcessFile(tmp_path).write(some(1))
    assert files.aggregate(tmp_path).counters == {("c", ("x",)): 1}


def test_buckets_of_another_version_are_not_mixed_with_ours() -> None:
    total = files.Counts(histograms={("h", ()): [1.0, 2.0]})
    total.add(files.Counts(histograms={("h", ()): [1.0, 1.0, 1.0]}))
    assert total.histograms["h", ()] == [1.0, 1.0, 1.0]


def test_whoever_finds_the_folder_locked_does_not_wait(tmp_path: Path) -> None:
    file = files.ProcessFile(tmp_path)
    with files._locked(tmp_path):
        started = time.monotonic()
        with pytest.raises(BlockingIOError):
            file.write(some(1))
        assert time.monotonic() - started < 10


async def test_the_counts_of_the_last_second_are_kept_when_a_process_ends(tmp_path: Path, settings: Settings) -> None:
    settings.METRICS_DIR = str(tmp_path / "made" / "by" / "us")
    task = asyncio.create_task(exporting.export("ingest"))
    await asyncio.sleep(0.05)
    counting.accepted(7)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files.aggregate(Path(settings.METRICS_DIR)).counters["hpns_accepted_total", ()] == 7


async def test_a_folder_that_cannot_be_written_is_logged_once_and_stops_nothing(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    settings.METRICS_DIR = str(tmp_path / "file")
    real, pauses = asyncio.sleep, itertools.count()

    async def short(seconds: float) -> None:
        await real(0.01 if next(pauses) < 5 else seconds)

    monkeypatch.setattr("delivery.metrics.exporting.asyncio.sleep", short)
    task = asyncio.create_task(exporting.export())
    await real(0.3)
    assert not task.done()
    task.cancel()
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_a_phones_receipt_is_counted_under_the_platform_of_its_pushes() -> None:
    counting.receipt(Ack("i", 0, "ios", "message"))
    counting.ended(PUSH, OK, 0.1)
    counters = counting.snapshot("web").counters
    platforms = {labels[0] for name, labels in counters if name in ("service_delivered_total", "service_success_total")}
    assert platforms == {"apple"}
