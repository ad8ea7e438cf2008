"""Processes that start while a store is away: they wait, say for what, and lose nothing."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.faults.pushes import PROMPT, PushAnswer, push, rows, wait_for_worker
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

OURS = ("ingest", "worker", "beat")


def start_all(service: Stage) -> None:
    """Start what is ours."""
    service.start_ingest()
    service.start_worker()
    service.start_beat()


def health(service: Stage) -> tuple[int, dict[str, Any]]:
    """What /health/ready says, once the web process answers at all."""

    def answered() -> tuple[int, bytes] | None:
        try:
            return service.get("/health/ready")
        except OSError:
            return None

    status, body = wait_for(answered, PATIENCE, "the web process answers")
    return status, json.loads(body)


class Started(NamedTuple):
    """A start without Valkey: the health and a push's answer before it came, the push after it came."""

    health: tuple[int, dict[str, Any]]
    before: PushAnswer
    after: PushAnswer
    alive: bool


@pytest.fixture(scope="module")
def without_valkey(service: Stage) -> Started:
    """Everything of ours is started, then Valkey."""
    for name in OURS:
        service.kill(name)
    service.kill("valkey")
    start_all(service)
    wait_for(
        lambda: "the directory of keys" not in str(health(service)[1]["missing"]), PATIENCE, "the directory is read"
    )
    report, before = health(service), push(service)
    service.start_valkey()
    wait_for(service.ready, PATIENCE, "it goes on by itself")
    wait_for_worker(service)
    alive = all(service.children[name].poll() is None for name in OURS)
    return Started(report, before, push(service), alive)


def test_a_start_without_valkey_waits_and_goes_on_when_it_comes(without_valkey: Started) -> None:
    assert without_valkey.alive, "a process gave up"
    assert without_valkey.after.status == "OK"


def test_a_start_without_valkey_says_what_is_missing(without_valkey: Started) -> None:
    status, report = without_valkey.health
    assert (status, report["status"]) == (503, "not ready")
    assert any("the queue (Valkey) does not answer" in missing for missing in report["missing"]), report
    assert any("no connection to the queue (Valkey)" in missing for missing in report["missing"]), report


def test_a_push_is_refused_at_once_while_valkey_is_not_there_yet_and_has_its_row(
    service: Stage, without_valkey: Started
) -> None:
    answer = without_valkey.before
    assert answer.error.startswith("queue_down the push service cannot queue pushes at the moment: "), answer
    assert answer.seconds < PROMPT
    row = rows(service, {"push": answer})["push"]
    assert (row["outcome"], row["attribution"], row["attempts"]) == ("failed", "ours", [])


@pytest.fixture(scope="module")
def without_postgres(service: Stage, without_valkey: Started) -> Iterator[None]:
    """Everything of ours is started while PostgreSQL is away; it comes back afterwards."""
    for name in OURS:
        service.kill(name)
    service.kill("postgres")
    start_all(service)
    wait_for(service.ready, PATIENCE, "it is ready without PostgreSQL")
    wait_for_worker(service)
    yield
    if "postgres" not in service.children:
        service.start_postgres()


def test_a_start_without_postgres_uses_the_copy_and_pushes_go_on(service: Stage, without_postgres: None) -> None:
    answers = {name: push(service, platform=f"{name}-v2") for name in ("apple_rn", "android_rn")}
    assert {one.status for one in answers.values()} == {"OK"}
    status, report = health(service)
    assert (status, report["missing"]) == (200, [])
    assert "PostgreSQL cannot be read" in str(report["amiss"]), report
    assert "pages and the log wait" in str(report["amiss"]), report
    service.start_postgres()
    assert {row["outcome"] for row in rows(service, answers).values()} == {"sent"}
