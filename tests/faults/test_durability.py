"""Nothing that was accepted is lost, and each push ends as exactly one row, whatever is killed."""

import time

import pytest

from tests.faults.pushes import GIVEN_UP
from tests.faults.rows import rows_of
from tests.load import Load
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for


@pytest.fixture
def stage(bent_service: Stage) -> Stage:
    """Two workers, on stores that may be killed."""
    return bent_service


def under_way(stage: Stage, connections: int) -> Load:
    """A load at full speed, in which every worker takes part."""
    workers = {str(child.pid) for name, child in stage.children.items() if name.startswith("worker")}
    with stage.redis() as valkey:
        wait_for(
            lambda: workers <= {name.decode().split(":")[1] for name in valkey.zrange("workers", 0, -1)},
            30,
            "every worker sends heartbeats",
        )
    load = Load(stage, connections=connections)
    wait_for(lambda: len(load.answers) > 300, PATIENCE, "answers")
    return load


def test_pushes_of_a_killed_worker_go_on_within_15_seconds_and_end_once(stage: Stage) -> None:
    load = under_way(stage, connections=24)
    # Held still first, so that it surely has batches in its hands when it dies.
    stage.pause("worker")
    time.sleep(0.3)
    stage.kill("worker")
    killed = time.monotonic()
    load.ease()
    time.sleep(1.5)
    load.stop()
    rows = rows_of(stage, load)
    waited = [row for row in rows.values() if (row["ended_at"] - row["accepted_at"]).total_seconds() > 1]
    assert waited, "no push was in the hands of the killed worker: this test shows nothing"
    slowest = max((row["ended_at"] - row["accepted_at"]).total_seconds() for row in waited)
    print(f"{len(rows)} pushes, {len(waited)} of them taken over, the last {slowest:.1f} s after it was accepted")
    assert slowest < 15, time.monotonic() - killed
    assert {row["outcome"] for row in rows.values()} == {"sent"}
    assert load.with_status("OK") == set(load.answers)
    assert max(load.seconds.values()) < GIVEN_UP
    stage.start_worker("worker")


def test_a_restart_of_valkey_loses_nothing_that_was_told_ok_and_counts_every_refusal(stage: Stage) -> None:
    load = under_way(stage, connections=24)
    stage.kill("valkey")
    load.ease()
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
    for ack_id in load.with_status("OK"):
        assert rows[ack_id]["outcome"] == "sent", ack_id
    failed = len(load.with_status("FAIL"))
    print(f"{len(rows)} pushes, {len(load.with_status('OK'))} OK, {failed} FAIL while Valkey was away")
    assert max(load.seconds.values()) < GIVEN_UP


def test_pushes_go_on_while_postgres_is_away_and_their_rows_come_afterwards(stage: Stage) -> None:
    stage.kill("postgres")
    assert {stage.push(ack_id=f"without-postgres-{n}")["status"] for n in range(20)} == {"OK"}
    stage.start_postgres()
    assert len(stage.logged(20, where="ack_id LIKE 'without-postgres-%%'")) == 20


def test_a_stopping_worker_finishes_what_it_has(stage: Stage) -> None:
    load = under_way(stage, connections=16)
    stage.start_worker("worker3")
    stage.stop("worker")
    stage.stop("worker2")
    load.ease()
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
    others = [name for name in stage.children if name.startswith("worker") and name != "worker"]
    before = {name: len(stage.log(name)) for name in others}

    def taken_over() -> bool:
        return any("messages of workers whose lease has expired" in stage.log(name)[before[name] :] for name in others)

    load = under_way(stage, connections=16)
    with stage.paused("worker"):
        load.ease()
        # It counts as dead by then, and the last move that it had asked for has come about.
        wait_for(taken_over, 20, "its batches are taken over")
        load.stop()
    rows_of(stage, load)
