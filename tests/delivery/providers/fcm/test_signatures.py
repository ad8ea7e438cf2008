"""Signatures of grants are made in threads of their own: what becomes of pushes when these are busy or stuck."""

import threading
from collections.abc import Iterator

import pytest

from delivery.executors import BoundedExecutor
from delivery.http2.engine import Engine
from delivery.outcomes.verdict import NOT_SENT, Retry
from delivery.providers.fcm import access_token
from delivery.providers.fcm.sender import FcmSender
from delivery.providers.table import judge
from tests.delivery.providers.fcm.test_access_token import grants, many
from tests.sandbox_fixture import SandboxClient
from tests.waiting import PATIENCE


@pytest.fixture
async def fcm(sandbox: SandboxClient, engine: Engine) -> FcmSender:
    """A sender as a worker has it, without a token yet."""
    return FcmSender(engine, sandbox.origin)


@pytest.fixture
def stuck_signatures(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No thread is free for a signature until this event is set, and one call may wait."""
    executor, gate = BoundedExecutor("signatures", threads=1, queued=1), threading.Event()
    executor.submit(gate.wait, PATIENCE)
    monkeypatch.setattr(access_token, "SIGNATURES", executor)
    yield gate
    gate.set()


async def test_a_signature_that_is_not_made_in_time_is_our_fault_and_not_googles(
    sandbox: SandboxClient, fcm: FcmSender, stuck_signatures: threading.Event
) -> None:
    made = await many(fcm, sandbox, 3, seconds=0.5)
    assert {(one.reason, one.wire, one.detail) for one in made} == {("signature", NOT_SENT, "no signature in time")}
    verdict = judge(made[0])
    assert (verdict.code, verdict.attribution, verdict.retry) == ("fcm_not_signed", "ours", Retry.SAFE)
    stuck_signatures.set()
    assert {one.status for one in await many(fcm, sandbox, 3)} == {200}
    assert len(grants(sandbox)) == 1


@pytest.mark.usefixtures("stuck_signatures")
async def test_past_their_bound_signatures_are_rejected_at_once_and_loudly(
    sandbox: SandboxClient, fcm: FcmSender, caplog: pytest.LogCaptureFixture
) -> None:
    access_token.SIGNATURES.submit(int)
    (made,) = await many(fcm, sandbox, 1, seconds=PATIENCE)
    assert (made.reason, made.detail) == ("signature", "too many signatures wait")
    assert "an access token cannot be asked for" in caplog.text
