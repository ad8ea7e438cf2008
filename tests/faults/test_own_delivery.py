"""Web processes that send by themselves: nothing that was told OK is lost, and each push ends as exactly one row."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from delivery.queue import ledger
from hpns.local.process import descendants
from tests.faults.pushes import GIVEN_UP
from tests.faults.rows import rows_of
from tests.faults.test_power_cut import apns_ids
from tests.load import Load
from tests.stage import Stage, a_push
from tests.waiting import PATIENCE, wait_for

SLOW = "dead0001"
"""What a phone's token begins with whose provider takes a second."""


@pytest.fixture(scope="module")
def stage(bent_service: Stage) -> Iterator[Stage]:
    """The service, whose web processes send by themselves meanwhile; two workers beside them."""
    stage = bent_service
    for name in ("worker", "worker2"):  # other tests stop some
        if name not in stage.children:
            stage.start_worker(name)
    _restart(stage, "web")
    yield stage
    _restart(stage, "workers")


def _restart(stage: Stage, sender: str) -> None:
    stage.kill("ingest")
    stage.env["DELIVER_FROM"] = sender
    stage.start_ingest()
    wait_for(stage.ready, PATIENCE, "the service is ready")


def under_way(stage: Stage, connections: int = 16) -> Load:
    """A load in which phones are answered after a second."""
    load = Load(stage, connections=connections, device_id=SLOW + "0" * 56)
    wait_for(lambda: len(load.answers) > 2 * connections, PATIENCE, "answers")
    return load


def web_processes(stage: Stage) -> list[int]:
    """The processes that serve pushes, below their parent."""
    found = []
    for pid in descendants(stage.children["ingest"].pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if b"hpns.asgi" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def web_process(stage: Stage) -> int:
    """The one that there is."""
    (found,) = web_processes(stage)
    return found


def left_behind(stage: Stage) -> list[bytes]:
    """The lists of processes that are gone."""
    alive = [f":{pid}:".encode() for pid in web_processes(stage)]
    with stage.redis() as valkey:
        return [key for key in valkey.keys("taken:web@*") if not any(pid in key for pid in alive)]


def rows_of_sent(stage: Stage, load: Load) -> dict[str, dict[str, Any]]:
    """The rows of a load by ack_id: of each push that was told OK or has come to its provider, and none twice.

    What lay unread in the connections of a process that was killed was never taken on.
    """
    wanted = load.with_status("OK") | set(apns_ids(stage, load))

    def rows() -> list[dict[str, Any]]:
        return stage.rows("ack_id LIKE %s", f"{load.name}-%")

    wait_for(lambda: {row["ack_id"] for row in rows()} >= wanted, PATIENCE, "each of them has its row")
    found = rows()
    assert len({row["ack_id"] for row in found}) == len(found), "a push has two rows"
    assert {row["ack_id"] for row in found} <= set(load.answers) | set(load.broken)
    return {row["ack_id"]: row for row in found}


def test_no_worker_sends_while_all_is_well(stage: Stage) -> None:
    with ExitStack() as held:
        for name in [name for name in stage.children if name.startswith("worker")]:
            held.enter_context(stage.paused(name))
        load = Load(stage, connections=4, most=100)
        load.wait()
        assert load.with_status("OK") == set(load.answers)
    assert {row["outcome"] for row in rows_of(stage, load).values()} == {"sent"}


def test_pushes_of_a_killed_web_process_are_taken_over_within_15_seconds_and_end_once(stage: Stage) -> None:
    load = under_way(stage)
    os.kill(web_process(stage), signal.SIGKILL)
    killed = time.monotonic()
    load.stop()
    assert load.broken, "no push was in the hands of the killed process: this test shows nothing"
    wait_for(lambda: not left_behind(stage), PATIENCE, "its list is taken over")
    rows = rows_of_sent(stage, load)
    ids = apns_ids(stage, load)
    last = max((row["ended_at"] - row["accepted_at"]).total_seconds() for row in rows.values())
    print(f"{len(rows)} pushes, {len(load.broken)} unanswered, the last ended {last:.1f} s after it was accepted")
    assert last < 15, time.monotonic() - killed
    assert load.with_status("OK") == set(load.answers)
    assert {row["outcome"] for row in rows.values()} == {"sent"}
    assert all(len(found) == 1 for found in ids.values()), "a repeat has the same apns-id"
    with stage.redis() as valkey:
        wait_for(lambda: not valkey.exists(ledger.OPEN), PATIENCE, "all that was accepted has ended, by the ledger")


def test_a_caller_that_breaks_off_and_comes_again_gets_the_first_ones_answer(stage: Stage) -> None:
    push = a_push(device_id=SLOW + "1" * 56)
    body = json.dumps(push).encode()
    head = f"POST /t/{stage.key}/api/v1/send_push HTTP/1.1\r\nHost: push\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stage.port)) as caller, stage.redis() as valkey:
        caller.sendall(head.encode() + body)
        wait_for(lambda: valkey.keys("taken:web@*"), PATIENCE, "the push was taken on")
    assert stage.push(**push) == {"status": "OK"}
    wait_for(lambda: stage.rows("ack_id = %s", push["ack_id"]), PATIENCE, "its row")  # so that nobody takes it over
    _restart(stage, "web")
    assert stage.push(**push) == {"status": "OK"}, "another process"
    sent = [one for one in stage.sandbox.requests(provider="apns") if one["json"]["ack_id"] == push["ack_id"]]
    assert (len(sent), len(stage.rows("ack_id = %s", push["ack_id"]))) == (1, 1)


def test_a_restart_of_valkey_under_load_loses_nothing_that_was_told_ok(stage: Stage) -> None:
    load = under_way(stage)
    stage.kill("valkey")
    load.ease()
    time.sleep(1.0)
    stage.start_valkey()
    time.sleep(1.0)
    load.stop()
    rows = rows_of(stage, load)
    assert {rows[ack_id]["outcome"] for ack_id in load.with_status("OK")} == {"sent"}
    assert max(load.seconds.values()) < GIVEN_UP


def test_a_web_process_that_stands_still_loses_its_batches_to_workers_and_repeats_no_row(stage: Stage) -> None:
    load = under_way(stage)
    process = web_process(stage)
    os.kill(process, signal.SIGSTOP)
    try:
        with stage.redis() as valkey:
            wait_for(lambda: not any(b"web@" in key for key in valkey.keys("taken:*")), 20, "its list is taken over")
    finally:
        os.kill(process, signal.SIGCONT)
    load.ease()
    load.stop()
    rows_of(stage, load)


def test_a_web_process_that_is_asked_to_stop_sends_to_the_end_what_it_has(stage: Stage) -> None:
    load = under_way(stage)
    stage.children["ingest"].signal_group(signal.SIGTERM)
    load.ease()
    wait_for(lambda: load.broken, PATIENCE, "the service has stopped")
    load.stop()
    _restart(stage, "web")
    told = set(load.answers)
    rows = wait_for(
        lambda: (found := stage.rows("ack_id LIKE %s", f"{load.name}-%")) and len(found) >= len(told) and found,
        PATIENCE,
        "each push that was answered has its row",
    )
    assert sorted(row["ack_id"] for row in rows) == sorted(told)
    assert {row["outcome"] for row in rows} == {"sent"}
    assert load.with_status("OK") == told
    sent = [request["json"]["ack_id"] for request in stage.sandbox.requests(provider="apns")]
    ours = [ack_id for ack_id in sent if ack_id.startswith(load.name)]
    assert len(ours) == len(set(ours)), "a process that was only asked to stop left a push half done"
