"""FCM's and the token endpoint's checks, over the wire."""

import json
import time
from typing import Any

import pycurl
import pytest
import requests
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from delivery.sandbox import demo
from tests.delivery.sandbox.client import FCM_DEVICE, Pusher
from tests.sandbox_fixture import SandboxClient

OK = 200


def error(answer: Any) -> tuple[int, str, str]:
    """Status, Google's status name, and FCM's own error code."""
    content = json.loads(answer.body)["error"]
    assert content["code"] == answer.status
    codes = [detail["errorCode"] for detail in content.get("details", ()) if "errorCode" in detail]
    return answer.status, content["status"], "".join(codes)


def test_a_good_message_is_taken_and_gets_a_name(push: Pusher) -> None:
    answer = push.fcm(android={"priority": "high", "ttl": "604800s"})
    assert answer.status == OK
    assert json.loads(answer.body)["name"].startswith("projects/demo-project/messages/")


def test_googles_own_library_gets_a_bearer_that_is_accepted(sandbox: SandboxClient, push: Pusher) -> None:
    session = requests.Session()
    session.verify, session.trust_env = sandbox.ca_file, False
    account = service_account.Credentials.from_service_account_file(
        str(sandbox.demo.service_account), scopes=["https://www.googleapis.com/auth/firebase.messaging"]
    )
    account.refresh(Request(session))
    assert push.fcm(bearer=account.token).status == OK


@pytest.mark.parametrize("bearer", ["x", "ya29.nonsense", "ya29.sandbox.cHVzaA.00", "ya29.sandbox.é.00"])
def test_a_bearer_from_elsewhere_is_refused(push: Pusher, bearer: str) -> None:
    assert error(push.fcm(bearer=bearer)) == (401, "UNAUTHENTICATED", "")


def test_a_forged_bearer_is_refused(push: Pusher) -> None:
    assert error(push.fcm(bearer=push.bearer[:-1] + ("0" if push.bearer[-1] != "0" else "1")))[0] == 401


def test_a_bearer_of_another_project_is_denied(sandbox: SandboxClient, push: Pusher) -> None:
    account = sandbox.add_service_account("push@other.iam.gserviceaccount.com", "other-project")
    bearer = json.loads(push.grant(account).body)["access_token"]
    assert error(push.fcm(bearer=bearer)) == (403, "PERMISSION_DENIED", "")


@pytest.mark.parametrize(
    ("device", "message", "code"),
    [
        (None, {}, ""),
        (FCM_DEVICE, {"data": {"badge": 1}}, ""),
        (FCM_DEVICE, {"data": {"from": "me"}}, "INVALID_ARGUMENT"),
        (FCM_DEVICE, {"data": {"m": "x" * 4096}}, "INVALID_ARGUMENT"),
        (FCM_DEVICE, {"prioritaet": "high"}, ""),
        (FCM_DEVICE, {"android": {"priority": "urgent"}}, ""),
        (FCM_DEVICE, {"android": {"ttl": "7 days"}}, ""),
        (FCM_DEVICE, {"android": {"colour": "red"}}, ""),
        ("no token at all", {}, "INVALID_ARGUMENT"),
    ],
)
def test_a_wrong_message_is_an_invalid_argument(
    push: Pusher, device: str | None, message: dict[str, Any], code: str
) -> None:
    assert error(push.fcm(device, **message)) == (400, "INVALID_ARGUMENT", code)


def test_data_of_exactly_the_limit_is_taken(push: Pusher) -> None:
    assert push.fcm(data={"m": "x" * 4095}).status == OK


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("unregistered", (404, "NOT_FOUND", "UNREGISTERED")),
        ("mismatch", (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")),
        ("quota", (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")),
        ("unavailable", (503, "UNAVAILABLE", "UNAVAILABLE")),
        ("internal", (500, "INTERNAL", "INTERNAL")),
        ("thirdparty", (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR")),
    ],
)
def test_a_tokens_prefix_makes_fcm_refuse_it(push: Pusher, prefix: str, expected: tuple[int, str, str]) -> None:
    assert error(push.fcm(f"{prefix}:APA91bHun4Mx")) == expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"iss": "nobody@demo-project.iam.gserviceaccount.com"}, "invalid_grant"),
        ({"exp": int(time.time()) + 90_000}, "invalid_grant"),
        ({"iat": int(time.time()) - 9000, "exp": int(time.time()) - 5400}, "invalid_grant"),
        ({"aud": "https://example.com/other"}, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/calendar"}, "invalid_scope"),
    ],
)
def test_a_wrong_grant_is_refused(push: Pusher, claims: dict[str, object], expected: str) -> None:
    answer = push.grant(**claims)
    assert (answer.status, json.loads(answer.body)["error"]) == (400, expected)


def test_a_grant_signed_by_another_key_is_refused(sandbox: SandboxClient, push: Pusher) -> None:
    forged = demo.service_account(sandbox.demo.client_email, sandbox.origin)
    assert json.loads(push.grant(forged).body)["error_description"] == "Invalid JWT Signature."


def test_the_token_endpoint_follows_its_own_script(sandbox: SandboxClient, push: Pusher) -> None:
    marker = f"oauth:{sandbox.demo.client_email}"
    sandbox.script(marker, [{"status": 503, "body": "busy"}, {"status": 200}])
    assert [push.grant().status for _ in range(3)] == [503, OK, OK]
    assert [request["token"] for request in sandbox.requests(provider="oauth")] == [marker] * 3


def test_no_bearer_and_no_assertion_is_kept(sandbox: SandboxClient, push: Pusher) -> None:
    push.grant()
    push.fcm()
    kept = json.dumps(sandbox.requests())
    assert push.bearer not in kept
    assert "access_token" not in kept
    grant, message = sandbox.requests()
    assert grant["body"] is None
    assert grant["json"]["assertion_claims"]["iss"] == sandbox.demo.client_email
    assert message["headers"]["authorization"] == {"scheme": "Bearer", "opaque": True}


def test_fcm_answers_over_http_1_too(push: Pusher) -> None:
    body = json.dumps({"message": {"token": FCM_DEVICE, "data": {}}}).encode()
    headers = [f"authorization: Bearer {push.bearer}"]
    answer = push.post("/v1/projects/demo-project/messages:send", body, headers, http=pycurl.CURL_HTTP_VERSION_1_1)
    assert answer.status == OK


@pytest.mark.parametrize("name", ["validate_only", "validateOnly"])
def test_a_request_that_only_asks_is_judged_and_reaches_no_phone(
    sandbox: SandboxClient, push: Pusher, name: str
) -> None:
    def ask(token: str) -> Any:
        body = json.dumps({name: True, "message": {"token": token, "data": {"type": "message", "message": "hi"}}})
        headers = [f"authorization: Bearer {push.bearer}"]
        return push.post("/v1/projects/demo-project/messages:send", body.encode(), headers)

    good = ask(FCM_DEVICE)
    assert (good.status, json.loads(good.body)["name"]) == (OK, "projects/demo-project/messages/fake_message_id")
    assert error(ask("invalid:APA91b" + "0" * 134)) == (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
