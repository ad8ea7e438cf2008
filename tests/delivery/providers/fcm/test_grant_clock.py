"""Grants that Google refuses for the time in them: signed again by Google's, and never charged to the customer."""

import time
from email.utils import formatdate

import pytest

from delivery.http2.engine import Engine
from delivery.http2.peer_clock import PeerClock
from delivery.outcomes.verdict import CLOCK
from delivery.providers.fcm.sender import FcmSender
from delivery.providers.table import judge
from tests.delivery.providers.fcm.test_access_token import grants, many, oauth
from tests.sandbox_fixture import SandboxClient

NOT_IN_TIME = {
    "error": "invalid_grant",
    "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim.",
}


@pytest.fixture
async def fcm(sandbox: SandboxClient, engine: Engine) -> FcmSender:
    """A sender as a worker has it, without a token yet."""
    return FcmSender(engine, sandbox.origin)


@pytest.mark.parametrize("ahead", [7200.0, -7200.0])
async def test_a_grant_that_google_refuses_for_its_time_is_signed_again_by_googles_date(
    sandbox: SandboxClient, fcm: FcmSender, engine: Engine, ahead: float
) -> None:
    engine.clock = PeerClock(lambda: time.time() + ahead)
    headers = {"date": formatdate(usegmt=True)}
    refused = {"status": 400, "json": {"error": "invalid_grant"}, "headers": headers}
    sandbox.script(oauth(sandbox), [refused, {"status": 200}])
    assert {one.status for one in await many(fcm, sandbox, 5)} == {200}
    first, second = (grant["check"] for grant in grants(sandbox))
    assert first.startswith("400 invalid_grant")
    assert second == ""


async def test_an_account_that_google_refuses_at_the_right_time_is_to_blame_though_our_clock_is_wrong(
    sandbox: SandboxClient, fcm: FcmSender, engine: Engine
) -> None:
    engine.clock = PeerClock(lambda: time.time() + 7200)
    headers = {"date": formatdate(usegmt=True)}
    sandbox.script(oauth(sandbox), {"status": 400, "json": {"error": "invalid_grant"}, "headers": headers})
    [made] = await many(fcm, sandbox, 1)
    assert (made.reason, made.detail) == ("credential", "400 invalid_grant")
    assert len(grants(sandbox)) == 2


async def test_a_grant_that_is_not_in_time_is_our_fault_though_google_names_no_time(
    sandbox: SandboxClient, fcm: FcmSender, engine: Engine
) -> None:
    sandbox.script(oauth(sandbox), {"status": 400, "json": NOT_IN_TIME, "headers": {"date": ""}})
    [made] = await many(fcm, sandbox, 1)
    verdict = judge(made)
    assert (verdict.code, verdict.attribution, verdict.is_credential_fault) == ("our_clock", "ours", False)
    assert CLOCK in made.detail


async def test_a_clock_that_goes_on_being_wrong_is_our_fault(
    sandbox: SandboxClient, fcm: FcmSender, engine: Engine
) -> None:
    hours = iter((2, 5))

    def refused() -> dict[str, object]:
        date = formatdate(time.time() + 3600 * next(hours), usegmt=True)
        return {"status": 400, "json": NOT_IN_TIME, "headers": {"date": date}}

    sandbox.script(oauth(sandbox), [refused(), refused()])
    [made] = await many(fcm, sandbox, 1)
    assert (judge(made).code, judge(made).attribution) == ("our_clock", "ours")
