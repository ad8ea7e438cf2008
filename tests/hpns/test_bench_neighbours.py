"""The kit that measures what a quiet customer notices of others: what it counts, and against what."""

import asyncio
import json

import pytest

from tests.bench.neighbours import raw_http, report
from tests.bench.neighbours.__main__ import chosen
from tests.bench.neighbours.floods import FLOODS, slow_p12
from tests.bench.neighbours.quiet import Seen
from tests.bench.neighbours.raw_http import ACK, Answer
from tests.bench.neighbours.report import Case, Run


def seen(p99_ms: float, **words: int) -> Seen:
    return Seen(pushes=200, p50_ms=p99_ms / 2, p99_ms=p99_ms, words=words or {"OK": 200})


def case(name: str, alone: float, beside: float, door: str = "plain", **words: int) -> Case:
    return Case(name, "", door, seen(alone), seen=seen(beside, **words))


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Answer(200, b'{"status":"OK"}'), "OK"),
        (Answer(200, b'{"status":"FAIL","error":"over_limit too much: wait (trace 1)"}'), "over_limit"),
        (Answer(200, b"<html>"), "200"),
        (Answer(503, b""), "503"),
    ],
)
def test_an_answer_comes_to_a_word(answer: Answer, word: str) -> None:
    assert answer.word == word


def test_each_request_has_an_id_of_its_own_and_the_length_that_it_says() -> None:
    made = raw_http.post("/t/key/api/v1/send_push", b'{"ack_id":"%b"}' % ACK)
    sent = [raw_http.with_id(made) for _ in range(100)]
    for request in sent:
        head, _, body = request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert len(json.loads(body)["ack_id"]) == 26
    assert len(set(sent)) == 100


async def test_an_answer_that_does_not_come_is_counted_with_the_time_that_was_waited() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = raw_http.Connection(port)
    word, seconds = await raw_http.timed(connection, raw_http.get("/"), 0.1)
    assert (word, seconds >= 0.1) == ("no answer", True)
    server.close()


def test_a_flood_is_held_against_the_median_of_all_that_was_seen_alone_by_the_same_door() -> None:
    run = Run("", [], "", {}, [case("a", 10, 30), case("b", 1000, 10), case("c", 20, 10), case("d", 5, 10, "tls")])
    assert [round(report.ratio(one, run), 1) for one in run.cases] == [1.5, 0.5, 0.5, 2.0]


def test_the_table_says_what_failed_and_what_was_skipped() -> None:
    skipped = Case("b", "", "plain", seen(10), skipped="GET /x is answered 404")
    run = Run("", [], "", {}, [case("a", 10, 30, OK=150, over_limit=49, queue_down=1), skipped])
    text = report.table(run)
    assert "| a | 15 | 30 | 3.0 | 50 of 200 (over_limit, queue_down) |" in text
    assert "| b |" in text
    assert "skipped: GET /x is answered 404" in text


def test_floods_are_chosen_by_pattern_and_each_name_is_one() -> None:
    assert len({flood.name for flood in FLOODS}) == len(FLOODS)
    assert [flood.name for flood in chosen(["login-*"])] == ["login-16", "login-400"]
    with pytest.raises(LookupError, match="No flood is called nothing"):
        chosen(["nothing"])


def test_the_slow_file_wants_as_many_rounds_as_it_says() -> None:
    assert int.from_bytes(slow_p12()[-4:], "big") == 16_777_215
