"""A machine whose clock is wrong: pushes are refused by the provider, and the server is told that the clock is why."""

import re
from email.utils import formatdate
from typing import Any

import pytest

from tests.faults.pushes import DEADLINE, PushAnswer, at_once, iphone, replace_worker, rows
from tests.stage import Stage

HOURS = 7200.0
GOOGLE_ACCOUNT = "oauth:push@demo-project"
OFF = r"our clock is 7(19\d|20\d) s {} the provider's"


def with_date(status: int, content: dict[str, Any]) -> dict[str, Any]:
    """A provider's answer with the true time on it."""
    return {"status": status, "json": content, "headers": {"date": formatdate(usegmt=True)}}


@pytest.fixture(scope="module")
def ahead(service: Stage) -> dict[str, PushAnswer]:
    """Pushes sent by a worker whose clock is two hours ahead."""
    device = iphone()
    replace_worker(service, ahead=HOURS)
    service.sandbox.script(device, with_date(403, {"reason": "InvalidProviderToken"}))
    service.sandbox.script(GOOGLE_ACCOUNT, with_date(400, {"error": "invalid_grant"}))
    answers = at_once(service, plain={}, dated={"device_id": device}, google={"platform": "android_rn-v2"})
    service.sandbox.clear_scripts()
    return answers


def test_a_token_from_the_future_is_refused_and_no_phone_is_muted(ahead: dict[str, PushAnswer]) -> None:
    assert ahead["plain"].code == "apns_invalid_provider_token"
    assert {answer.status for answer in ahead.values()} == {"FAIL"}


def test_a_clock_that_is_ahead_of_apples_is_told(ahead: dict[str, PushAnswer], service: Stage) -> None:
    assert re.search(OFF.format("ahead of"), ahead["dated"].error), ahead["dated"]
    (attempt,) = rows(service, ahead)["dated"]["attempts"]
    assert re.fullmatch(OFF.format("ahead of"), attempt["detail"])


def test_a_clock_that_is_ahead_of_googles_is_told(ahead: dict[str, PushAnswer]) -> None:
    assert ahead["google"].code == "credential_unusable"
    assert re.search(r"\(400 invalid_grant; " + OFF.format("ahead of"), ahead["google"].error), ahead["google"]


@pytest.fixture(scope="module")
def behind(service: Stage) -> dict[str, PushAnswer]:
    """Pushes sent by a worker whose clock is two hours behind."""
    dated, silent = iphone(), iphone()
    replace_worker(service, ahead=-HOURS)
    service.sandbox.script(dated, with_date(403, {"reason": "ExpiredProviderToken"}))
    service.sandbox.script(silent, {"hang": True})
    answers = at_once(service, plain={}, dated={"device_id": dated}, silent={"device_id": silent})
    service.sandbox.clear_scripts()
    return answers


def test_a_clock_that_is_behind_apples_is_told_after_one_renewal(behind: dict[str, PushAnswer], service: Stage) -> None:
    assert re.search(OFF.format("behind"), behind["dated"].error), behind["dated"]
    for name in ("plain", "dated"):
        assert behind[name].code == "apns_expired_provider_token"
        assert len(rows(service, behind)[name]["attempts"]) == 2


def test_a_clock_that_is_behind_does_not_stretch_the_deadline(behind: dict[str, PushAnswer], service: Stage) -> None:
    assert behind["silent"].code == "transport_timeout_unanswered"
    assert behind["silent"].seconds < DEADLINE
