"""The guard of the replay, tried on the recording itself: it finds a difference without a row, and the reverse."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.vectors import expect, load
from tests.vectors.difference import Difference
from tests.vectors.http1 import Answer
from tests.vectors.load import Vector
from tests.vectors.replay import Seen

HOSTS = {name: name for name in ("api.push.apple.com", "api.sandbox.push.apple.com", "fcm.googleapis.com")}
FIRST = "Ordinary message number 3 with a mix of optional fields"
REMOVED = "APNs answers 400 BadDeviceToken to a clear push"
ROW = Difference(
    instead="FAIL.", why="Why not.", names=(REMOVED,), expected={"verdict": "FAIL", "code": "apns_bad_device_token"}
)


def as_recorded(vector: Vector) -> Seen:
    """What a service would show that is the reference itself, though one that redirects nobody."""
    answer = Answer(vector.response["status"], {}, vector.response["body"].encode())
    sent = [one | {"check": ""} for one in vector.provider_requests if one["provider"] != "oauth"]
    grants = len(vector.provider_requests) - len(sent)
    sent += sent[:1] * (vector.provider_requests_total - grants - len(sent))
    return Seen(answer, sent[:1] * len(sent), grants)


def judged(name: str, *rows: Difference, **changes: Any) -> expect.Report:
    """The judgement on one vector whose request to the provider, or whose answer, was changed."""
    vector = next(vector for vector in load.everything() if vector.name == name)
    seen = as_recorded(vector)
    if "answer" in changes:
        seen.answer = replace(seen.answer, body=json.dumps(changes.pop("answer")).encode())
    seen.requests = [one | changes for one in seen.requests]
    return expect.judge([vector], {name: seen}, HOSTS, rows)


def test_the_reference_itself_agrees_with_its_recording() -> None:
    vectors = load.everything()
    report = expect.judge(vectors, {vector.name: as_recorded(vector) for vector in vectors}, HOSTS, ())
    assert (len(report.agree), report.faults) == (1606, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/3/device/another"},
        {"host": "api.sandbox.push.apple.com"},
        {"json": {"aps": {"alert": "another"}}},
        {"headers": {"apns-topic": "com.mattermost.rn"}},
        {"check": "400 BadTopic: wrong"},
        {"answer": {"status": "REMOVE"}},
        {"answer": {"status": "OK", "more": 1}},
    ],
    ids=str,
)
def test_a_difference_without_a_row_is_found(changes: Mapping[str, Any]) -> None:
    assert len(judged(FIRST, **changes).faults) == 1


def test_a_push_that_was_sent_twice_or_not_at_all_is_found() -> None:
    vector = next(vector for vector in load.everything() if vector.name == FIRST)
    for times in (0, 2):
        seen = as_recorded(vector)
        seen.requests = seen.requests * times
        assert len(expect.judge([vector], {FIRST: seen}, HOSTS, ()).faults) == 1


def test_an_answer_that_took_too_long_and_a_redirect_are_found() -> None:
    vector = next(vector for vector in load.everything() if vector.name == FIRST)
    for change in ({"seconds": 7.0}, {"headers": {"location": "/"}}):
        seen = as_recorded(vector)
        seen.answer = replace(seen.answer, **change)
        assert len(expect.judge([vector], {FIRST: seen}, HOSTS, ()).faults) == 1


def test_a_row_explains_just_what_it_says() -> None:
    explained = judged(REMOVED, ROW, answer={"status": "FAIL", "error": "apns_bad_device_token Apple ..."})
    otherwise = judged(REMOVED, ROW, answer={"status": "FAIL", "error": "apns_unknown Apple ..."})
    assert (explained.differ, explained.faults, expect.idle(explained, [ROW])) == ([REMOVED], [], [])
    assert len(otherwise.faults) == 1


def test_a_row_that_no_longer_differs_is_found() -> None:
    report = judged(REMOVED, ROW)
    assert len(report.faults) == 1
    assert "although: FAIL." in report.faults[0]
    free = Difference(instead="Other words.", why="Why not.", names=(FIRST,), members=("aps.alert",))
    report = judged(FIRST, free)
    assert (report.agree, report.faults) == ([FIRST], [])
    assert expect.idle(report, [free]) == ["Other words.", FIRST]
