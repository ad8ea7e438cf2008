"""Provider tokens: one per key, renewed within Apple's bounds, and signed anew where the time in them was wrong."""

import inspect
import time

import jwt
import pytest
from aioapns.common import PRIORITY_HIGH, PushType
from aioapns.connection import JWTAuthorizationHeaderProvider
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from delivery.http2.peer_clock import PeerClock
from delivery.providers.apns.provider_token import (
    BAD_KEY_FOR,
    LAG,
    MIN_AGE,
    RENEW_AFTER,
    CredentialError,
    ProviderToken,
    ProviderTokens,
)
from delivery.sandbox.demo import private_pem, public_pem

KEY = private_pem(ec.generate_private_key(ec.SECP256R1())).decode()
BEARER = "bearer "
HOURS = 7200.0
# With the 1,000 s that have passed, the moment at which a slot begins.
TRUE = 1_795_000_000.0 // RENEW_AFTER * RENEW_AFTER + LAG - 1000.0


class Clock(PeerClock):
    """A clock whose time passes when the test says so; `ahead` of the true time by so many seconds."""

    def __init__(self) -> None:
        self.passed, self.ahead = 1000.0, 0.0
        super().__init__(lambda: self.true() + self.ahead, lambda: self.passed)

    def true(self) -> float:
        return TRUE + self.passed


@pytest.fixture
def clock() -> Clock:
    """The engine's clock."""
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> ProviderTokens:
    """A process's tokens."""
    return ProviderTokens(clock)


@pytest.fixture
def token(tokens: ProviderTokens) -> ProviderToken:
    """One of them."""
    return tokens.of("T", "K", KEY)


def off(token: ProviderToken, clock: Clock) -> float:
    """By how many seconds the time in a token is ahead of the true one, now that it is used."""
    claims = jwt.decode(token.header().removeprefix(BEARER), options={"verify_signature": False})
    return float(claims["iat"]) - clock.true()


def is_right(token: ProviderToken, clock: Clock) -> bool:
    """Whether the time in a token is one that another process with the true time has in its own."""
    return off(token, clock) == off(ProviderTokens(PeerClock(clock.true, clock.monotonic)).of("T", "K", KEY), clock)


def test_the_token_is_what_apple_asks_for(tokens: ProviderTokens) -> None:
    header = tokens.of("TEAM123456", "ABC123DEFG", KEY).header()
    token = header.removeprefix(BEARER)
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "ABC123DEFG", "typ": "JWT"}
    claims = jwt.decode(token, public_pem(KEY.encode()), algorithms=["ES256"])
    assert set(claims) == {"iss", "iat"}
    assert claims["iss"] == "TEAM123456"
    assert claims["iat"] == TRUE + 1000 - LAG


def test_it_is_the_token_that_aioapns_makes(tokens: ProviderTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: TRUE + 1000 - LAG)
    theirs = JWTAuthorizationHeaderProvider(key=KEY, key_id="K", team_id="T").get_header()
    ours = tokens.of("T", "K", KEY).header()
    assert ours.rpartition(".")[0] == theirs.rpartition(".")[0], "all but the signature, which is never the same there"


def test_all_apps_of_a_key_share_one_token_and_other_keys_have_their_own(tokens: ProviderTokens) -> None:
    one = tokens.of("TEAM123456", "ABC123DEFG", KEY)
    assert tokens.of("TEAM123456", "ABC123DEFG", KEY) is one
    assert tokens.of("TEAM123456", "ZZZ123DEFG", KEY) is not one
    assert tokens.of("OTHERTEAM1", "ABC123DEFG", KEY) is not one


def test_a_token_is_kept_until_it_is_old_and_never_for_an_hour(token: ProviderToken, clock: Clock) -> None:
    first = token.header()
    clock.passed += RENEW_AFTER - 1
    assert token.header() == first
    clock.passed += 1
    assert token.header() != first
    assert MIN_AGE < RENEW_AFTER <= 3000


def test_a_clock_that_is_set_neither_keeps_a_token_longer_nor_spoils_the_next(
    token: ProviderToken, clock: Clock
) -> None:
    first = token.header()
    for ahead in (-HOURS, HOURS, -HOURS):
        clock.ahead = ahead
        clock.passed += RENEW_AFTER - 1
        assert token.header() == first
        clock.passed += 1
        second = token.header()
        assert second != first
        assert is_right(token, clock), "as the time that Apple has taken goes on"
        first = second


@pytest.mark.parametrize("ahead", [HOURS, -HOURS])
def test_a_token_signed_while_the_clock_was_wrong_is_signed_anew_once_the_clock_is_right(
    token: ProviderToken, clock: Clock, ahead: float
) -> None:
    clock.ahead = ahead
    token.header()
    clock.passed += 100
    clock.ahead = 0.0
    word = "ahead" if ahead > 0 else "behind"
    assert token.refused(clock.passed) == f"our clock was 7200 s {word} when it signed"
    assert is_right(token, clock)


@pytest.mark.parametrize("ahead", [HOURS, -HOURS, 40.0])
def test_a_token_is_signed_by_the_providers_date_while_our_clock_is_wrong(
    token: ProviderToken, clock: Clock, ahead: float
) -> None:
    clock.ahead = ahead
    token.header()
    clock.passed += 5
    clock.observe(clock.true())
    word = "ahead" if ahead > 0 else "behind"
    assert token.refused(clock.passed) == f"our clock is {abs(ahead):.0f} s {word}"
    assert is_right(token, clock)
    clock.passed += RENEW_AFTER
    assert is_right(token, clock), "the next one, too"


@pytest.mark.parametrize("ahead", [HOURS, -HOURS])
def test_where_apple_says_no_time_another_clock_of_ours_is_asked(
    token: ProviderToken, clock: Clock, ahead: float
) -> None:
    clock.second_opinion = clock.true
    clock.ahead = ahead
    token.header()
    remark = f"our clock was 7200 s {'ahead' if ahead > 0 else 'behind'} when it signed"
    assert token.refused(clock.passed) == remark
    assert is_right(token, clock)
    clock.passed += RENEW_AFTER
    assert is_right(token, clock), "the next one, too"


def test_another_clock_of_ours_that_is_wrong_spoils_no_other_key(tokens: ProviderTokens, clock: Clock) -> None:
    clock.second_opinion = lambda: clock.true() + HOURS
    refused, good = tokens.of("T", "K", KEY), tokens.of("T", "L", KEY)
    refused.header()
    assert refused.refused(clock.passed)
    assert is_right(good, clock)


def test_a_key_that_is_refused_at_the_right_time_is_to_blame_though_our_clock_is_wrong(
    token: ProviderToken, clock: Clock
) -> None:
    clock.ahead = HOURS
    token.header()
    clock.observe(clock.true())
    assert token.refused(clock.passed)
    second = token.header()
    clock.passed += 1
    clock.observe(clock.true())
    assert token.refused(clock.passed) == ""
    assert token.header() == second


@pytest.mark.parametrize("observed", [False, True])
def test_a_key_that_is_refused_while_the_clock_is_right_is_to_blame_and_signs_no_more(
    token: ProviderToken, clock: Clock, observed: bool
) -> None:
    first = token.header()
    clock.passed += 5
    if observed:
        clock.observe(clock.true() + 20)
    assert token.refused(clock.passed) == ""
    assert token.header() == first


def test_pushes_sent_with_the_old_token_do_not_renew_the_new_one_and_hear_the_same(
    token: ProviderToken, clock: Clock
) -> None:
    clock.ahead = HOURS
    token.header()
    sent_at = clock.passed
    clock.passed += 5
    clock.ahead = 0.0
    remark = token.refused(sent_at)
    assert token.refused(sent_at) == remark, "before the next one is signed"
    second = token.header()
    assert {token.refused(sent_at) for _ in range(50)} == {remark}
    assert token.header() == second


def test_a_clock_that_goes_wrong_again_and_again_does_not_make_a_token_per_push(
    token: ProviderToken, clock: Clock
) -> None:
    seen = set()
    for second in range(1000):
        clock.ahead = HOURS * (second % 2)
        seen.add(token.header())
        clock.passed += 1
        token.refused(clock.passed)
    assert len(seen) == 2, "the first one and one renewal in 20 minutes"


def test_a_token_that_apple_refuses_without_a_reason_in_its_time_is_renewed_when_apple_lets_us(
    token: ProviderToken, clock: Clock
) -> None:
    first = token.header()
    clock.passed += MIN_AGE - 1
    assert token.refused(clock.passed) == ""
    assert token.header() == first
    clock.passed += 1
    assert token.refused(clock.passed) == ""
    assert token.header() != first


@pytest.mark.parametrize(
    "key",
    [
        "",
        "no PEM",
        KEY.replace("MIGH", "MIGX"),
        private_pem(rsa.generate_private_key(key_size=2048, public_exponent=65537)).decode(),
        private_pem(ec.generate_private_key(ec.SECP384R1())).decode(),
    ],
    ids=["empty", "text", "damaged", "rsa", "p384"],
)
def test_a_key_that_cannot_sign_is_said_so_without_quoting_it(tokens: ProviderTokens, clock: Clock, key: str) -> None:
    token = tokens.of("T", "K", key)
    with pytest.raises(CredentialError) as refused:
        token.header()
    assert "cannot sign for APNs" in str(refused.value)
    assert refused.value.__cause__ is None
    assert "PRIVATE" not in str(refused.value)
    clock.passed += BAD_KEY_FOR / 2
    with pytest.raises(CredentialError):
        token.header()


def test_a_key_that_cannot_sign_is_not_read_for_every_push(
    tokens: ProviderTokens, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    monkeypatch.setattr(
        "delivery.providers.apns.provider_token._SIGNER.encode", lambda *given, **_: reads.append(given) or jwt_fails()
    )
    token = tokens.of("T", "K", "bad")
    for _ in range(100):
        with pytest.raises(CredentialError):
            token.header()
    assert len(reads) == 1
    clock.passed += BAD_KEY_FOR
    with pytest.raises(CredentialError):
        token.header()
    assert len(reads) == 2


def jwt_fails() -> str:
    raise jwt.InvalidKeyError("not a key")


def test_aioapns_is_as_we_lean_on_it() -> None:
    parameters = list(inspect.signature(JWTAuthorizationHeaderProvider.__init__).parameters)
    assert parameters == ["self", "key", "key_id", "team_id"]
    header = JWTAuthorizationHeaderProvider(key=KEY, key_id="K", team_id="T").get_header()
    assert header.startswith("bearer ey")
    assert (PushType.ALERT.value, PushType.VOIP.value, PRIORITY_HIGH) == ("alert", "voip", "10")
