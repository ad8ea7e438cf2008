"""Whatever a provider does, the waiting server is answered within five seconds, and nobody else waits with it."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.faults.pushes import DEADLINE, GIVEN_UP, PROMPT, PushAnswer, android, at_once, iphone, push, rows
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

HANG: dict[str, Any] = {"hang": True}
BUSY: dict[str, Any] = {"status": 503, "json": {"reason": "ServiceUnavailable"}, "headers": {"retry-after": "5"}}
QUIET_ACCOUNT = "oauth:android_quiet@"


class Waited(NamedTuple):
    """A push that its provider kept waiting: the answer, and its row."""

    answer: PushAnswer
    row: dict[str, Any]


SLOW = {
    "apple after 2 s": ("apple_rn-v2", {"delay": 2}),
    "apple after 10 s": ("apple_rn-v2", {"delay": 10}),
    "apple never": ("apple_rn-v2", HANG),
    "google after 2 s": ("android_rn-v2", {"delay": 2}),
    "google after 10 s": ("android_rn-v2", {"delay": 10}),
    "google never": ("android_rn-v2", HANG),
}
# Messages, which are tried again when their servers have had an answer.
LATER: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "apple silent once": ("apple_rn-v2", [HANG, {"status": 200}]),
    "google silent once": ("android_rn-v2", [HANG, {"status": 200}]),
    "apple busy for long": ("apple_rn-v2", [BUSY, {"status": 200}]),
}
NO_TOKEN = "no access token"


@pytest.fixture(scope="module")
def bystanders() -> list[PushAnswer]:
    """Pushes to apps whose providers answer, made while the slow ones wait."""
    return []


@pytest.fixture(scope="module")
def slow(service: Stage, keys: dict[str, str], bystanders: list[PushAnswer]) -> dict[str, Waited]:
    """A push to each slow provider, all at once, and bystanders meanwhile."""
    wait_for(lambda: push(service, platform="apple_certified-v2").status == "OK", PATIENCE, "the new apps are known")
    at_once(service, apple={}, beta={"platform": "apple_rnbeta-v2"}, google={"platform": "android-v2"})
    # Tests are not tried later: their servers are told what came of them.
    pushes: dict[str, dict[str, Any]] = {NO_TOKEN: {"platform": "android_quiet-v2", "type": "test"}}
    service.sandbox.script(QUIET_ACCOUNT, HANG)
    for name, (platform, script) in SLOW.items():
        device = iphone() if platform.startswith("apple") else android()
        service.sandbox.script(device, script)
        pushes[name] = {"platform": platform, "device_id": device, "type": "test"}
    for name, (platform, scripted) in LATER.items():
        device = iphone() if platform.startswith("apple") else android()
        service.sandbox.script(device, scripted)
        pushes[name] = {"platform": platform, "device_id": device, "post_id": "p" * 26}
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(at_once, service, **pushes)
        while not waiting.done():
            for platform in ("apple_rnbeta-v2", "apple_certified-v2", "android-v2"):
                bystanders.append(push(service, platform=platform))
            time.sleep(0.3)
        answers = waiting.result()
    service.sandbox.clear_scripts()
    row = rows(service, answers)
    return {name: Waited(answers[name], row[name]) for name in answers}


@pytest.mark.parametrize("name", LATER)
def test_what_cannot_be_sent_by_the_deadline_is_ok_because_it_is_queued_and_is_sent_later_once(
    slow: dict[str, Waited], name: str
) -> None:
    answer, row = slow[name]
    assert (answer.status, answer.seconds < GIVEN_UP) == ("OK", True)
    assert (row["outcome"], row["answer"], len(row["attempts"])) == ("sent", "OK", 2)
    assert (row["ended_at"] - row["accepted_at"]).total_seconds() > 4


@pytest.mark.parametrize("who", ["apple", "google"])
def test_a_provider_that_answers_after_two_seconds_is_waited_for(slow: dict[str, Waited], who: str) -> None:
    answer, row = slow[f"{who} after 2 s"]
    assert answer.status == "OK"
    assert 2 <= answer.seconds < DEADLINE
    assert row["outcome"] == "sent"


@pytest.mark.parametrize("name", ["apple after 10 s", "apple never", "google after 10 s", "google never"])
def test_a_test_that_its_provider_answers_too_late_ends_as_unknown_within_the_deadline(
    slow: dict[str, Waited], name: str
) -> None:
    answer, row = slow[name]
    assert answer.error.startswith("transport_timeout_unanswered localhost did not answer in time, and the push may"), (
        answer
    )
    assert answer.seconds < GIVEN_UP
    assert (row["outcome"], row["answer"], row["attribution"]) == ("unknown", "FAIL", "provider")
    assert len(row["attempts"]) == 1


def test_a_silent_token_endpoint_ends_as_not_sent_within_the_deadline(slow: dict[str, Waited]) -> None:
    answer, row = slow[NO_TOKEN]
    assert answer.error.startswith("fcm_no_access_token Google's token service gave no access token ("), answer
    assert answer.seconds < GIVEN_UP
    assert (row["outcome"], row["attribution"]) == ("failed", "provider")
    assert {attempt["status"] for attempt in row["attempts"]} == {0}


def test_nobody_else_is_held_up_meanwhile(slow: dict[str, Waited], bystanders: list[PushAnswer]) -> None:
    assert len(bystanders) >= 12
    assert {answer.status for answer in bystanders} == {"OK"}
    assert max(answer.seconds for answer in bystanders) < PROMPT


def test_the_token_endpoint_is_asked_again_once_it_speaks(service: Stage, slow: dict[str, Waited]) -> None:
    wait_for(lambda: push(service, platform="android_quiet-v2").status == "OK", PATIENCE, "there is a token")


def test_a_provider_that_takes_connections_and_says_nothing_is_given_up_in_time(service: Stage) -> None:
    before = service.sandbox.state()["last"]
    service.sandbox.mode("silent")
    try:
        answers = at_once(service, apple={"type": "test"}, google={"platform": "android_rn-v2", "type": "test"})
    finally:
        service.sandbox.mode("up")
    for one in answers.values():
        assert one.error.startswith("transport_timeout_connect no connection to localhost was ready in time"), one
        assert one.seconds < GIVEN_UP
    assert service.sandbox.state()["last"] == before
    assert {row["outcome"] for row in rows(service, answers).values()} == {"failed"}
    back = at_once(service, apple={}, google={"platform": "android_rn-v2"})
    assert all(one.status == "OK" and one.seconds < PROMPT for one in back.values()), back


def test_a_provider_that_freezes_on_an_open_connection_is_given_up_in_time(service: Stage) -> None:
    at_once(service, apple={}, google={"platform": "android_rn-v2"})
    os.kill(service.sandbox.pid, signal.SIGSTOP)
    try:
        answers = at_once(service, apple={"type": "test"}, google={"platform": "android_rn-v2", "type": "test"})
    finally:
        os.kill(service.sandbox.pid, signal.SIGCONT)
    for one in answers.values():
        assert one.code == "transport_timeout_unanswered", one
        assert one.seconds < GIVEN_UP
    assert {row["outcome"] for row in rows(service, answers).values()} == {"unknown"}
    back = at_once(service, apple={}, google={"platform": "android_rn-v2"})
    assert all(one.status == "OK" and one.seconds < PROMPT for one in back.values()), back
