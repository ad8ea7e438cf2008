"""A provider's bad minute, scaled down to seconds: every push ends OK within its lifetime, and none twice on the phone.

All at once by the fixture `pushes`; the tests look at what came of it.
"""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from delivery.queue import due_list
from tests.faults.pushes import GIVEN_UP, PushAnswer, android, at_once, iphone, rows
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

COUNT = 12
SENT: dict[str, Any] = {"status": 200}
ASKS: dict[str, Any] = {"status": 503, "json": {"reason": "ServiceUnavailable"}, "headers": {"retry-after": "2"}}
PAGE: dict[str, Any] = {"status": 502, "body": "<html>"}
HANG: dict[str, Any] = {"hang": True}
TROUBLES = {
    "asked to wait": ("apple_rn-v2", [ASKS, ASKS, ASKS, SENT]),
    "a page of a proxy": ("apple_rn-v2", [PAGE, PAGE, SENT]),
    "silent": ("apple_rn-v2", [HANG, SENT]),
    "Google busy": ("android_rn-v2", [{"status": 500}, {"status": 503}, SENT]),
}


class Pushed(NamedTuple):
    """What came of one push: what its server was told, its row, and the answers that its provider gave."""

    answer: PushAnswer
    row: dict[str, Any]
    requests: list[dict[str, Any]]

    @property
    def shown(self) -> int:
        """How often its phone got it."""
        answers = [request["answer"] for request in self.requests]
        return sum(answer.get("status", 200) == 200 and not answer.get("hang") for answer in answers)


@pytest.fixture(scope="module")
def pushes(service: Stage) -> dict[str, Pushed]:
    """Pushes into trouble of each kind, and the worker stops meanwhile; then some while the provider is away."""
    at_once(service, apple={}, google={"platform": "android_rn-v2"})
    given, devices = {}, {}
    for name, (platform, answers) in TROUBLES.items():
        for number in range(COUNT):
            device = android() if platform.startswith("android") else iphone()
            service.sandbox.script(device, answers)
            given[f"{name} {number}"] = {"platform": platform, "device_id": device, "post_id": f"{number:026}"}
    away = {f"away {number}": {"device_id": iphone()} for number in range(COUNT)}
    devices = {name: one["device_id"] for name, one in (given | away).items()}
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(at_once, service, **given)
        with service.redis() as valkey:
            wait_for(lambda: valkey.zcard(due_list.DUE), PATIENCE, "something is tried again later")
        service.stop("worker")
        service.start_worker()
        answers = first.result()
    service.sandbox.mode("down")
    try:
        answers |= at_once(service, **away)
        time.sleep(1)
    finally:
        service.sandbox.mode("up")
    row = rows(service, answers)
    return {name: Pushed(answers[name], row[name], service.sandbox.requests(devices[name])) for name in answers}


def test_every_push_is_ok_within_the_deadline_and_sent_within_its_lifetime(pushes: dict[str, Pushed]) -> None:
    assert len(pushes) == COUNT * (len(TROUBLES) + 1)
    assert {(one.answer.status, one.row["outcome"], one.row["answer"]) for one in pushes.values()} == {
        ("OK", "sent", "OK")
    }
    assert max(one.answer.seconds for one in pushes.values()) < GIVEN_UP


def test_none_comes_twice_to_the_phone(pushes: dict[str, Pushed]) -> None:
    assert {name: one.shown for name, one in pushes.items() if one.shown != 1} == {}
    ids = [{request["headers"].get("apns-id") for request in one.requests} for one in pushes.values()]
    assert {len(each) for each in ids} == {1}, "a repeat has another id"


def test_some_were_sent_later_than_their_servers_were_answered(pushes: dict[str, Pushed]) -> None:
    later = [one for one in pushes.values() if (one.row["ended_at"] - one.row["accepted_at"]).total_seconds() > 5]
    assert len(later) >= COUNT


def test_no_repeat_came_sooner_than_the_provider_had_asked_for(pushes: dict[str, Pushed]) -> None:
    for name, one in pushes.items():
        at = [attempt["at"] for attempt in one.row["attempts"]]
        if name.startswith("asked"):
            assert len(at) >= 4
            assert min(after - before for before, after in itertools.pairwise(at)) >= 2


def test_nothing_is_left_in_the_list(service: Stage, pushes: dict[str, Pushed]) -> None:
    with service.redis() as valkey:
        assert valkey.zcard(due_list.DUE) == 0
        assert int(valkey.get(due_list.BYTES) or 0) == 0  # type: ignore[arg-type]
