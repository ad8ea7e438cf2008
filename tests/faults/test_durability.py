"""Nothing that was accepted is lost, and each push ends as exactly one row, whatever is killed."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.load import Load
from tests.stage import PATIENCE, Stage, running_stage, wait_for


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A service with two workers, on stores that may be killed."""
    with running_stage(tmp_path_factory.mktemp("stage"), workers=2) as running:
        yield running


def rows_of(stage: Stage, load: Load, seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
    """The rows of a load by ack_id: one per push that was told OK, and each of the others counted once in some row.

    Fails when a push is in no row in time, or in two. (Refusals share rows when there are many of them.)
    """
    everyone, accepted = set(load.answers) | set(load.broken), load.told("OK") | set(load.broken)

    def rows() -> list[dict[str, Any]]:
        return stage.rows("ack_id LIKE %s", f"{load.name}-%")

    def all_counted() -> bool:
        found = rows()
        return {row["ack_id"] for row in found} >= accepted and sum(row["count"] for row in found) >= len(everyone)

    wait_for(all_counted, seconds, "every push is counted")
    time.sleep(2.5)  # two more rounds of writing: a second row for a push would come now
    found = rows()
    assert sum(row["count"] for row in found) == len(everyone), "a push was counted twice"
    assert all(row["count"] == 1 for row in found if row["ack_id"] in accepted)
    assert len({row["ack_id"] for row in found}) == len(found), "a push has two rows"
    return {row["ack_id"]: row for row in found}


def test_pushes_of_a_killed_worker_go_on_within_15_seconds_and_end_once(stage: Stage) -> None:
    load = Load(stage, connections=24)
    time.sleep(2)
    # Held still first, so that it surely has batches in its hands when it dies.
    stage.pause("worker")
    time.sleep(0.3)
    stage.kill("worker")
    killed = time.monotonic()
    time.sleep(1.5)
    load.stop()
    rows = rows_of(stage, load)
    waited = [row for row in rows.values() if (row["ended_at"] - row["accepted_at"]).total_seconds() > 1]
    assert waited, "no push was in the hands of the killed worker: this test shows nothing"
    slowest = max((row["ended_at"] - row["accepted_at"]).total_seconds() for row in waited)
    print(f"{len(rows)} pushes, {len(waited)} of them taken over, the last {slowest:.1f} s after it was accepted")
    assert slowest < 15, time.monotonic() - killed
    assert {row["outcome"] for row in rows.values()} == {"sent"}
    assert load.told("OK") == set(load.answers)
    assert max(load.seconds.values()) < 5.5
    stage.start_worker("worker")


def test_a_restart_of_valkey_loses_nothing_that_was_told_ok_and_counts_every_refusal(stage: Stage) -> None:
    load = Load(stage, connections=24)
    time.sleep(2)
    stage.kill("valkey")
    time.sleep(1.5)
    away = f"{load.name}-away"
    load.answers[away] = load.stage.push(ack_id=away)
    load.seconds[away] = 0.0
    stage.start_valkey()
    time.sleep(2)
    load.stop()
    assert load.answers[away]["status"] == "FAIL"
    assert load.answers[away]["error"].startswith("queue_down")
    rows = rows_of(stage, load)
    for ack_id in load.told("OK"):
        assert rows[ack_id]["outcome"] == "sent", ack_id
    print(f"{len(rows)} pushes, {len(load.told('OK'))} OK, {len(load.told('FAIL'))} FAIL while Valkey was away")
    assert max(load.seconds.values()) < 5.5


def test_pushes_go_on_while_postgres_is_away_and_their_rows_come_afterwards(stage: Stage) -> None:
    stage.kill("postgres")
    assert {stage.push(ack_id=f"without-postgres-{n}")["status"] for n in range(20)} == {"OK"}
    stage.start_postgres()
    assert len(stage.logged(20, where="ack_id LIKE 'without-postgres-%%'")) == 20


def test_a_stopping_worker_finishes_what_it_has(stage: Stage) -> None:
    load = Load(stage, connections=16)
    time.sleep(1)
    stage.start_worker("worker3")
    stage.stop("worker")
    stage.stop("worker2")
    time.sleep(2)
    load.stop()
    rows = rows_of(stage, load)
    assert {row["outcome"] for row in rows.values()} == {"sent"}
    seen = [request["json"]["ack_id"] for request in stage.sandbox.requests(provider="apns")]
    ours = [ack_id for ack_id in seen if ack_id.startswith(load.name)]
    assert len(ours) == len(set(ours)), "a worker that was only asked to stop left a push half done"
    stage.start_worker("worker")


def test_a_worker_that_stands_still_loses_its_batches_to_others_and_repeats_no_row(stage: Stage) -> None:
    stage.start_worker("worker2")
    load = Load(stage, connections=16)
    time.sleep(1)
    with stage.paused("worker"):
        # Longer than it takes to count as dead, and than the last move that it asked for can come about.
        time.sleep(9)
        load.stop()
    rows_of(stage, load)
