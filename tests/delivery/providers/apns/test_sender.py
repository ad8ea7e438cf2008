"""Pushes to Apple: the request on the wire, the answer read, and nothing that a device token could do to either."""

import json
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from delivery.http2.engine import Engine
from delivery.http2.peer_clock import PeerClock
from delivery.outcomes.verdict import ANSWERED, NOT_SENT, Answer, Attempt, Outcome, Retry
from delivery.providers.apns.sender import ApnsSender, path_segment
from delivery.providers.table import judge
from delivery.sandbox import certificates
from tests.delivery.providers.trying import DEVICE, EXPIRES_AT, PUSH_ID, apns_target, attempt, push
from tests.sandbox_fixture import SandboxClient


@pytest.fixture
async def apns(engine: Engine) -> ApnsSender:
    """A sender as a worker has it."""
    return ApnsSender(engine)


async def test_a_push_is_sent_with_the_headers_that_apple_asks_for(sandbox: SandboxClient, apns: ApnsSender) -> None:
    made = await attempt(apns, apns_target(sandbox), push())
    assert (made.provider, made.host, made.status, made.reason, made.wire) == ("apns", "localhost", 200, "", ANSWERED)
    assert abs(made.at - time.time()) < 5
    [request] = sandbox.requests(DEVICE)
    assert (request["method"], request["path"], request["http"]) == ("POST", f"/3/device/{DEVICE}", "2")
    authorization = request["headers"].pop("authorization")
    assert authorization["jwt_header"] == {"alg": "ES256", "kid": "ABC123DEFG", "typ": "JWT"}
    assert request["headers"] == {
        "apns-topic": "com.mattermost.rn",
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-id": PUSH_ID,
        "apns-expiration": str(EXPIRES_AT),
        "apns-collapse-id": "ack1:p1",
        "content-type": "application/json; charset=utf-8",
        "content-length": str(request["size"]),
    }
    assert json.loads(request["body"])["aps"]["alert"] == "hi"


async def test_a_call_goes_to_the_apps_voip_topic(sandbox: SandboxClient, apns: ApnsSender) -> None:
    made = await attempt(apns, apns_target(sandbox), push(transport="voip", sub_type="calls"))
    assert made.status == 200
    [request] = sandbox.requests(DEVICE)
    headers = request["headers"]
    assert (headers["apns-topic"], headers["apns-push-type"]) == ("com.mattermost.rn.voip", "voip")
    assert "apns-collapse-id" not in headers


async def test_a_certificate_is_as_good_as_a_key(sandbox: SandboxClient, apns: ApnsSender) -> None:
    pem = sandbox.add_certificate("com.example.cert").decode()
    certificate, _, key = pem.partition("-----BEGIN PRIVATE")
    secret = {"cert_pem": certificate, "key_pem": "-----BEGIN PRIVATE" + key}
    target = apns_target(sandbox, kind="apns_cert", topic="com.example.cert", secret=secret, credential_id=31)
    assert (await attempt(apns, target, push())).status == 200
    [request] = sandbox.requests(DEVICE)
    assert "authorization" not in request["headers"]


async def test_a_certificate_that_apple_does_not_know_ends_as_a_credential_fault(
    sandbox: SandboxClient, hasty: Engine, tmp_path: Any
) -> None:
    certificates.ensure(tmp_path)
    pem = certificates.issue_client(tmp_path, "com.example.cert").decode()
    certificate, _, key = pem.partition("-----BEGIN PRIVATE")
    secret = {"cert_pem": certificate, "key_pem": "-----BEGIN PRIVATE" + key}
    target = apns_target(sandbox, kind="apns_cert", secret=secret, credential_id=32)
    made = await attempt(ApnsSender(hasty), target, push())
    assert (made.status, made.wire) == (0, NOT_SENT)
    assert made.reason in ("credential", "tls")
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    "secret",
    [
        {"key_pem": "no PEM", "key_id": "K", "team_id": "T"},
        {"key_pem": "", "key_id": "K", "team_id": "T"},
        {"key_id": "K", "team_id": "T"},
        {},
    ],
)
async def test_a_key_that_cannot_be_used_is_a_credential_fault_and_no_request(
    sandbox: SandboxClient, apns: ApnsSender, secret: dict[str, str]
) -> None:
    made = await attempt(apns, apns_target(sandbox, secret=secret, credential_id=33), push())
    assert (made.status, made.reason, made.wire) == (0, "credential", NOT_SENT)
    assert judge(made).code == "credential_unusable"
    assert made.detail
    assert sandbox.requests() == []


async def test_a_certificate_that_is_none_is_a_credential_fault(sandbox: SandboxClient, apns: ApnsSender) -> None:
    secret = {"cert_pem": "nothing", "key_pem": "nothing"}
    made = await attempt(apns, apns_target(sandbox, kind="apns_cert", secret=secret, credential_id=34), push())
    assert (made.status, made.reason, made.wire) == (0, "credential", NOT_SENT)


async def test_production_and_sandbox_apps_go_to_their_own_hosts(sandbox: SandboxClient, apns: ApnsSender) -> None:
    here = apns_target(sandbox, app_id=1)
    there = apns_target(sandbox, app_id=5, origin=sandbox.other_origin, topic="com.mattermost.rnbeta")
    hosts = [(await attempt(apns, target, push())).host for target in (here, there)]
    assert hosts == ["localhost", "127.0.0.1"]
    seen = [(r["host"].partition(":")[0], r["headers"]["apns-topic"]) for r in sandbox.requests(DEVICE)]
    assert seen == [("localhost", "com.mattermost.rn"), ("127.0.0.1", "com.mattermost.rnbeta")]


async def test_a_dead_device_comes_with_the_moment_of_its_death(sandbox: SandboxClient, apns: ApnsSender) -> None:
    sandbox.script("ab", {"status": 410, "json": {"reason": "Unregistered", "timestamp": 1_701_404_764_795}})
    made = await attempt(apns, apns_target(sandbox), push())
    assert (made.status, made.reason, made.gone_at) == (410, "Unregistered", 1_701_404_764_795)
    assert judge(made).answer is Answer.REMOVE


@pytest.mark.parametrize("timestamp", ["1701404764795", "soon", None, 17.5, -1, [1], 10**30])
async def test_an_odd_timestamp_does_not_hide_that_a_device_is_dead(
    sandbox: SandboxClient, apns: ApnsSender, timestamp: object
) -> None:
    sandbox.script("ab", {"status": 410, "json": {"reason": "Unregistered", "timestamp": timestamp}})
    made = await attempt(apns, apns_target(sandbox), push())
    assert judge(made).answer is Answer.REMOVE
    assert made.gone_at == (1_701_404_764_795 if timestamp == "1701404764795" else 0)


@pytest.mark.parametrize("status", [400, 410, 500, 503])
@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "null",
        "x",
        '["Unregistered"]',
        '{"reason":5}',
        '{"Reason":"Unregistered"}',
        '{"reason":"Unregis',
        '{"reason":"Unregistered "}',
        '{"reason":"Unregistered"} trailing',
        '{"reason":"a\\nb"}',
        "<html>502</html>",
        "{}",
        '{"reason":"Unregistered","more":' + "[" * 20_000,
    ],
)
async def test_an_answer_that_cannot_be_read_is_unknown_with_its_status(
    sandbox: SandboxClient, apns: ApnsSender, status: int, body: str
) -> None:
    sandbox.script("ab", {"status": status, "body": body})
    made = await attempt(apns, apns_target(sandbox), push())
    assert (made.status, made.reason, made.wire) == (status, "", ANSWERED)
    assert (judge(made).outcome, judge(made).answer) == (Outcome.UNKNOWN, Answer.FAIL)
    assert made.detail
    assert len(sandbox.requests(DEVICE)) == 1


@pytest.mark.parametrize("body", ["", "x", '{"reason":"BadTopic"} trailing', '{"reason":"BadDeviceToken"}'])
async def test_200_is_sent_whatever_its_body(sandbox: SandboxClient, apns: ApnsSender, body: str) -> None:
    sandbox.script("ab", {"status": 200, "body": body})
    assert judge(await attempt(apns, apns_target(sandbox), push())).outcome is Outcome.SENT


async def test_retry_after_is_told(sandbox: SandboxClient, apns: ApnsSender) -> None:
    answer: dict[str, Any] = {"status": 429, "json": {"reason": "TooManyRequests"}, "headers": {"retry-after": "7"}}
    sandbox.script("ab", answer)
    assert (await attempt(apns, apns_target(sandbox), push())).retry_after == 7.0


@pytest.mark.parametrize(
    "token",
    [
        "%zz",
        "a?b=c",
        "a#b",
        "a/b",
        "../x",
        "a/../b",
        "a\r\napns-priority: 1",
        "a\x00b",
        "a b",
        "ü",
        "%2f..",
        "a;b",
        ".",
    ],
)
async def test_a_hostile_token_stays_one_segment_of_the_path_or_is_not_sent(
    sandbox: SandboxClient, apns: ApnsSender, token: str
) -> None:
    made = await attempt(apns, apns_target(sandbox), push(token))
    requests = sandbox.requests()
    if token == ".":
        assert (made.reason, requests) == ("bad_token", [])
    else:
        assert (made.status, made.reason) == (400, "BadDeviceToken")
        assert requests[0]["path"].count("/") == 3
        assert not set("?#\r\n ") & set(requests[0]["path"])
        assert requests[0]["headers"]["apns-priority"] == "10"
    assert judge(made).answer is Answer.FAIL
    assert (await attempt(apns, apns_target(sandbox), push())).status == 200


@pytest.mark.parametrize("token", ["", ".", "..", "\ud800", "ü" * 400, "a" * 1001])
def test_a_token_that_no_path_can_carry_is_none(token: str) -> None:
    assert path_segment(token) == ""


@pytest.fixture
def our_clock(engine: Engine) -> SimpleNamespace:
    """The engine's clock, `ahead` of the true one by so many seconds."""
    ours = SimpleNamespace(ahead=0.0)
    engine.clock = PeerClock(lambda: time.time() + ours.ahead)
    return ours


@pytest.mark.parametrize("ahead", [7200.0, -7200.0])
async def test_a_token_signed_while_the_clock_was_wrong_is_renewed_at_its_first_refusal(
    sandbox: SandboxClient, our_clock: SimpleNamespace, engine: Engine, ahead: float
) -> None:
    """Apple sends no Date: that the clock was wrong is seen when it has been set."""
    apns, target = ApnsSender(engine), apns_target(sandbox)
    our_clock.ahead = ahead
    blamed = await attempt(apns, target, push())
    our_clock.ahead = 0.0
    made = await attempt(apns, target, push())
    assert (made.status, blamed.status) == (403, 403)
    verdict = judge(made)
    assert (verdict.attribution, verdict.retry) == ("ours", Retry.RENEW)
    assert (await attempt(apns, target, push())).status == 200


@pytest.mark.parametrize("ahead", [7200.0, -7200.0])
async def test_while_the_clock_is_wrong_the_providers_date_is_signed_with(
    sandbox: SandboxClient, our_clock: SimpleNamespace, engine: Engine, ahead: float
) -> None:
    apns, target = ApnsSender(engine), apns_target(sandbox)
    our_clock.ahead = ahead
    reason = "InvalidProviderToken" if ahead > 0 else "ExpiredProviderToken"
    headers = {"date": formatdate(usegmt=True)}
    sandbox.script("ab", [{"status": 403, "json": {"reason": reason}, "headers": headers}, {"status": 200}])
    made = await attempt(apns, target, push())
    assert made.detail.startswith("our clock is 7")
    assert judge(made).retry is Retry.RENEW
    sandbox.clear_scripts()
    assert (await attempt(apns, target, push())).status == 200


@pytest.mark.parametrize("members", [{}, {"type": "clear"}, {"transport": "voip", "sub_type": "calls"}], ids=str)
async def test_a_push_larger_than_apple_takes_is_told_so_and_never_sent(
    sandbox: SandboxClient, apns: ApnsSender, members: dict[str, Any]
) -> None:
    made = await attempt(apns, apns_target(sandbox), push(server_id="x" * 240_000, **members))
    assert (made.status, made.reason, made.wire) == (0, "too_large", NOT_SENT)
    assert sandbox.requests() == []
    asked = Attempt("apns", "localhost", 413, "PayloadTooLarge", ANSWERED, 0.0, 1)
    assert judge(made) is judge(asked), "the server is told what Apple's refusal would have told it"


async def test_two_apps_of_one_key_do_not_renew_its_token_in_turn(sandbox: SandboxClient, apns: ApnsSender) -> None:
    sandbox.settings(limit_token_updates=True)
    for app_id, topic in enumerate(("com.mattermost.rn", "com.mattermost.rnbeta", "com.mattermost.rn"), 10):
        target = apns_target(sandbox, app_id=app_id, credential_id=app_id, topic=topic)
        assert (await attempt(apns, target, push())).status == 200


async def test_a_push_after_the_end_of_the_engine_is_told_so(sandbox: SandboxClient, apns: ApnsSender) -> None:
    await apns._engine.close()
    made = await attempt(apns, apns_target(sandbox), push())
    assert (made.reason, made.wire) == ("stopped", NOT_SENT)


async def test_no_attempt_holds_the_device_token_or_the_key(sandbox: SandboxClient, apns: ApnsSender) -> None:
    for answer in ({"status": 400, "json": {"reason": "BadTopic"}}, {"reset": 2}, {"status": 502, "body": DEVICE}):
        sandbox.script("ab", answer)
        target = apns_target(sandbox)
        made = await attempt(apns, target, push())
        assert DEVICE not in repr(made)
        assert target.secret["key_pem"][40:80] not in repr(target) + repr(made)
