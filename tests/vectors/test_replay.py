"""All recorded exchanges through the whole service: each agrees, or differs as the table of differences says."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest

from delivery.queue import due_list
from tests.stage import Stage
from tests.vectors import expect, http1, load, replay
from tests.vectors.differences import DIFFERENCES
from tests.waiting import PATIENCE, wait_for

# Reasons of attempts that ended before a request: there was no access token, or the body is larger than may be sent.
NEVER_SENT = ("credential", "token_endpoint", "too_large")


@dataclass(frozen=True)
class Replayed:
    """What came of all vectors."""

    since: float
    seen: Mapping[str, replay.Seen]
    report: expect.Report
    strays: list[dict[str, Any]]
    company: int

    def rows(self, stage: Stage) -> list[dict[str, Any]]:
        """Their rows in the log."""
        return stage.rows("accepted_at >= to_timestamp(%s)", self.since)


def send_what_is_due(stage: Stage) -> None:
    """Let the time of all that is to be tried again come, until it is sent."""
    with stage.redis() as valkey:

        def is_empty() -> bool:
            time.sleep(1)
            # What comes sooner may be claimed, and comes by itself.
            soon = (int(valkey.time()[0]) + due_list.CLAIM_SECONDS + 1) * 1000  # type: ignore[index]
            for push in valkey.zrangebyscore(due_list.DUE, soon, "+inf"):  # type: ignore[union-attr]
                valkey.zadd(due_list.DUE, {push: 1}, xx=True)
            return not valkey.zcard(due_list.DUE)

        wait_for(is_empty, PATIENCE, "nothing is due")


@pytest.fixture(scope="module")
def replayed(stage: Stage) -> Replayed:
    """Everything, once."""
    vectors = load.everything()
    stage.sandbox.clear()
    stage.sandbox.scripts(replay.scripts(vectors))
    since = time.time()
    seen, company = replay.replay(vectors, stage.port, stage.key)
    assert {answer.body for answer in company.answers} == {b'{"status":"OK"}'}
    with stage.paused("worker"):  # what it sends later is counted later
        strays = replay.hand_out(company.apart(stage.sandbox.requests()), vectors, seen)
        stage.sandbox.clear()
    send_what_is_due(stage)
    production, development = (
        origin.removeprefix("https://") for origin in (stage.sandbox.origin, stage.sandbox.other_origin)
    )
    hosts = {
        "api.push.apple.com": production,
        "api.sandbox.push.apple.com": development,
        "fcm.googleapis.com": production,
    }
    return Replayed(since, seen, expect.judge(vectors, seen, hosts, DIFFERENCES), strays, len(company.answers))


def test_each_of_the_recorded_exchanges_agrees_or_differs_on_purpose(
    replayed: Replayed, record_property: Callable[[str, object], None]
) -> None:
    record_property("count", f"{len(replayed.seen)} recorded exchanges: {replayed.report}")
    assert not replayed.report.faults, "\n".join(replayed.report.faults[:20])
    assert len(replayed.report.agree) + len(replayed.report.differ) == 1606


def test_no_row_of_the_table_of_differences_is_idle(replayed: Replayed) -> None:
    assert not expect.idle(replayed.report, DIFFERENCES)


def test_nothing_reached_a_provider_that_no_exchange_asked_for(replayed: Replayed) -> None:
    assert not replayed.strays


def test_each_push_is_one_row_of_the_log_with_what_its_server_was_told(replayed: Replayed, stage: Stage) -> None:
    expected = [
        replayed.seen[vector.name].verdict
        for vector in load.everything()
        if vector.method == "POST" and unquote(vector.path).partition("?")[0] == "/api/v1/send_push"
    ] + ["OK"] * replayed.company
    wait_for(
        lambda: sum(row["count"] for row in replayed.rows(stage)) >= len(expected), PATIENCE, f"{len(expected)} rows"
    )
    logged: Counter[str | None] = Counter()
    for row in replayed.rows(stage):
        logged[row["answer"]] += row["count"]
    assert logged == Counter(expected)


def test_each_request_that_a_provider_got_is_one_attempt_in_the_log(replayed: Replayed, stage: Stage) -> None:
    wait_for(lambda: sum(row["count"] for row in replayed.rows(stage)) >= 1459 + replayed.company, PATIENCE, "the rows")
    attempts = [attempt for row in replayed.rows(stage) for attempt in row["attempts"]]
    sent = [attempt for attempt in attempts if attempt.get("reason") not in NEVER_SENT]
    later = [request for request in stage.sandbox.requests() if request["provider"] != "oauth"]
    exchanges = sum(len(seen.requests) for seen in replayed.seen.values())
    assert len(sent) == exchanges + len(later) + replayed.company


def test_each_answer_came_in_time(replayed: Replayed) -> None:
    late = {name: seen.answer.seconds for name, seen in replayed.seen.items() if seen.answer.seconds > expect.DEADLINE}
    assert not late


async def test_recorded_credentials_that_are_no_key_of_ours_are_refused(stage: Stage) -> None:
    strangers = [vector for vector in load.everything() if "auth" in vector.tags]
    assert strangers
    for vector in strangers:
        connection = http1.Connection(stage.port)
        headers = {"Host": "127.0.0.1", **vector.headers, "Content-Length": str(len(vector.body or b""))}
        answer = await connection.send(http1.request("POST", vector.path, headers.items(), vector.body))
        await connection.close()
        assert answer.status == 200
        assert json.loads(answer.body)["error"].startswith("unknown_key ")
        assert not vector.device_token or not stage.sandbox.requests(vector.device_token)
