"""One provider token for a key: the same in every process, also where one slot of time passes into the next."""

import pytest

from delivery.http2.engine import Engine
from delivery.http2.peer_clock import PeerClock
from delivery.outcomes.verdict import Retry
from delivery.providers.apns.provider_token import LAG, RENEW_AFTER, ProviderToken, ProviderTokens
from delivery.providers.apns.sender import ApnsSender
from delivery.providers.table import judge
from tests.delivery.providers.apns.test_provider_token import KEY, Clock, is_right, off
from tests.delivery.providers.trying import apns_target, attempt, push
from tests.sandbox_fixture import SandboxClient


@pytest.fixture
def clock() -> Clock:
    """The engine's clock, at the beginning of a slot."""
    return Clock()


@pytest.fixture
def token(clock: Clock) -> ProviderToken:
    """The token of a process."""
    return ProviderTokens(clock).of("T", "K", KEY)


def test_all_processes_sign_the_same_token_whenever_they_begin(clock: Clock) -> None:
    made = set()
    for begun in (0, 1, 900, RENEW_AFTER - 1):
        clock.passed = 1000.0 + begun
        made.add(ProviderTokens(clock).of("T", "K", KEY).header())
    assert len(made) == 1
    clock.passed = 1000.0 + RENEW_AFTER
    assert ProviderTokens(clock).of("T", "K", KEY).header() not in made


def test_a_token_is_from_no_future_though_the_clock_is_a_little_ahead(token: ProviderToken, clock: Clock) -> None:
    clock.ahead = LAG
    assert off(token, clock) <= 0


@pytest.mark.parametrize("apart", [0.0, 1.0, LAG - 1])
def test_a_process_whose_clock_is_behind_follows_when_apple_says_that_its_token_is_too_many(
    token: ProviderToken, clock: Clock, apart: float
) -> None:
    old = token.header()
    clock.passed += RENEW_AFTER - 1
    ahead = ProviderTokens(PeerClock(lambda: clock.true() + apart + 1, clock.monotonic)).of("T", "K", KEY)
    assert ahead.header() != old
    assert token.header() == old
    assert token.overtaken(clock.passed)
    assert token.header() == ahead.header()
    clock.passed += RENEW_AFTER + 1
    assert is_right(token, clock), "and goes on with its own clock"


def test_a_token_that_is_too_many_for_another_reason_is_not_replaced(token: ProviderToken, clock: Clock) -> None:
    first = token.header()
    clock.passed += RENEW_AFTER - LAG - 1
    assert not token.overtaken(clock.passed)
    assert token.header() == first


def test_of_many_pushes_that_hear_that_their_token_is_too_many_each_goes_on_with_the_next(
    token: ProviderToken, clock: Clock
) -> None:
    token.header()
    sent_at = clock.passed = clock.passed + RENEW_AFTER - 1
    clock.passed += 0.5
    assert token.overtaken(sent_at)
    second = token.header()
    assert all(token.overtaken(sent_at) for _ in range(50))
    assert token.header() == second


async def test_apple_sees_one_signing_token_of_a_key_whichever_process_signs(
    sandbox: SandboxClient, engine: Engine
) -> None:
    key_pem = sandbox.add_key("STRICT0001").read_text()
    secret = {"key_pem": key_pem, "key_id": "STRICT0001", "team_id": sandbox.demo.team_id}
    sandbox.settings(limit_token_updates=True)
    for _ in range(2):
        for sender in [ApnsSender(engine) for _ in range(3)]:
            made = await attempt(sender, apns_target(sandbox, secret=secret, credential_id=35), push())
            assert (made.status, made.reason) == (200, "")


async def test_a_token_that_another_process_has_overtaken_is_replaced_and_the_push_sent_again(
    sandbox: SandboxClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    apns = ApnsSender(engine)
    sandbox.script("ab", {"status": 429, "json": {"reason": "TooManyProviderTokenUpdates"}})
    monkeypatch.setattr("delivery.providers.apns.provider_token.ProviderToken.overtaken", lambda *_: True)
    assert judge(await attempt(apns, apns_target(sandbox), push())).retry is Retry.RENEW
    monkeypatch.setattr("delivery.providers.apns.provider_token.ProviderToken.overtaken", lambda *_: False)
    sandbox.script("ab", {"status": 429, "json": {"reason": "TooManyProviderTokenUpdates"}})
    assert judge(await attempt(apns, apns_target(sandbox), push())).retry is Retry.BACKOFF
