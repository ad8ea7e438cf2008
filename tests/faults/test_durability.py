"""Nothing that was accepted is lost, and each push ends as exactly one row, whatever is killed."""

import time
from collections.abc import Iterator

import pytest

from tests.load import Load
from tests.stage import Stage, running_stage, wait_for


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A service with two workers, on stores that may be killed."""
    with running_stage(tmp_path_factory.mktemp("stage"), workers=2) as running:
        yield running


def rows_by_ack_id(stage: Stage, name: str, expected: set[str], seconds: float) -> dict[str, dict[str, object]]:
    """One row per expected push, and no other of this name; fails when one has none in time, or two."""

    def rows() -> list[dict[str, object]]:
        return stage.rows("ack_id LIKE %s", f"{name}-%")

    try:
        wait_for(lambda: {row["ack_id"] for row in rows()} >= expected, seconds, "every push has its row")
    except AssertionError as late:
        missing = expected - {row["ack_id"] for row in rows()}
        with stage.redis() as valkey:
            waiting = {key.decode(): valkey.type(key).decode() for key in valkey.keys()}
        raise AssertionError(f"{late}; {len(missing)} of {len(expected)} missing; Valkey holds {waiting}") from late
    time.sleep(2.5)  # two more rounds of writing: a second row for a push would come now
    found_rows = rows()
    found = {str(row["ack_id"]): row for row in found_rows}
    assert len(found) == len(found_rows), "a push has two rows"
    assert set(found) == expected
    return found


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
    rows = rows_by_ack_id(stage, load.name, set(load.answers) | set(load.broken), 20)
    waited = [row for row in rows.values() if (row["ended_at"] - row["accepted_at"]).total_seconds() > 1]  # type: ignore[operator]
    assert waited, "no push was in the hands of the killed worker: this test shows nothing"
    slowest = max((row["ended_at"] - row["accepted_at"]).total_seconds() for row in waited)  # type: ignore[operator]
    print(f"{len(rows)} pushes, {len(waited)} of them taken over, the last {slowest:.1f} s after it was accepted")
    assert slowest < 15, time.monotonic() - killed
    assert {row["outcome"] for row in rows.values()} == {"sent"}
    assert load.told("OK") == set(load.answers)
    assert max(load.seconds.values()) < 5.5
    stage.start_worker("worker")


def test_a_restart_of_valkey_loses_nothing_that_was_told_ok_and_no_row(stage: Stage) -> None:
    load = Load(stage, connections=24)
    time.sleep(2)
    stage.kill("valkey")
    time.sleep(1.5)
    refused_while_away = stage.push(ack_id="away")
    stage.start_valkey()
    time.sleep(2)
    load.stop()
    assert refused_while_away["status"] == "FAIL"
    assert refused_while_away["error"].startswith("queue_down")
    rows = rows_by_ack_id(stage, load.name, set(load.answers), 25)
    for ack_id in load.told("OK"):
        assert rows[ack_id]["outcome"] == "sent", ack_id
    print(f"{len(rows)} pushes, {len(load.told('OK'))} OK, {len(load.told('FAIL'))} FAIL while Valkey was away")
    assert max(load.seconds.values()) < 5.5
    assert len(stage.logged(1, where="ack_id = 'away'")) == 1


def test_pushes_go_on_while_postgres_is_away_and_their_rows_come_afterwards(stage: Stage) -> None:
    stage.kill("postgres")
    assert {stage.push(ack_id=f"without-postgres-{n}")["status"] for n in range(20)} == {"OK"}
    stage.start_postgres()
    rows_by_ack_id(stage, "without-postgres", {f"without-postgres-{n}" for n in range(20)}, 20)


def test_a_stopping_worker_finishes_what_it_has(stage: Stage) -> None:
    load = Load(stage, connections=16)
    time.sleep(1)
    stage.start_worker("worker3")
    stage.stop("worker")
    stage.stop("worker2")
    time.sleep(2)
    load.stop()
    rows = rows_by_ack_id(stage, load.name, set(load.answers), 20)
    assert {row["outcome"] for row in rows.values()} == {"sent"}
    seen = [request["json"]["ack_id"] for request in stage.sandbox.requests(provider="apns")]
    ours = [ack_id for ack_id in seen if ack_id.startswith(load.name)]
    assert len(ours) == len(set(ours)), "a worker that was only asked to stop left a push half done"
    stage.start_worker("worker")


def test_a_worker_that_stands_still_loses_its_batches_to_others_and_repeats_no_row(stage: Stage) -> None:
    stage.start_worker("worker2")
    load = Load(stage, connections=16)
    time.sleep(1)
    stage.pause("worker")
    # Longer than it takes to count as dead, and than the last move that it asked for can come about.
    time.sleep(9)
    load.stop()
    stage.go_on("worker")
    rows_by_ack_id(stage, load.name, set(load.answers), 20)
