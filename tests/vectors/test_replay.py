"""All recorded exchanges through the whole service: each agrees, or differs as the table of differences says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.stage import Stage
from tests.vectors import expect, http1, load, replay
from tests.vectors.differences import DIFFERENCES


@dataclass(frozen=True)
class Replayed:
    """What came of all vectors."""

    seen: Mapping[str, replay.Seen]
    report: expect.Report
    strays: list[dict[str, Any]]


@pytest.fixture(scope="module")
def replayed(stage: Stage) -> Replayed:
    """Everything, once."""
    vectors = load.everything()
    stage.sandbox.clear()
    stage.sandbox.scripts(replay.scripts(vectors))
    seen = replay.replay(vectors, stage.port, stage.key)
    strays = replay.hand_out(stage.sandbox.requests(), vectors, seen)
    stage.sandbox.clear()
    production, development = (
        origin.removeprefix("https://") for origin in (stage.sandbox.origin, stage.sandbox.other_origin)
    )
    hosts = {
        "api.push.apple.com": production,
        "api.sandbox.push.apple.com": development,
        "fcm.googleapis.com": production,
    }
    return Replayed(seen, expect.judge(vectors, seen, hosts, DIFFERENCES), strays)


def test_each_of_the_recorded_exchanges_agrees_or_differs_on_purpose(
    replayed: Replayed, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{len(replayed.seen)} recorded exchanges: {replayed.report}")  # the count is asked for
    assert not replayed.report.faults, "\n".join(replayed.report.faults[:20])
    assert len(replayed.report.agree) + len(replayed.report.differ) == 1606


def test_no_row_of_the_table_of_differences_is_idle(replayed: Replayed) -> None:
    assert not expect.idle(replayed.report, DIFFERENCES)


def test_nothing_reached_a_provider_that_no_exchange_asked_for(replayed: Replayed) -> None:
    assert not replayed.strays


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
