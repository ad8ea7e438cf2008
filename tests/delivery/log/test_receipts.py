"""Receipts in the log: each once, joined with its push whenever that comes, and counted in the minute of the push."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection

from delivery.log import matching, receipt_lines, receipts, segments, unmatched
from delivery.log.receipt_lines import QUEUE
from delivery.log.unmatched import Unmatched
from delivery.models import Minute, Receipt
from delivery.outcomes import judge, own
from delivery.rollups import buckets
from tests.delivery.log.acknowledging import NOON, acked, found, looked, moved, pushed

pytestmark = pytest.mark.django_db
DAY = 86_400.0
VERDICTS = list(own.TRANSPORT.values())
UNSURE, FAILED = (next(row for row in VERDICTS if row.outcome.value == name) for name in ("unknown", "failed"))


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


def counted() -> dict[int, tuple[int, int]]:
    """Acknowledged pushes by the minute after NOON, with the milliseconds that their buckets begin at, added up."""
    sums: dict[int, tuple[int, int]] = {}
    for row in Minute.objects.filter(grain=1, acked__gt=0):
        minute = (row.at - NOON) // timedelta(minutes=1)
        acks, began = sums.get(minute, (0, 0))
        histogram: buckets.Histogram = {}
        buckets.add(histogram, row.receipt)
        began += sum(count * (buckets.EDGES[bucket - 1] if bucket else 0) for bucket, count in histogram.items())
        sums[minute] = (acks + row.acked, began)
    return sums


def test_a_receipt_is_written_and_joined_and_its_push_counted_as_acknowledged(store: redis.Redis) -> None:
    pushed(store, "t-1", "ack-1", 90)
    acked(store, "r-1", "ack-1", 91, phone_at=round(NOON.timestamp() * 1000))
    tally = moved(store)
    row = Receipt.objects.get()
    assert (row.id, row.customer_id, row.server_id, row.ack_id) == ("r-1", 1, 2, "ack-1")
    assert (row.type, row.platform, row.phone_at, row.repeated) == ("message", "ios", NOON, False)
    assert (row.trace, row.push_at) == ("t-1", NOON + timedelta(seconds=90))
    assert row.received_at == NOON + timedelta(seconds=91)
    assert counted() == {1: (1, 1_000)}
    assert (tally.results, tally.first) == ({"first": 1}, [("apns", 1_000)])
    assert not store.exists(QUEUE.waiting, QUEUE.segments)


def test_the_first_receipt_counts_and_later_ones_are_repeated(store: redis.Redis) -> None:
    pushed(store, "t-1", "ack-1")
    acked(store, "r-2", "ack-1", 5)
    acked(store, "r-1", "ack-1", 3)
    moved(store)
    acked(store, "r-3", "ack-1", 2)  # of another process, whose group came later
    assert moved(store).results == {"repeated": 1}
    assert found() == {"r-1": ("t-1", False), "r-2": ("t-1", True), "r-3": ("t-1", True)}
    assert counted() == {0: (1, 3_000)}


def test_one_that_was_handed_over_twice_is_one(store: redis.Redis) -> None:
    pushed(store, "t-1", "ack-1")
    acked(store, "r-1", "ack-1", 3)
    acked(store, "r-1", "ack-1", 3)
    moved(store)
    acked(store, "r-1", "ack-1", 3)
    assert moved(store).results == {}
    assert found() == {"r-1": ("t-1", False)}
    assert counted() == {0: (1, 3_000)}


def test_one_that_is_there_already_takes_no_push_from_another(store: redis.Redis) -> None:
    pushed(store, "later", "ack-1", 60)
    acked(store, "r-1", "ack-1", 61)
    moved(store)
    pushed(store, "earlier", "ack-1", 0)
    acked(store, "r-1", "ack-1", 61)
    acked(store, "r-2", "ack-1", 62)
    moved(store)
    assert found() == {"r-1": ("later", False), "r-2": ("earlier", False)}


def test_a_receipt_before_its_pushs_row_is_joined_when_the_row_has_come(store: redis.Redis) -> None:
    acked(store, "r-1", "ack-1", 3)
    acked(store, "r-2", "ack-1", 4)
    assert moved(store).results == {"unmatched": 2}
    pushed(store, "t-1", "ack-1")
    moved(store)
    tally = looked(5)
    assert found() == {"r-1": ("t-1", False), "r-2": ("t-1", True)}
    assert counted() == {0: (1, 3_000)}
    assert (tally.results, tally.first) == ({"first": 1, "repeated": 1}, [("apns", 3_000)])
    assert looked(6).results == {}


def test_a_receipt_days_later_finds_its_push_and_counts_in_its_minute(store: redis.Redis) -> None:
    pushed(store, "t-1", "ack-1", 60)
    moved(store)
    acked(store, "r-1", "ack-1", 60 + 30 * DAY)
    assert moved(store).results == {"first": 1}
    assert counted() == {1: (1, 604_800_000)}  # the last bucket: a week and more


def test_a_row_that_comes_hours_after_its_receipt_is_found_by_a_rare_look(store: redis.Redis) -> None:
    acked(store, "r-1", "ack-1", 3)
    moved(store)
    looks = Unmatched()
    assert looked(3 * 3600, looks).results == {}
    pushed(store, "t-1", "ack-1")
    moved(store)
    assert looked(3 * 3600 + 60, looks).results == {}, "not before its pause is over"
    assert looked(3 * 3600 + 601, looks).results == {"first": 1}


def test_after_eight_days_nothing_is_looked_for_any_more(store: redis.Redis) -> None:
    acked(store, "r-1", "ack-1", 3)
    moved(store)
    pushed(store, "t-1", "ack-1")
    moved(store)
    assert looked(9 * DAY).results == {}
    assert found() == {"r-1": (None, False)}


def test_a_pause_does_not_outlast_a_clock_that_is_set_back(store: redis.Redis) -> None:
    looks = Unmatched()
    looked(400 * DAY, looks)
    acked(store, "r-1", "ack-1", 3)
    moved(store)
    pushed(store, "t-1", "ack-1")
    moved(store)
    assert looked(DAY, looks).results == {"first": 1}


def test_another_customers_push_and_an_unknown_ack_stay_unmatched_for_ever(store: redis.Redis) -> None:
    pushed(store, "t-1", "ack-1", customer=7)
    acked(store, "r-1", "ack-1", 3)
    acked(store, "r-2", "nobody's", 3)
    assert moved(store).results == {"unmatched": 2}
    for later in (4.0, 3600.0, DAY):
        assert looked(later).results == {}
    assert found() == {"r-1": (None, False), "r-2": (None, False)}
    assert counted() == {}


@pytest.mark.parametrize("second", [-30.0, 30.0])
def test_of_two_pushes_with_one_ack_the_receipt_is_of_the_one_that_was_sent(store: redis.Redis, second: float) -> None:
    refused = judge.refusal("over_limit")
    pushed(store, "refused", "ack-1", second, verdict=refused, count=9)
    pushed(store, "sent", "ack-1")
    pushed(store, "again", "ack-1", 60)
    acked(store, "r-1", "ack-1", 61)
    moved(store)
    assert found() == {"r-1": ("sent", False)}


def test_a_push_whose_provider_never_answered_was_sent_if_its_phone_says_so(store: redis.Redis) -> None:
    pushed(store, "unsure", "ack-1", verdict=UNSURE)
    acked(store, "r-1", "ack-1", 1)
    moved(store)
    assert found() == {"r-1": ("unsure", False)}


def test_a_push_that_failed_is_a_late_choice_and_one_that_was_refused_is_none(store: redis.Redis) -> None:
    pushed(store, "failed", "ack-1", verdict=FAILED)
    pushed(store, "refused", "ack-2", verdict=judge.refusal("no_app"))
    acked(store, "r-1", "ack-1", 1)
    acked(store, "r-2", "ack-2", 1)
    moved(store)
    assert looked(60).results == {}
    looked(3600)
    assert found() == {"r-1": ("failed", False), "r-2": (None, False)}


def test_a_flood_of_unknown_acks_delays_the_others_and_starves_none(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmatched, "YOUNG_MOST", 4)
    looks = Unmatched()
    for number in range(10):
        acked(store, f"flood-{number}", f"unknown-{number}", 1)
    acked(store, "r-1", "ack-1", 1)
    moved(store)
    pushed(store, "t-1", "ack-1")
    moved(store)
    assert sum(looked(2, looks).results["first"] for _ in range(3)) == 1


def test_what_waits_of_them_leaves_time_for_rows_in_between(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "PART", 1)
    for number in range(3):
        acked(store, f"r-{number}", "a", number)
    seen = []
    for _ in range(4):
        receipts.write(store, most_seconds=0)
        seen.append(Receipt.objects.count())
    assert seen == [1, 2, 3, 3]
    assert not store.exists(QUEUE.segments, QUEUE.waiting)


def test_a_line_that_is_no_receipt_is_kept_aside_and_the_others_are_written(store: redis.Redis) -> None:
    pushed(store, "t-1", "ack-1")
    acked(store, "r-1", "ack-1", 1)
    acked(store, "no-ack", "", 1)
    acked(store, "too-far", "ack-1", 1, received_at=10**17)
    store.rpush(QUEUE.waiting, b"nonsense\n")
    acked(store, "r-2", "ack-1", 2)
    assert moved(store).results == {"first": 1, "repeated": 1}
    assert found() == {"r-1": ("t-1", False), "r-2": ("t-1", True)}
    assert store.llen(QUEUE.rejected) == 3
    assert counted() == {0: (1, 1_000)}


def test_what_one_server_has_waiting_is_counted_anew_once_it_is_taken(store: redis.Redis) -> None:
    store.hset(receipt_lines.SHARES, "2", 99)
    acked(store, "r-1", "ack-1", 1)
    moved(store)
    assert not store.exists(receipt_lines.SHARES)


def test_a_writer_that_dies_before_it_cleans_up_has_written_each_receipt(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(store, "t-1", "ack-1")
    monkeypatch.setattr(receipts, "PART", 1)
    for number in range(3):
        acked(store, f"r-{number}", "ack-1", number)
    calls, write = iter(range(9)), receipts._write_lines

    def breaks_at_the_second(*values: Any) -> int:
        if next(calls) == 1:
            raise OperationalError("the connection broke")
        return write(*values)

    monkeypatch.setattr(receipts, "_write_lines", breaks_at_the_second)
    with pytest.raises(OperationalError):
        moved(store)
    assert len(found()) == 1
    assert moved(store).results == {"repeated": 2}
    assert counted() == {0: (1, 0)}


def test_while_the_rollups_are_rebuilt_no_receipt_is_written(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    acked(store, "r-1", "ack-1", 1)
    monkeypatch.setattr(segments, "locked", lambda cursor: False)
    assert moved(store).results == {}
    assert looked(2).results == {}
    monkeypatch.undo()
    assert moved(store).results == {"unmatched": 1}


@pytest.mark.parametrize("known", [True, False])
def test_each_search_looks_up_its_index_whether_or_not_the_planner_has_statistics(
    store: redis.Redis, known: bool
) -> None:
    for number in range(1_000):
        pushed(store, f"t-{number}", f"ack-{number}", number)
        acked(store, f"r-{number}", f"ack-{number}", number + 1)
    moved(store)
    day = NOON.replace(hour=0)
    wanted = {"customers": [1], "acks": [b"\xffack"], "midnight": day, "outcomes": ["sent", "unknown"]}
    with connection.cursor() as cursor:
        if known:
            cursor.execute("ANALYZE delivery_delivery; ANALYZE delivery_receipt")
        for statement, values, index in (
            (matching.SINCE, wanted, "ack_id"),
            (matching.BEFORE, {**wanted, "midnight": day + timedelta(days=1)}, "ack_id"),
            (receipts._ACKED, [["t-1"], [NOON], day], "push_at"),
            (unmatched._NEXT, [NOON, NOON + timedelta(days=1), NOON, "", 100], "received_at"),
        ):
            cursor.execute(f"EXPLAIN {statement}", values)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert f"Index Cond: (({index} " in plan or f"Index Cond: ({index} " in plan, plan
            assert "Index Cond: ((customer_id" not in plan, plan
