"""Pushes to Google: the request on the wire, and an answer read as Google documents it and no further."""

import json
import time
from typing import Any

import pytest
from firebase_admin import exceptions, messaging

from delivery.http2.engine import Engine
from delivery.outcomes.verdict import ANSWERED, NOT_SENT, Answer, Attempt, Outcome
from delivery.providers.fcm import payload
from delivery.providers.fcm.sender import LONGEST_TTL, FcmSender, read_refusal
from delivery.providers.table import judge
from tests.delivery.providers.trying import FCM_DEVICE, attempt, fcm_target, push
from tests.sandbox_fixture import SandboxClient

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


def error(status: str, *details: object, message: str = "m") -> dict[str, Any]:
    """Google's error object."""
    return {"error": {"code": 1, "message": message, "status": status, "details": list(details)}}


def fcm_error(code: object) -> dict[str, object]:
    """The detail that holds FCM's own code."""
    return {"@type": FCM_ERROR, "errorCode": code}


@pytest.fixture
async def fcm(sandbox: SandboxClient, engine: Engine) -> FcmSender:
    """A sender as a worker has it."""
    return FcmSender(engine, sandbox.origin)


async def test_a_push_is_sent_as_google_asks_for_it(sandbox: SandboxClient, fcm: FcmSender) -> None:
    made = await attempt(fcm, fcm_target(sandbox), push(FCM_DEVICE))
    assert (made.provider, made.host, made.status, made.reason, made.wire) == ("fcm", "localhost", 200, "", ANSWERED)
    assert abs(made.at - time.time()) < 5
    [request] = sandbox.requests(FCM_DEVICE)
    assert (request["method"], request["http"]) == ("POST", "2")
    assert request["path"] == "/v1/projects/demo-project/messages:send"
    assert request["headers"].pop("authorization") == {"scheme": "Bearer", "opaque": True}
    assert request["headers"] == {
        "content-type": "application/json; charset=utf-8",
        "content-length": str(request["size"]),
    }
    assert request["json"]["message"]["token"] == FCM_DEVICE
    assert request["json"]["message"]["data"]["message"] == "hi"
    assert request["json"]["message"]["android"] == {"priority": "high", "ttl": f"{LONGEST_TTL}s"}


@pytest.mark.filterwarnings("ignore:Message.token is deprecated")
def test_the_body_is_the_one_that_firebase_admin_makes_of_the_same_message() -> None:
    encoder = messaging._MessagingService.JSON_ENCODER
    bodies = []
    for kind in ("message", "clear", "update_badge", "session", "test"):
        for text in ("hi", "ü 😄 <&>", "x" * 9000):
            for loaded in (False, True):
                one = push(FCM_DEVICE, type=kind, message=text, is_id_loaded=loaded, root_id="r", badge=3)
                bodies.append(json.loads(payload.body(one, 3600))["message"])
    for body in bodies:
        android = messaging.AndroidConfig(priority=body["android"]["priority"], ttl=3600)
        message = messaging.Message(token=body["token"], data=body["data"], android=android)
        assert encoder.default(message) == body
    assert len(bodies) == 30


async def test_the_project_stays_one_segment_of_the_path(sandbox: SandboxClient, fcm: FcmSender) -> None:
    made = await attempt(fcm, fcm_target(sandbox, project="a/../b?c#d"), push(FCM_DEVICE))
    assert made.status in (400, 403, 404)
    [request] = sandbox.requests(provider="fcm")
    assert request["path"] == "/v1/projects/a%2F..%2Fb%3Fc%23d/messages:send"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (error("NOT_FOUND", fcm_error("UNREGISTERED")), "UNREGISTERED"),
        (error("NOT_FOUND"), "NOT_FOUND"),
        (error("UNREGISTERED"), ""),
        (
            error("NOT_FOUND", {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "errorCode": "UNREGISTERED"}),
            "NOT_FOUND",
        ),
        ({"error": {"status": "NOT_FOUND", "details": {"errorCode": "UNREGISTERED"}}}, "NOT_FOUND"),
        ({"error": {"status": "X", "details": {"@type": FCM_ERROR, "errorCode": "UNREGISTERED"}}}, ""),
        (error("NOT_FOUND", 5, None, ["x"], fcm_error("UNREGISTERED")), "UNREGISTERED"),
        (error("NOT_FOUND", fcm_error(5)), ""),
        (error("NOT_FOUND", fcm_error("bad code")), ""),
        (error("PERMISSION_DENIED", fcm_error("SENDER_ID_MISMATCH")), "SENDER_ID_MISMATCH"),
        (error("UNAUTHENTICATED"), "UNAUTHENTICATED"),
        (error("INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), message="The message is bad"), "INVALID_ARGUMENT"),
        (
            error("INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), message="not a valid FCM registration token"),
            "INVALID_ARGUMENT/message.token",
        ),
        (
            error(
                "INVALID_ARGUMENT",
                {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "message.token"}]},
            ),
            "INVALID_ARGUMENT/message.token",
        ),
        ({"error": "invalid_grant"}, ""),
        ({}, ""),
        ([], ""),
        ("null", ""),
        (5, ""),
    ],
)
def test_a_refusal_is_read_as_google_documents_it(content: object, code: str) -> None:
    reason, remark = read_refusal(json.dumps(content).encode())
    assert reason == code
    assert bool(remark) == (code == "")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error', b"\xff\xfe", b"[" * 5000])
def test_a_refusal_that_is_no_json_is_unreadable(body: bytes) -> None:
    reason, remark = read_refusal(body)
    assert (reason, remark) == ("", f"unreadable answer of {len(body)} bytes")


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
@pytest.mark.parametrize("code", ["UNREGISTERED", "SENDER_ID_MISMATCH", "QUOTA_EXCEEDED", "THIRD_PARTY_AUTH_ERROR", ""])
def test_firebase_admin_would_see_the_same_error(status: int, code: str) -> None:
    content = error("NOT_FOUND", *([fcm_error(code)] if code else []))
    reason, _ = read_refusal(json.dumps(content).encode())
    theirs = messaging._MessagingService._build_fcm_error(content["error"])
    ours = messaging._MessagingService.FCM_ERROR_TYPES.get(reason)
    assert theirs is ours
    if judge(Attempt("fcm", "h", status, reason, ANSWERED, 0.0, 1)).answer is Answer.REMOVE:
        assert issubclass(ours, exceptions.NotFoundError)


@pytest.mark.parametrize(
    "body", ["", "<html><title>502</title></html>", "null", '{"name":"proj', '{"error":{"status":"NOT_FOUND"}}', "[]"]
)
@pytest.mark.parametrize("status", [200, 201])
async def test_a_success_is_sent_whatever_its_body(
    sandbox: SandboxClient, fcm: FcmSender, status: int, body: str
) -> None:
    sandbox.script("cRs8", {"status": status, "body": body})
    made = await attempt(fcm, fcm_target(sandbox), push(FCM_DEVICE))
    assert judge(made).outcome is Outcome.SENT


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
@pytest.mark.parametrize("body", ["", "<html>", "null", "{}", "[]", '{"error":{"status":"UNREGISTERED"}}'])
async def test_an_error_that_cannot_be_read_is_unknown(
    sandbox: SandboxClient, fcm: FcmSender, status: int, body: str
) -> None:
    sandbox.script("cRs8", {"status": status, "body": body})
    made = await attempt(fcm, fcm_target(sandbox), push(FCM_DEVICE))
    assert (made.status, made.reason) == (status, "")
    assert (judge(made).outcome, judge(made).answer) == (Outcome.UNKNOWN, Answer.FAIL)
    assert len(sandbox.requests(FCM_DEVICE)) == 1


async def test_retry_after_is_told(sandbox: SandboxClient, fcm: FcmSender) -> None:
    made = await attempt(fcm, fcm_target(sandbox), push("quota:" + "a" * 140))
    assert (made.status, made.reason, made.retry_after) == (429, "QUOTA_EXCEEDED", 2.0)


@pytest.mark.parametrize("token", ["\r\nx", "a\x00b", "ü", "../../x", "a b", '"}}', "%zz"])
async def test_a_hostile_token_is_data_and_nothing_else(sandbox: SandboxClient, fcm: FcmSender, token: str) -> None:
    made = await attempt(fcm, fcm_target(sandbox), push(token))
    assert (made.status, made.reason) == (400, "INVALID_ARGUMENT/message.token")
    [request] = sandbox.requests(provider="fcm")
    assert request["json"]["message"]["token"] == token
    assert request["path"] == "/v1/projects/demo-project/messages:send"


async def test_a_token_that_is_not_text_is_refused_by_ourselves(sandbox: SandboxClient, fcm: FcmSender) -> None:
    made = await attempt(fcm, fcm_target(sandbox), push("\ud800"))
    assert (made.reason, made.wire) == ("bad_token", NOT_SENT)
    assert sandbox.requests(provider="fcm") == []


@pytest.mark.parametrize("members", [{}, {"is_id_loaded": True}, {"type": "clear"}], ids=str)
async def test_a_push_larger_than_google_takes_is_told_so_and_never_sent(
    sandbox: SandboxClient, fcm: FcmSender, members: dict[str, Any]
) -> None:
    made = await attempt(fcm, fcm_target(sandbox), push(FCM_DEVICE, server_id="x" * 240_000, **members))
    assert (made.status, made.reason, made.wire) == (0, "too_large", NOT_SENT)
    verdict = judge(made)
    assert (verdict.code, verdict.answer, verdict.attribution) == ("fcm_message_too_large", Answer.FAIL, "customer")
    made = await attempt(fcm, fcm_target(sandbox), push("x" * 240_000))
    assert (made.reason, made.wire, judge(made).answer) == ("bad_token", NOT_SENT, Answer.FAIL)
    assert sandbox.requests(provider="fcm") == []


async def test_a_push_after_the_end_of_the_engine_is_told_so(sandbox: SandboxClient, fcm: FcmSender) -> None:
    await fcm._engine.close()
    made = await attempt(fcm, fcm_target(sandbox), push(FCM_DEVICE))
    assert (made.reason, made.wire) == ("stopped", NOT_SENT)
