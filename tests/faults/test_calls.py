"""A call that was on its way when the process that sent it was killed does not ring again; a message is sent again."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from typing import Any, NamedTuple

import pytest

from tests.faults.pushes import android, iphone, push
from tests.faults.test_own_delivery import web_processes
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

WORKERS = ("worker", "worker2")
SLOW: dict[str, Any] = {"status": 200, "delay": 3.0}
KINDS: dict[str, dict[str, Any]] = {
    **{f"call {number}": {"transport": "voip", "sub_type": "calls"} for number in range(4)},
    **{f"call to Android {number}": {"platform": "android_rn-v2", "sub_type": "calls"} for number in range(2)},
    **{f"message {number}": {} for number in range(2)},
}


class Killed(NamedTuple):
    """What came of pushes whose process was killed: which were on the wire then, and by name their rows, and how many
    requests there were in all."""

    on_the_wire: set[str]
    rows: dict[str, dict[str, Any]]
    requests: dict[str, int]


@pytest.fixture(scope="module", params=["web", "workers"])
def killed(bent_service: Stage, request: pytest.FixtureRequest) -> Iterator[Killed]:
    """Pushes to slow providers, and SIGKILL of what sends them as soon as a call is on the wire."""
    stage, sender = bent_service, request.param
    for name in WORKERS:  # other tests stop some
        if name not in stage.children:
            stage.start_worker(name)
    _restart(stage, sender)
    wait_for(lambda: push(stage).status == "OK", PATIENCE, "pushes go")
    wait_for(lambda: push(stage, platform="android_rn-v2").status == "OK", PATIENCE, "pushes go to Google")
    stage.sandbox.script("*", SLOW)
    try:
        yield _killed(stage, sender)
    finally:
        stage.sandbox.clear_scripts()
        _restart(stage, "workers")


def _killed(stage: Stage, sender: str) -> Killed:
    ids = {name: f"ring-{sender}-{os.urandom(6).hex()}" for name in KINDS}
    with ThreadPoolExecutor(len(KINDS)) as threads:
        for name, members in KINDS.items():
            device = android() if "Android" in name else iphone()
            threads.submit(_pushed, stage, ack_id=ids[name], device_id=device, **members)
        before = wait_for(lambda: _on_the_wire(stage, ids), PATIENCE, "a call is on the wire")
        if sender == "web":
            for pid in web_processes(stage):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            for name in WORKERS:
                stage.kill(name)
            for name in WORKERS:
                stage.start_worker(name)
    stage.sandbox.clear_scripts()
    begun = {ids[name] for name, count in _requests(stage, ids).items() if count}

    def written() -> list[dict[str, Any]]:
        return stage.rows("ack_id = ANY(%s)", list(ids.values()))

    wait_for(lambda: {row["ack_id"] for row in written()} >= begun, PATIENCE, "each that was sent has its row")
    found = written()
    rows = {row["ack_id"]: row for row in found}
    assert len(rows) == len(found), "a push has two rows"
    return Killed(before, {name: rows[id_] for name, id_ in ids.items() if id_ in rows}, _requests(stage, ids))


def _on_the_wire(stage: Stage, ids: dict[str, str]) -> set[str]:
    """Those whose provider has them; none before there is a call among them."""
    found = {name for name, count in _requests(stage, ids).items() if count}
    return found if any("call" in name for name in found) else set()


def _pushed(stage: Stage, **members: Any) -> None:
    with suppress(OSError, HTTPException):  # nobody is there to answer
        push(stage, **members)


def _requests(stage: Stage, ids: dict[str, str]) -> dict[str, int]:
    counts = dict.fromkeys(ids.values(), 0)
    for seen in stage.sandbox.requests():
        content = seen["json"] if isinstance(seen["json"], dict) else {}
        ack_id = content.get("ack_id") or (content.get("message") or {}).get("data", {}).get("ack_id")
        if ack_id in counts:
            counts[ack_id] += 1
    return {name: counts[ack_id] for name, ack_id in ids.items()}


def _restart(stage: Stage, sender: str) -> None:
    stage.kill("ingest")
    stage.env["DELIVER_FROM"] = sender
    stage.start_ingest()
    wait_for(stage.ready, PATIENCE, "the service is ready")


def test_no_call_of_a_killed_process_is_sent_again(killed: Killed) -> None:
    assert {name: count for name, count in killed.requests.items() if "call" in name and count > 1} == {}


def test_a_call_that_was_on_the_wire_ends_as_interrupted_and_is_no_fault_of_the_customers(killed: Killed) -> None:
    rows = [killed.rows[name] for name in killed.on_the_wire if "call" in name]
    assert {(row["outcome"], row["code"], row["attribution"]) for row in rows} == {("unknown", "interrupted", "ours")}


def test_a_message_takes_its_own_place_and_is_sent_again_until_it_is_taken(killed: Killed) -> None:
    assert {row["outcome"] for name, row in killed.rows.items() if "message" in name} <= {"sent"}
