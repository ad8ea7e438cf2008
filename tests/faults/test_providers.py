"""A provider that breaks off, refuses or goes away: each request on the wire is one counted attempt, and it passes.

Everything is pushed once, one after the other, by the fixture `cases`; the tests look at what came of it.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.faults.pushes import GIVEN_UP, PROMPT, PushAnswer, android, at_once, iphone, push, rows
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

SENT: dict[str, Any] = {"status": 200}
UNAVAILABLE: dict[str, Any] = {"status": 503, "json": {"reason": "ServiceUnavailable"}}
EXPIRED: dict[str, Any] = {"status": 403, "json": {"reason": "ExpiredProviderToken"}}
UNAUTHENTICATED: dict[str, Any] = {"status": 401, "json": {"error": {"code": 401, "status": "UNAUTHENTICATED"}}}
CUT: dict[str, Any] = {"status": 400, "json": {"reason": "BadDeviceToken"}, "cut": True}
CUT_SENT: dict[str, Any] = {"json": {"name": "projects/demo-project/messages/1"}, "cut": True}


class Fault(NamedTuple):
    """What the provider does to one push, how often it is asked, and what the server is told."""

    platform: str
    answers: list[dict[str, Any]]
    requests: int
    expected: str  # "OK", or the code of the FAIL


FAULTS = {
    "apple resets the stream": Fault("apple_rn-v2", [{"reset": 2}], 2, "transport_reset_unanswered"),
    "apple refuses the stream once": Fault("apple_rn-v2", [{"reset": 7}, SENT], 2, "OK"),
    "apple disowns it and goes away once": Fault("apple_rn-v2", [{"goaway": 0}, SENT], 2, "OK"),
    "apple disowns it twice": Fault("apple_rn-v2", [{"goaway": 0}, {"goaway": 0}, SENT], 3, "OK"),
    "apple resets the stream once": Fault("apple_rn-v2", [{"reset": 2}, SENT], 2, "OK"),
    "apple closes the connection": Fault("apple_rn-v2", [{"close": True}, SENT], 2, "OK"),
    "apple cuts its answer": Fault("apple_rn-v2", [CUT], 1, "apns_unknown"),
    "apple calls the token expired once": Fault("apple_rn-v2", [EXPIRED, SENT], 2, "OK"),
    "apple is unavailable twice": Fault("apple_rn-v2", [UNAVAILABLE, UNAVAILABLE, SENT], 3, "OK"),
    "google resets the stream": Fault("android_rn-v2", [{"reset": 2}], 2, "transport_reset_unanswered"),
    "google refuses the stream once": Fault("android_rn-v2", [{"reset": 7}, SENT], 2, "OK"),
    "google disowns it and goes away once": Fault("android_rn-v2", [{"goaway": 0}, SENT], 2, "OK"),
    "google closes the connection": Fault("android_rn-v2", [{"close": True}, SENT], 2, "OK"),
    "google cuts its answer": Fault("android_rn-v2", [CUT_SENT], 1, "OK"),
    "google refuses the access token once": Fault("android_rn-v2", [UNAUTHENTICATED, SENT], 2, "OK"),
}


class Case(NamedTuple):
    """What came of a fault: the push itself, the next one of the same app, one of another, and their traces."""

    answer: PushAnswer
    following: PushAnswer
    other: PushAnswer
    requests: list[dict[str, Any]]
    row: dict[str, Any]


@pytest.fixture(scope="module")
def cases(service: Stage) -> dict[str, Case]:
    """Each fault, met once."""
    at_once(service, apple={}, beta={"platform": "apple_rnbeta-v2"}, google={"platform": "android_rn-v2"})
    # A signing token carries the second in which it was made: a renewed one is to be told apart.
    time.sleep(2.1)
    answers, following, other, devices = {}, {}, {}, {}
    for name, fault in FAULTS.items():
        devices[name] = android() if fault.platform.startswith("android") else iphone()
        service.sandbox.script(devices[name], fault.answers)
        answers[name] = push(service, platform=fault.platform, device_id=devices[name])
        following[name] = push(service, platform=fault.platform)
        other[name] = push(service, platform="apple_rnbeta-v2")
    row = rows(service, answers)
    seen = {name: service.sandbox.requests(device) for name, device in devices.items()}
    return {name: Case(answers[name], following[name], other[name], seen[name], row[name]) for name in FAULTS}


@pytest.mark.parametrize("name", FAULTS)
def test_the_server_is_told_what_came_of_a_fault(cases: dict[str, Case], name: str) -> None:
    answer = cases[name].answer
    assert (answer.code or answer.status) == FAULTS[name].expected, answer
    assert answer.status in ("OK", "FAIL")
    assert answer.seconds < PROMPT


@pytest.mark.parametrize("name", FAULTS)
def test_each_request_on_the_wire_is_one_counted_attempt(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    assert len(case.requests) == FAULTS[name].requests
    assert len(case.row["attempts"]) == len(case.requests)
    assert case.row["code"] == (case.answer.code or "sent")


@pytest.mark.parametrize("name", FAULTS)
def test_the_next_push_goes_through_promptly_and_other_apps_notice_nothing(cases: dict[str, Case], name: str) -> None:
    for answer in (cases[name].following, cases[name].other):
        assert answer.status == "OK", answer
        assert answer.seconds < PROMPT


def test_a_push_that_may_have_arrived_twice_ends_as_unknown_and_is_not_sent_again(cases: dict[str, Case]) -> None:
    unknown = {name for name, case in cases.items() if case.row["outcome"] == "unknown"}
    assert unknown == {name for name, fault in FAULTS.items() if fault.expected != "OK"}
    assert {cases[name].row["attribution"] for name in unknown} == {"provider"}


def test_a_signing_token_that_is_not_old_is_kept_for_the_second_try(cases: dict[str, Case]) -> None:
    """No clock differs, so that a new one would say the same, but in the second half of its slot of forty minutes.

    Apple refuses the third one within twenty minutes.
    """
    first, second = (
        request["at"] - request["headers"]["authorization"]["age_s"]
        for request in cases["apple calls the token expired once"].requests
    )
    assert abs(second - first) < 1 or abs(second - first - 1_200) < 1


def test_a_refused_access_token_is_replaced_by_one_fetched_anew(cases: dict[str, Case], service: Stage) -> None:
    first, second = cases["google refuses the access token once"].requests
    grants = [request["number"] for request in service.sandbox.requests(provider="oauth")]
    assert [number for number in grants if first["number"] < number < second["number"]]


def test_apps_of_apples_sandbox_go_to_its_own_host(service: Stage) -> None:
    devices = {platform: iphone() for platform in ("apple_rn-v2", "apple_rnbeta-v2")}
    answers = at_once(
        service, **{platform: {"platform": platform, "device_id": device} for platform, device in devices.items()}
    )
    assert {one.status for one in answers.values()} == {"OK"}
    hosts = {platform: service.sandbox.requests(device)[0]["host"] for platform, device in devices.items()}
    port = service.sandbox.port
    assert hosts == {"apple_rn-v2": f"localhost:{port}", "apple_rnbeta-v2": f"127.0.0.1:{port}"}
    logged = {platform: row["attempts"][0]["host"] for platform, row in rows(service, answers).items()}
    assert logged == {"apple_rn-v2": "localhost", "apple_rnbeta-v2": "127.0.0.1"}


def test_a_crowd_on_one_connection_that_breaks_is_counted_request_by_request(service: Stage) -> None:
    pushes = {f"push{number}": {"device_id": iphone()} for number in range(48)}
    names = list(pushes)
    service.sandbox.scripts(
        {
            **{one["device_id"]: [{"delay": 0.2}] for one in pushes.values()},
            pushes[names[20]]["device_id"]: [{"goaway": 0}, SENT],
            pushes[names[40]]["device_id"]: [{"delay": 0.1, "close": True}, SENT],
        }
    )
    answers = at_once(service, **pushes)
    for name, row in rows(service, answers).items():
        requests = service.sandbox.requests(pushes[name]["device_id"])
        assert len(requests) <= len(row["attempts"]), f"{name} was sent behind our back"
        assert (row["outcome"], answers[name].status) == ("sent", "OK"), name
    assert push(service).seconds < PROMPT


@pytest.fixture
def while_away(service: Stage) -> Iterator[Callable[[str], None]]:
    """Sets the providers' mode; they are well again afterwards."""
    yield service.sandbox.mode
    service.sandbox.mode("up")


def test_a_wrong_certificate_gets_nothing_and_is_named(service: Stage, while_away: Callable[[str], None]) -> None:
    before = service.sandbox.state()["last"]
    while_away("wrong_certificate")
    # Tests, which are not tried later.
    answers = at_once(service, apple={"type": "test"}, google={"platform": "android_rn-v2", "type": "test"})
    for one in answers.values():
        assert one.error.startswith("transport_tls no encrypted connection to localhost could be agreed on ("), one
        assert "certificate" in one.error
        assert one.seconds < GIVEN_UP
    assert service.sandbox.state()["last"] == before, "something was sent to a stranger"
    for row in rows(service, answers).values():
        assert (row["outcome"], row["attribution"]) == ("failed", "ours")
        assert {(attempt["status"], attempt["reason"]) for attempt in row["attempts"]} == {(0, "tls")}
    while_away("up")
    back = at_once(service, apple={}, google={"platform": "android_rn-v2"})
    assert all(one.status == "OK" and one.seconds < PROMPT for one in back.values()), back


def test_a_provider_that_is_down_is_tried_again_until_the_deadline(
    service: Stage, while_away: Callable[[str], None]
) -> None:
    while_away("down")
    answers = {"push": push(service, type="test")}
    assert answers["push"].error.startswith("transport_connect no connection to localhost could be opened: "), answers
    assert answers["push"].seconds < GIVEN_UP
    row = rows(service, answers)["push"]
    assert (row["outcome"], row["attribution"], row["counts"]) == ("failed", "provider", True)
    assert {attempt["reason"] for attempt in row["attempts"]} == {"connect"}
    assert sum(attempt["ms"] for attempt in row["attempts"]) > 3000, "it waited for the provider as long as it could"


def test_a_push_goes_through_when_its_provider_comes_back_within_the_deadline(
    service: Stage, while_away: Callable[[str], None]
) -> None:
    device = iphone()
    while_away("down")
    with ThreadPoolExecutor(1) as thread:
        pushing = thread.submit(push, service, device_id=device)
        time.sleep(0.8)
        while_away("up")
        answers = {"push": pushing.result()}
    assert answers["push"].status == "OK"
    row = rows(service, answers)["push"]
    [attempt] = row["attempts"]
    assert (attempt["status"], attempt["ms"] > 500) == (200, True)
    assert len(wait_for(lambda: service.sandbox.requests(device), PATIENCE, "it arrived")) == 1
