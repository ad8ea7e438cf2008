"""Pushes that stand in the queue at their deadline, and a vault key that is rotated, and missing, meanwhile.

The fixture `waited` is all of it at once: no worker, then one that lacks the key of the batches, then one that has it
beside a new one.
"""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.faults.pushes import DEADLINE, GIVEN_UP, PushAnswer, at_once, iphone, replace_worker, rows
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

NEW_KEY = "s2:" + base64.urlsafe_b64encode(b"w" * 32).decode()
LOUD = "stays in it until it can"


class Waited(NamedTuple):
    """The answers by name, their rows, what the worker without the key said, what it sent, and whose phone it was."""

    answers: dict[str, PushAnswer]
    rows: dict[str, dict[str, Any]]
    log: str
    sent: list[dict[str, Any]]
    device: str


@pytest.fixture(scope="module")
def waited(service: Stage) -> Waited:
    """See the module."""
    device = iphone()
    service.stop("worker")
    before = len(service.log("worker"))
    with ThreadPoolExecutor(1) as thread:
        pushes: dict[str, dict[str, Any]] = {
            "message": {"device_id": device},
            "test": {"type": "test"},
        }
        pushing = thread.submit(at_once, service, **pushes)
        replace_worker(service, ready=False, VAULT_KEYS=NEW_KEY)
        wait_for(lambda: LOUD in service.log("worker")[before:], PATIENCE, "the worker without the key is loud")
        service.stop("worker")
        log, sent = service.log("worker")[before:], service.sandbox.requests(device)
        answers = pushing.result()
    both = f"{NEW_KEY},{service.env['VAULT_KEYS']}"
    replace_worker(service, ready=False, VAULT_KEYS=both)
    rows(service, answers)
    time.sleep(1.2)  # another round of writing: a second row would come now
    return Waited(answers, rows(service, answers), log, sent, device)


def test_a_message_that_is_still_queued_at_the_deadline_is_ok_and_goes_on(service: Stage, waited: Waited) -> None:
    answer, row = waited.answers["message"], waited.rows["message"]
    assert (answer.status, row["outcome"], row["answer"]) == ("OK", "sent", "OK")
    assert DEADLINE - 0.2 < answer.seconds < GIVEN_UP
    assert len(service.sandbox.requests(waited.device)) == 1


def test_a_test_push_that_is_still_queued_at_the_deadline_fails_for_good(waited: Waited) -> None:
    answer, row = waited.answers["test"], waited.rows["test"]
    assert answer.error.startswith("late_test the test push had no result within 5 s: the app tests again"), answer
    assert answer.seconds < GIVEN_UP
    assert (row["code"], row["answer"], row["attempts"]) == ("late_test", "FAIL", [])


def test_a_batch_that_cannot_be_opened_stays_in_the_queue_loudly(waited: Waited) -> None:
    line = next(line for line in waited.log.splitlines() if LOUD in line)
    assert "CRITICAL" in line
    assert "not in VAULT_KEYS" in line
    assert "put it back" in line
    assert waited.sent == []


def test_batches_of_a_rotated_key_end_once_when_the_key_is_back(waited: Waited) -> None:
    assert {name: row["count"] for name, row in waited.rows.items()} == {"message": 1, "test": 1}
