"""A Valkey that is full or says nothing: nothing is lost, memory stays bounded, and it recovers alone."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.faults.pushes import GIVEN_UP
from tests.load import Load
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for


@pytest.fixture(scope="module")
def stage(bent_service: Stage) -> Stage:
    """A service with one worker, whose Valkey may be bent."""
    for name in [name for name in bent_service.children if name.startswith("worker") and name != "worker"]:
        bent_service.stop(name)
    return bent_service


@contextmanager
def full(stage: Stage) -> Iterator[None]:
    """Leave Valkey no memory for a while."""
    with stage.redis() as valkey:
        valkey.config_set("maxmemory", "1mb")
        try:
            yield
        finally:
            valkey.config_set("maxmemory", "0")


def batches(valkey: redis.Redis) -> int:
    """How many batches wait: in the queue, or where a worker that is held still had asked for one before."""
    return sum(valkey.llen(key) for key in ("push", *valkey.scan_iter("taken:*:push")))


def test_a_full_valkey_still_drains_and_each_refused_push_has_its_row(stage: Stage) -> None:
    answers: dict[str, Any] = {}

    def push(ack_id: str) -> None:
        answers[ack_id] = stage.push(ack_id=ack_id)

    queued = [threading.Thread(target=push, args=(f"queued-{n}",)) for n in range(3)]
    with stage.redis() as valkey, stage.paused("worker"):
        for count, thread in enumerate(queued, 1):
            thread.start()
            wait_for(lambda count=count: batches(valkey) == count, PATIENCE, f"{count} pushes are queued")
        with full(stage):
            refused = [stage.push(ack_id=f"refused-{n}") for n in range(5)]
            assert all(answer["error"].startswith("queue_down") for answer in refused)
            stage.go_on("worker")
            rows = stage.logged(3, where="ack_id LIKE 'queued-%%'")
            assert {row["outcome"] for row in rows} == {"sent"}
    for thread in queued:
        thread.join()
    assert {answers[f"queued-{n}"]["status"] for n in range(3)} == {"OK"}
    rows = stage.logged(5, where="ack_id LIKE 'refused-%%'")
    assert {row["code"] for row in rows} == {"queue_down"}
    assert stage.push()["status"] == "OK"


def test_a_valkey_that_says_nothing_counts_as_away_and_is_back_when_it_speaks(stage: Stage) -> None:
    load = Load(stage, connections=8)
    time.sleep(0.5)
    with stage.paused("valkey"):
        assert stage.push(ack_id="finds-out")["error"].startswith("queue_down")
        # From then on not after a deadline each: whoever comes now is told at once, so nothing piles up.
        quickest = math.inf
        for number in range(3):  # a busy machine holds up one of them, hardly all
            started = time.monotonic()
            assert stage.push(ack_id=f"meanwhile-{number}")["error"].startswith("queue_down")
            quickest = min(quickest, time.monotonic() - started)
        assert quickest < 1
    wait_for(lambda: stage.push()["status"] == "OK", PATIENCE, "pushes are taken again")
    load.stop()
    accepted = load.with_status("OK")
    wait_for(
        lambda: accepted <= {row["ack_id"] for row in stage.rows("ack_id LIKE %s", f"{load.name}-%")},
        PATIENCE,
        "their rows",
    )
    assert max(load.seconds.values()) < GIVEN_UP
