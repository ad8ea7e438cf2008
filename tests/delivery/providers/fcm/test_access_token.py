"""Access tokens: fetched once for all who wait, ahead of time, and never at the cost of a push's own timeout."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import google.auth.jwt
import pytest
from firebase_admin.credentials import Certificate

from delivery.http2.engine import Engine
from delivery.outcomes.verdict import NOT_SENT, Attempt
from delivery.providers.apns.provider_token import CredentialError
from delivery.providers.fcm import access_token
from delivery.providers.fcm.access_token import AccessToken, token_url
from delivery.providers.fcm.sender import FcmSender
from delivery.providers.table import judge
from tests.delivery.providers.trying import FCM_DEVICE, attempt, fcm_target, push
from tests.sandbox_fixture import SandboxClient

GOOGLE = "https://oauth2.googleapis.com"


@pytest.fixture
async def fcm(sandbox: SandboxClient, engine: Engine) -> FcmSender:
    """A sender as a worker has it, without a token yet."""
    return FcmSender(engine, sandbox.origin)


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """An origin that takes connections and says nothing."""
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    server.close()


def grants(sandbox: SandboxClient) -> list[dict[str, Any]]:
    """The token requests that the sandbox got."""
    return sandbox.requests(provider="oauth")


def oauth(sandbox: SandboxClient) -> str:
    """The marker of the demo account's grants."""
    return f"oauth:{sandbox.demo.client_email}"


async def many(fcm: FcmSender, sandbox: SandboxClient, number: int, **options: Any) -> list[Attempt]:
    """So many pushes at once."""
    target = fcm_target(sandbox)
    return await asyncio.gather(*(attempt(fcm, target, push(FCM_DEVICE), **options) for _ in range(number)))


async def test_many_pushes_wait_for_one_token(sandbox: SandboxClient, fcm: FcmSender) -> None:
    made = await many(fcm, sandbox, 40)
    assert {one.status for one in made} == {200}
    assert len(grants(sandbox)) == 1
    assert {one.status for one in await many(fcm, sandbox, 10)} == {200}
    assert len(grants(sandbox)) == 1


def test_the_grant_is_the_one_that_firebase_admins_credential_makes(sandbox: SandboxClient, engine: Engine) -> None:
    account = sandbox.demo.service_account.read_text()
    url, body = AccessToken(engine, 1, account, sandbox.origin)._grant()
    form = parse_qs(body.decode())
    assert url == sandbox.origin + "/token"
    theirs = Certificate(json.loads(account)).get_credential()._make_authorization_grant_assertion()
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    (our_head, our_claims, _, _), (head, claims, _, _) = map(
        google.auth.jwt._unverified_decode, (form["assertion"][0], theirs)
    )
    assert our_head == head
    assert our_claims.pop("scope") in ("https://www.googleapis.com/auth/firebase.messaging", claims.pop("scope"))
    for moment in ("iat", "exp"):
        assert abs(our_claims.pop(moment) - claims.pop(moment)) < 5
    assert our_claims == claims


async def test_a_silent_token_endpoint_costs_each_push_its_timeout_and_others_nothing(
    sandbox: SandboxClient, engine: Engine, silent: str
) -> None:
    fcm = FcmSender(engine, silent)
    healthy = FcmSender(engine, sandbox.origin)
    account = json.loads(sandbox.demo.service_account.read_bytes()) | {"token_uri": silent + "/token"}
    stuck_target = fcm_target(sandbox, app_id=7, credential_id=7, secret={"account_json": json.dumps(account)})
    stuck = [asyncio.create_task(attempt(fcm, stuck_target, push(FCM_DEVICE), seconds=1.0)) for _ in range(20)]
    assert (await many(healthy, sandbox, 1))[0].status == 200
    assert not any(one.done() for one in stuck)
    for one in await asyncio.gather(*stuck):
        assert (one.reason, one.wire, one.detail) == ("token_endpoint", NOT_SENT, "no answer in time")


async def test_the_list_of_those_who_wait_is_bounded(
    sandbox: SandboxClient, engine: Engine, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_token, "MOST_WAITING", 5)
    fcm = FcmSender(engine, silent)
    account = json.loads(sandbox.demo.service_account.read_bytes()) | {"token_uri": silent + "/token"}
    target = fcm_target(sandbox, secret={"account_json": json.dumps(account)})
    waits = [asyncio.create_task(attempt(fcm, target, push(FCM_DEVICE), seconds=0.4)) for _ in range(8)]
    details = [one.detail for one in await asyncio.gather(*waits)]
    assert sorted(details) == ["no answer in time"] * 5 + ["too many pushes wait for it"] * 3


@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        ({"status": 400, "json": {"error": "invalid_grant"}}, "credential", "400 invalid_grant"),
        ({"status": 401, "json": {"error": "invalid_client"}}, "credential", "401 invalid_client"),
        ({"status": 403, "json": {"error": "access_denied"}}, "credential", "403 access_denied"),
        ({"status": 200, "json": {"token_type": "Bearer"}}, "token_endpoint", "200 and no access token"),
        ({"status": 200, "json": {"access_token": 5}}, "token_endpoint", "200 and no access token"),
        ({"status": 200, "json": {"access_token": "a\r\nb: c"}}, "token_endpoint", "200 and no access token"),
        ({"status": 200, "body": "<html>"}, "token_endpoint", "200 and no access token"),
        ({"status": 400, "body": "<html>"}, "token_endpoint", "400"),
        ({"status": 401}, "token_endpoint", "401"),
        ({"status": 403, "json": {"error": {"code": 403, "message": "x"}}}, "token_endpoint", "403"),
        ({"status": 400, "json": {"error": "internal_failure"}}, "token_endpoint", "400 internal_failure"),
        ({"status": 500, "json": {"error": "<secret>"}}, "token_endpoint", "500"),
        ({"status": 503, "body": "x"}, "token_endpoint", "503"),
        ({"close": True}, "token_endpoint", "closed"),
        ({"reset": 2}, "token_endpoint", "reset"),
    ],
)
async def test_no_token_means_no_request_and_a_clear_word(
    sandbox: SandboxClient, fcm: FcmSender, answer: dict[str, Any], reason: str, detail: str
) -> None:
    sandbox.script(oauth(sandbox), answer)
    for one in await many(fcm, sandbox, 5):
        assert (one.status, one.reason, one.wire, one.detail) == (0, reason, NOT_SENT, detail)
        assert judge(one).code in ("credential_unusable", "fcm_no_access_token")
    assert (await many(fcm, sandbox, 1))[0].detail == detail
    assert len(grants(sandbox)) == 1, "it is not asked again for every push"
    assert sandbox.requests(provider="fcm") == []


async def test_after_a_pause_it_is_tried_again(
    sandbox: SandboxClient, fcm: FcmSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_token, "PAUSE_SECONDS", 0.1)
    sandbox.script(oauth(sandbox), [{"status": 503}, {"status": 200}])
    assert (await many(fcm, sandbox, 1))[0].reason == "token_endpoint"
    await asyncio.sleep(0.15)
    assert (await many(fcm, sandbox, 1))[0].status == 200


async def test_a_token_is_renewed_before_it_runs_out_while_pushes_go_on(sandbox: SandboxClient, fcm: FcmSender) -> None:
    token = {"access_token": "short-lived", "expires_in": 3.0}
    sandbox.script(oauth(sandbox), [{"status": 200, "json": token}, {"status": 200, "delay": 1.0}])
    renewing = fcm._tokens
    sandbox.script("cRs8", {"status": 200})
    await many(fcm, sandbox, 1)
    await asyncio.sleep(2.45)
    await many(fcm, sandbox, 1)
    assert renewing[2]._fetching, "the push went with the old token, and did not wait for the new one"
    await asyncio.sleep(1.3)
    assert len(grants(sandbox)) == 2
    assert renewing[2].header() not in ("", "authorization: Bearer short-lived")


async def test_a_token_that_google_refuses_is_renewed_at_once_and_not_for_every_push(
    sandbox: SandboxClient, fcm: FcmSender
) -> None:
    refused = {"error": {"code": 401, "message": "x", "status": "UNAUTHENTICATED"}}
    sandbox.script("cRs8", [{"status": 401, "json": refused}, {"status": 200}])
    target = fcm_target(sandbox)
    assert (await attempt(fcm, target, push(FCM_DEVICE))).reason == "UNAUTHENTICATED"
    assert (await attempt(fcm, target, push(FCM_DEVICE))).status == 200
    assert len(grants(sandbox)) == 2
    sandbox.script("cRs8", {"status": 401, "json": refused})
    await many(fcm, sandbox, 20)
    await many(fcm, sandbox, 20)
    assert len(grants(sandbox)) == 2


async def test_a_third_partys_credential_renews_nothing(sandbox: SandboxClient, fcm: FcmSender) -> None:
    for _ in range(2):
        made = await attempt(fcm, fcm_target(sandbox), push("thirdparty:" + "a" * 60))
        assert made.reason == "THIRD_PARTY_AUTH_ERROR"
    assert len(grants(sandbox)) == 1


@pytest.mark.parametrize(
    "account",
    ["", "null", "[]", "{}", "no JSON", '{"type":"service_account","token_uri":"https://oauth2.googleapis.com/token"}'],
)
async def test_an_account_that_cannot_be_read_is_a_credential_fault(
    sandbox: SandboxClient, fcm: FcmSender, account: str
) -> None:
    made = await attempt(fcm, fcm_target(sandbox, secret={"account_json": account}), push(FCM_DEVICE))
    assert (made.reason, made.wire) == ("credential", NOT_SENT)
    assert "cannot be read" in made.detail
    assert sandbox.requests() == []


async def test_a_token_address_that_is_not_googles_is_never_fetched(sandbox: SandboxClient, engine: Engine) -> None:
    fcm = FcmSender(engine, sandbox.other_origin)
    made = await attempt(fcm, fcm_target(sandbox), push(FCM_DEVICE))
    assert (made.reason, made.detail) == ("credential", "the service account's token_uri is not Google's")
    assert sandbox.requests() == []


async def test_googles_token_address_is_fetched_at_the_origin_that_is_set(
    sandbox: SandboxClient, fcm: FcmSender
) -> None:
    account = json.loads(sandbox.demo.service_account.read_bytes()) | {"token_uri": GOOGLE + "/token"}
    made = await attempt(fcm, fcm_target(sandbox, secret={"account_json": json.dumps(account)}), push(FCM_DEVICE))
    assert made.status == 200


@pytest.mark.parametrize(
    ("uri", "origin", "url"),
    [
        (GOOGLE + "/token", GOOGLE, GOOGLE + "/token"),
        (GOOGLE + "/token", "https://localhost:1", "https://localhost:1/token"),
        ("https://accounts.google.com/o/oauth2/token", GOOGLE, GOOGLE + "/token"),
        ("https://www.googleapis.com/oauth2/v4/token", "https://localhost:1", "https://localhost:1/token"),
        ("https://localhost:1/t", "https://localhost:1", "https://localhost:1/t"),
        ("http://oauth2.googleapis.com/token", GOOGLE, None),
        ("https://oauth2.googleapis.com.evil.example/token", GOOGLE, None),
        ("https://oauth2.googleapis.com@evil.example/token", GOOGLE, None),
        ("https://169.254.169.254/token", GOOGLE, None),
        ("file:///etc/passwd", GOOGLE, None),
        (GOOGLE + "/tök", GOOGLE, None),
        ("https://localhost:1/" + "t" * 2000, "https://localhost:1", None),
        ("", GOOGLE, None),
    ],
)
def test_only_googles_address_or_the_operators_is_a_token_address(uri: str, origin: str, url: str | None) -> None:
    if url is not None:
        assert token_url(uri, origin) == url
        return
    with pytest.raises(CredentialError):
        token_url(uri, origin)


async def test_reading_and_signing_do_not_hold_up_the_loop(sandbox: SandboxClient, fcm: FcmSender) -> None:
    """The best of five, because other work on the machine holds it up too."""
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            gaps.append(time.monotonic() - began)

    watching = asyncio.create_task(watch())
    worst = []
    for number in range(5):
        await asyncio.sleep(0.02)
        gaps.clear()
        target = fcm_target(sandbox, app_id=50 + number, credential_id=50 + number)
        assert (await attempt(fcm, target, push(FCM_DEVICE))).status == 200
        worst.append(max(gaps))
    watching.cancel()
    assert min(worst) < 0.06
