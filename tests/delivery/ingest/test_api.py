"""The machine endpoints' own dispatch: what is a refusal, and what is a fault of ours."""

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import redis
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, ParseError

from delivery.ingest import receipts, refusals
from delivery.ingest.api import Ack, MachineView, SendPush
from delivery.ingest.door_log import DoorLog
from delivery.ingest.lean_request import LeanRequest
from delivery.ingest.outbox import Outbox
from delivery.log.rows import ROWS
from tenants.directory.snapshot import Identity
from tenants.refusals import (
    CallerRejected,
    ExpiredKey,
    PlainHttp,
    RevokedKey,
    Suspended,
    UnknownKey,
    Whose,
    WrongNetwork,
)
from tests.delivery.web_process import ACME, REGISTERED, body, proxies, rows

pytestmark = pytest.mark.usefixtures("valkey")


class Acme(BaseAuthentication):
    """Takes everybody for Acme."""

    def authenticate(self, request: Any) -> tuple[Identity, None]:
        return ACME, None


class Failing(MachineView):
    """Fails with an exception of the test's."""

    authentication_classes = (Acme,)

    def __init__(self, outbox: Outbox, error: Exception) -> None:
        super().__init__(outbox, proxies())
        self.error = error

    def handle(self, who: Identity, request: LeanRequest) -> HttpResponse:
        raise self.error


def request(method: str = "POST", body: bytes = b"{}") -> LeanRequest:
    scope = SimpleNamespace(method=method, scheme="http", headers={}, client="127.0.0.1:1", tls="")
    return LeanRequest(scope, "/api/v1/send_push", body)


async def answered(view: MachineView, request: LeanRequest) -> HttpResponse:
    """The response of a view, as the front door gets it."""
    begun = view.judge_head(request) or view.begin(request)
    if isinstance(begun, HttpResponse):
        return begun
    await asyncio.wait([begun])
    return view.end(request, begun)


async def fail_text(view: MachineView) -> str:
    """The text of the FAIL that a request is answered."""
    answer = await answered(view, request())
    assert answer.status_code == 200
    found = json.loads(answer.content)
    assert found["status"] == "FAIL"
    return str(found["error"])


async def test_a_refusal_is_told_by_its_code_and_not_logged_as_a_fault(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await fail_text(Failing(outbox, RevokedKey()))).startswith("revoked_key ")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("error", [ValueError("a bug"), ParseError(), AuthenticationFailed()])
async def test_any_other_exception_is_a_fault_of_ours_with_its_trace_in_the_log(
    outbox: Outbox, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    text = await fail_text(Failing(outbox, error))
    assert text.startswith("internal_error ")
    logged = next(record for record in caplog.records if record.name == "delivery.ingest.api")
    assert logged.exc_info is not None
    assert logged.exc_info[1] is error
    assert f"(trace {logged.trace})" in text  # type: ignore[attr-defined]


async def test_another_method_is_405_before_anybody_is_asked_who_calls(outbox: Outbox) -> None:
    answer = await answered(Failing(outbox, ValueError()), request("GET"))
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


async def test_an_ack_larger_than_any_is_refused_unread(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ack, "authentication_classes", (Acme,))
    view, ack = Ack(outbox, proxies()), b'{"id": "a", "platform": "ios", "type": "message"}'
    assert (await answered(view, request(body=ack.ljust(receipts.BODY_LIMIT)))).content == b'{"status":"OK"}'
    monkeypatch.setattr(receipts, "read", None)
    refused = await answered(view, request(body=ack.ljust(receipts.BODY_LIMIT + 1)))
    assert json.loads(refused.content)["error"].startswith("too_large the ack is larger than 4 KB: check what sends it")


async def test_a_push_that_cannot_be_read_is_noted_with_where_it_came_from(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SendPush, "authentication_classes", (Acme,))
    view = SendPush(outbox, proxies())
    broken, large, bad = request(), request(), request(body=b"no push")
    broken.body_error, large.too_large = "its body did not arrive whole", 1 << 20
    for each in (broken, large, bad, request(body=b"[]"), request(body=b'{"type": "message"}')):
        assert b"FAIL" in (await answered(view, each)).content
    seen = outbox.rejections._counted
    assert {place: news.requests for place, news in seen.items()} == {
        (ACME.key_id, "malformed", "127.0.0.1"): 3,
        (ACME.key_id, "too_large", "127.0.0.1"): 1,
    }


async def test_a_caller_who_is_rejected_is_noted_for_whose_key_it_names_and_a_stranger_is_not(outbox: Outbox) -> None:
    await fail_text(Failing(outbox, RevokedKey(Whose(1, 3))))
    await fail_text(Failing(outbox, UnknownKey()))
    assert list(outbox.rejections._counted) == [(3, "revoked_key", "127.0.0.1")]


class Door(SendPush):
    """send_push as it rejects each request with an exception of the test's."""

    def __init__(self, outbox: Outbox, error: Exception) -> None:
        super().__init__(outbox, proxies())
        self.error = error

    def judge_head(self, request: LeanRequest) -> HttpResponse | None:
        return self.error_response(self.error, request)


BEARER = Whose(1, 3, 2, is_proven=True)
KNOWN = [Suspended, RevokedKey, ExpiredKey, PlainHttp, WrongNetwork]


@pytest.mark.parametrize("kind", KNOWN, ids=lambda kind: str(kind.code))
async def test_a_known_customers_push_that_is_refused_at_the_door_is_the_row_that_its_answer_names(
    outbox: Outbox, store: redis.Redis, kind: type[CallerRejected]
) -> None:
    text = await fail_text(Door(outbox, kind(BEARER)))
    (row,) = await rows(store, 1)
    assert f"(trace {row['trace']})" in text
    assert (row["customer_id"], row["server_id"], row["key_id"]) == ("1", "2", "3")
    assert (row["code"], row["outcome"], row["answer"]) == (kind.code, "refused", "FAIL")
    assert (row["attribution"], row["counts"]) == ("customer", "f")


async def test_of_a_flood_at_the_door_each_trace_that_was_told_is_a_rows(
    outbox: Outbox, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "PAUSE", 600)  # all of it within one second, on however slow a machine
    view = Door(outbox, Suspended(BEARER))
    told = {(await fail_text(view)).partition("(trace ")[2].partition(")")[0] for _ in range(500)}
    outbox.turned_away.flush()
    found = await rows(store, 500)
    assert len(found) == refusals.ROWS_OF_THEIR_OWN + 1
    assert told == {row["trace"] for row in found}


@pytest.mark.parametrize("whose", [None, Whose(1, 3, 2)], ids=["nobody", "who names the beginning of a key"])
async def test_a_push_of_nobody_known_is_a_line_of_the_log_as_long_as_those_are_few(
    outbox: Outbox, store: redis.Redis, caplog: pytest.LogCaptureFixture, whose: Whose | None
) -> None:
    view = Door(outbox, UnknownKey(whose))
    texts = [await fail_text(view) for _ in range(100)]
    lines = [record for record in caplog.records if record.name == "delivery.ingest.door_log"]
    assert 0 < len(lines) < 50
    assert all(
        f"(trace {record.trace})" in text  # type: ignore[attr-defined]
        for record, text in zip(lines, texts, strict=False)
    )
    assert not any("trace" in text for text in texts[len(lines) :])
    assert not store.llen(ROWS)


async def test_a_stranger_is_remembered_with_what_its_push_says_of_its_server(outbox: Outbox) -> None:
    view, asked = Door(outbox, UnknownKey()), request(body=body())
    view.judge_head(asked)
    view.note_stranger(asked, body())
    view.note_stranger(asked, body())  # it is one
    other = request()
    view.judge_head(other)
    view.note_stranger(other, b'{"server_id": 7')
    found = {place: seen.requests for place, seen in outbox.strangers._counted.items()}
    assert found == {("unknown_key", "127.0.0.1", REGISTERED): 1, ("unknown_key", "127.0.0.1", ""): 1}


async def test_strangers_fill_no_memory(outbox: Outbox) -> None:
    view = Door(outbox, UnknownKey())
    for number in range(300):
        asked = request()
        view.judge_head(asked)
        view.note_stranger(asked, json.dumps({"server_id": str(number)}).encode())
    assert len(outbox.strangers._counted) <= 100


async def test_of_lines_that_are_left_out_at_the_door_their_number_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = DoorLog()
    for _ in range(30):
        log.note("unknown_key", "t-1", "192.0.2.7")
    monkeypatch.setattr("delivery.ingest.door_log.MINUTE", 0.0)
    log._until = 0.0
    log.note("unknown_key", "t-2", "192.0.2.7")
    assert "10 more pushes of nobody known were refused" in caplog.text


async def test_an_ack_that_is_refused_names_no_trace(outbox: Outbox, store: redis.Redis) -> None:
    view = Ack(outbox, proxies())
    refused = view.error_response(Suspended(BEARER), request())
    missing = view.begin(identified(request(body=b"{}")))
    assert isinstance(missing, HttpResponse)
    assert b"suspended" in refused.content
    assert b"missing_ack_id" in missing.content
    assert not any(b"trace" in each.content for each in (refused, missing))
    await outbox.link.drain()
    assert not store.llen(ROWS)


def identified(request: LeanRequest) -> LeanRequest:
    """A request of Acme's."""
    request.user = ACME  # type: ignore[assignment]
    return request


async def test_an_ack_passes_whatever_was_paid(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    unpaid = msgspec.structs.replace(ACME, refusal="subscription_unpaid")
    for view in (Ack, SendPush):
        monkeypatch.setattr(view, "authentication_classes", (Acme,))
    monkeypatch.setattr(Acme, "authenticate", lambda *_: (unpaid, None))
    ack = b'{"id": "a", "platform": "ios", "type": "message"}'
    assert (await answered(Ack(outbox, proxies()), request(body=ack))).content == b'{"status":"OK"}'
    refused = await answered(SendPush(outbox, proxies()), request(body=body()))
    assert json.loads(refused.content)["error"].startswith("subscription_unpaid ")
