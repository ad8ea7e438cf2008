"""Provider tokens: one per key, renewed within Apple's bounds, made by the parts of aioapns that we lean on."""

import inspect
import time

import jwt
import pytest
from aioapns.common import PRIORITY_HIGH, PushType
from aioapns.connection import JWTAuthorizationHeaderProvider
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from delivery.providers.apns.provider_token import (
    BAD_KEY_FOR,
    MIN_AGE,
    RENEW_AFTER,
    CredentialError,
    ProviderTokens,
    skew,
)
from delivery.sandbox.demo import private_pem, public_pem

KEY = private_pem(ec.generate_private_key(ec.SECP256R1())).decode()
BEARER = "bearer "


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The tokens' clock."""
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> ProviderTokens:
    """A process's tokens."""
    return ProviderTokens(clock)


def test_the_token_is_what_apple_asks_for(tokens: ProviderTokens) -> None:
    header = tokens.of("TEAM123456", "ABC123DEFG", KEY).header()
    token = header.removeprefix(BEARER)
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "ABC123DEFG", "typ": "JWT"}
    claims = jwt.decode(token, public_pem(KEY.encode()), algorithms=["ES256"])
    assert set(claims) == {"iss", "iat"}
    assert claims["iss"] == "TEAM123456"
    assert abs(claims["iat"] - time.time()) < 5


def test_all_apps_of_a_key_share_one_token_and_other_keys_have_their_own(tokens: ProviderTokens) -> None:
    one = tokens.of("TEAM123456", "ABC123DEFG", KEY)
    assert tokens.of("TEAM123456", "ABC123DEFG", KEY) is one
    assert tokens.of("TEAM123456", "ZZZ123DEFG", KEY) is not one
    assert tokens.of("OTHERTEAM1", "ABC123DEFG", KEY) is not one


def test_a_token_is_kept_until_it_is_old_and_never_for_an_hour(tokens: ProviderTokens, clock: Clock) -> None:
    token = tokens.of("T", "K", KEY)
    first = token.header()
    clock.now += RENEW_AFTER - 1
    assert token.header() == first
    clock.now += 1
    assert token.header() != first
    assert MIN_AGE < RENEW_AFTER <= 3000


def test_a_token_that_apple_calls_expired_is_renewed_at_once(tokens: ProviderTokens, clock: Clock) -> None:
    token = tokens.of("T", "K", KEY)
    first = token.header()
    clock.now += 5
    token.refused(clock.now, expired=True)
    assert token.header() != first


def test_pushes_sent_with_the_old_token_do_not_renew_the_new_one(tokens: ProviderTokens, clock: Clock) -> None:
    token = tokens.of("T", "K", KEY)
    token.header()
    sent_at = clock.now + 1
    clock.now += 5
    token.refused(sent_at, expired=True)
    second = token.header()
    for _ in range(50):
        token.refused(sent_at, expired=True)
    assert token.header() == second


def test_a_clock_that_is_wrong_does_not_make_a_token_per_push(tokens: ProviderTokens, clock: Clock) -> None:
    token = tokens.of("T", "K", KEY)
    seen = {token.header()}
    for _ in range(1000):
        clock.now += 1
        token.refused(clock.now, expired=True)
        seen.add(token.header())
    assert len(seen) == 2, "the first one and one renewal in 20 minutes"
    clock.now += MIN_AGE
    token.refused(clock.now, expired=True)
    assert token.header() not in seen


def test_a_token_that_apple_calls_invalid_is_not_renewed(tokens: ProviderTokens, clock: Clock) -> None:
    token = tokens.of("T", "K", KEY)
    first = token.header()
    clock.now += 5
    token.refused(clock.now, expired=False)
    assert token.header() == first


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
    clock.now += BAD_KEY_FOR / 2
    with pytest.raises(CredentialError):
        token.header()


def test_a_key_that_cannot_sign_is_not_read_for_every_push(
    tokens: ProviderTokens, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    monkeypatch.setattr("jwt.encode", lambda **given: reads.append(given) or jwt_fails())
    token = tokens.of("T", "K", "bad")
    for _ in range(100):
        with pytest.raises(CredentialError):
            token.header()
    assert len(reads) == 1
    clock.now += BAD_KEY_FOR
    with pytest.raises(CredentialError):
        token.header()
    assert len(reads) == 2


def jwt_fails() -> str:
    raise jwt.InvalidKeyError("not a key")


@pytest.mark.parametrize(
    ("ours", "detail"),
    [
        (0, ""),
        (59, ""),
        (-59, ""),
        (4000, "our clock is 4000 s ahead of the provider's"),
        (-75, "our clock is 75 s behind the provider's"),
    ],
)
def test_clocks_that_are_far_apart_are_remarked_on(ours: int, detail: str) -> None:
    assert skew(1_795_000_000.0, 1_795_000_000.0 + ours) == detail
    assert skew(0.0, 1_795_000_000.0) == ""


def test_aioapns_is_as_we_lean_on_it() -> None:
    parameters = list(inspect.signature(JWTAuthorizationHeaderProvider.__init__).parameters)
    assert parameters == ["self", "key", "key_id", "team_id"]
    header = JWTAuthorizationHeaderProvider(key=KEY, key_id="K", team_id="T").get_header()
    assert header.startswith("bearer ey")
    assert (PushType.ALERT.value, PushType.VOIP.value, PRIORITY_HIGH) == ("alert", "voip", "10")
