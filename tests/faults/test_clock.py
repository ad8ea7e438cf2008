"""A worker whose clock is wrong, and then right again: pushes go on, and nobody's key is blamed.

The sandbox sends no Date for Apple, as Apple does not; for Google it sends one, as Google does.
"""

import re
from email.utils import formatdate
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.faults.pushes import GIVEN_UP, PushAnswer, at_once, iphone, replace_worker, rows, set_worker_clock
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

HOURS = 7200.0
GOOGLE_ACCOUNT = "oauth:push@demo-project"
CALL = {"transport": "voip", "sub_type": "calls"}


class Seen(NamedTuple):
    """Pushes while the clock was wrong and when it was right again, each with its row, and what was said of keys."""

    ahead: float
    wrong: dict[str, PushAnswer]
    right: dict[str, PushAnswer]
    rows: dict[str, dict[str, Any]]
    reports: int


def reports(service: Stage) -> int:
    """How often a credential was reported as refused."""
    with psycopg.connect(service.postgres.url) as connection:
        query = "SELECT count(*) FROM tenants_auditevent WHERE action IN ('credential.refused', 'credential.fall_back')"
        return int(connection.execute(query).fetchall()[0][0])


def comparisons(service: Stage) -> int:
    """How often a worker has found that its clock is not Valkey's."""
    return service.log("worker").count("s ahead of Valkey's")


@pytest.fixture(scope="module", params=[HOURS, -HOURS], ids=["ahead", "behind"])
def seen(request: pytest.FixtureRequest, service: Stage) -> Seen:
    """What a worker does that starts two hours off."""
    ahead: float = request.param
    before, silent, compared = reports(service), iphone(), comparisons(service)
    replace_worker(service, ahead=ahead)
    wait_for(lambda: comparisons(service) > compared, PATIENCE, "the worker compares its clock")
    refusal = {"status": 400, "json": {"error": "invalid_grant"}, "headers": {"date": formatdate(usegmt=True)}}
    service.sandbox.script(GOOGLE_ACCOUNT, [refusal, {"status": 200}])
    service.sandbox.script(silent, {"hang": True})
    first = at_once(service, first={})
    google = {"platform": "android_rn-v2"}
    wrong = at_once(
        service, google=google, call=CALL, test={"type": "test"}, silent={"device_id": silent, "type": "test"}
    )
    service.sandbox.clear_scripts()
    set_worker_clock(service, 0.0)
    right = at_once(service, right={}, right_google=google, right_call=CALL, right_test={"type": "test"})
    wrong |= first
    return Seen(ahead, wrong, right, rows(service, wrong | right), reports(service) - before)


def test_a_push_whose_tokens_time_is_refused_is_sent_again_with_a_new_one(seen: Seen) -> None:
    assert (seen.wrong["first"].status, seen.wrong["google"].status) == ("OK", "OK"), seen.wrong
    refused, sent = seen.rows["first"]["attempts"]
    assert refused["reason"] == ("InvalidProviderToken/iat" if seen.ahead > 0 else "ExpiredProviderToken")
    word = "ahead" if seen.ahead > 0 else "behind"
    assert re.fullmatch(rf"our clock was 7(199|20\d) s {word} when it signed", refused["detail"])
    assert sent["status"] == 200


def test_calls_and_tests_are_neither_old_nor_late_by_a_wrong_clock(seen: Seen) -> None:
    assert {seen.wrong[name].status for name in ("call", "test")} == {"OK"}, seen.wrong
    assert {seen.right[f"right_{name}"].status for name in ("call", "test")} == {"OK"}, seen.right


def test_once_the_clock_is_right_again_pushes_go_on_without_a_refusal(seen: Seen) -> None:
    assert {answer.status for answer in seen.right.values()} == {"OK"}, seen.right
    assert {len(seen.rows[name]["attempts"]) for name in seen.right} == {1}


def test_nobodys_key_is_blamed_for_a_wrong_clock(seen: Seen) -> None:
    assert seen.reports == 0


def test_a_wrong_clock_does_not_stretch_the_deadline(seen: Seen) -> None:
    assert seen.wrong["silent"].code == "transport_timeout_unanswered"
    assert seen.wrong["silent"].seconds < GIVEN_UP
