"""APNs provider tokens: one per (team, key id, key), the same in every process that signs with the key.

A JWT signed with ES256, renewed within Apple's bounds: valid for an hour, renewed not more often than every 20 minutes
(https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns). Apple
counts the tokens of a key, whoever sends them: so workers, checks of credentials and processes that have just started
must send the same one. Nothing is shared for that. The claim `iat` is the beginning of a slot of RENEW_AFTER, LAG
behind the clock, and the signature is deterministic (RFC 6979), so that whoever signs in a slot makes the same token.
Where two machines' clocks differ, one is in the next slot for as long as they differ: who is told by Apple that its
token is too many, at most LAG before its own next slot, takes that slot's at once.

A token that was signed while our clock was wrong stays wrong when the clock is right again, and Apple may call it
invalid as it calls a bad key. So the time by which a refused token was signed is held against the time as it is known
now: by the provider's Date header where there is one (Google sends one, Apple none so far), by our clock, which may
have been set since, and by another machine's. If one disagrees, the time was the reason, the key is not to blame, and
the token of that time is signed.

Invariant: a token is used for RENEW_AFTER at most, by a clock that nobody sets, and replaced before its slot ends only
by the next slot's, by that of the same slot's second half, or, once in MIN_AGE, because its time was wrong: a clock
that is wrong must not make us sign a token per push.
"""

import logging
from typing import Final
from weakref import WeakValueDictionary

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from jwt.utils import der_to_raw_signature

from delivery.http2.peer_clock import TOLERANCE, PeerClock
from delivery.providers.base import clock_remark

log = logging.getLogger(__name__)

RENEW_AFTER: Final = 2400.0
"""Seconds, the length of a slot; Apple takes a token for 3,600, so a clock that is 19 minutes off does no harm."""
MIN_AGE: Final = RENEW_AFTER / 2
LAG: Final = 60.0
"""Seconds that a slot begins behind the clock: a token is from no future, though a clock be a little ahead."""
BAD_KEY_FOR: Final = 60.0
"""A key that cannot sign is not tried again for so many seconds: reading it costs more than sending a push."""


class CredentialError(Exception):
    """The credential cannot be used; the text says why, without quoting it."""


class _Deterministic(ECAlgorithm):
    """ES256 (RFC 7518, 3.4) with the nonce of RFC 6979: one signature for one text and key."""

    def sign(self, msg: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
        signature = key.sign(msg, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        return der_to_raw_signature(signature, key.curve)


_SIGNER: Final = jwt.PyJWS(algorithms=())
_SIGNER.register_algorithm("ES256", _Deterministic(ECAlgorithm.SHA256, ec.SECP256R1))


class ProviderToken:
    """The token of one key."""

    def __init__(self, team_id: str, key_id: str, key_pem: str, clock: PeerClock) -> None:
        """Take the key (PEM, PKCS #8, P-256); it is read at the first use. clock: the engine's."""
        self._team_id, self._key_id, self._key_pem = team_id, key_id, key_pem
        self._clock = clock
        self._header = ""
        self._made_at = self._renew_at = 0.0  # by the clock's monotonic()
        self._signed_by = 0.0  # the time of day as we took it to be when it was signed, unix seconds
        self._issued_at = 0.0  # the token's iat, unix seconds
        self._trouble = ""
        self._replaced_early_at = -MIN_AGE
        self._why_replaced = ""

    def header(self) -> str:
        """Return the value of the authorization field, "bearer ...". CredentialError if the key cannot sign."""
        clock = self._clock
        now = clock.monotonic()
        if self._header and now < self._renew_at:
            return self._header
        age = now - self._made_at
        if self._trouble and age < BAD_KEY_FOR:
            raise CredentialError(self._trouble)
        time = clock.now()
        if self._header:
            self._why_replaced = ""
            # Apple has taken the old one's time. Where our clock has been set since, that is the better word.
            expected = self._signed_by + age
            if abs(expected - time) > TOLERANCE and not clock.corrected:
                time = expected
        return self._sign(time, _slot(time, RENEW_AFTER))

    def refused(self, used_at: float) -> str:
        """Hear that Apple refused the token in use at a time (of monotonic()); a wrong one is replaced if it may be.

        Returns the remark that the time in that token was wrong, "" when it was right and the key itself is refused.
        """
        now = self._clock.monotonic()
        age = now - self._made_at
        if used_at < self._made_at:
            return self._why_replaced
        signed = self._signed_by + age
        known = (self._clock.now(), self._clock.second_opinion())
        right = next((time for time in known if time and abs(signed - time) > TOLERANCE), 0.0)
        if not right:
            time = self._clock.now()
            if _slot(time, MIN_AGE) > self._issued_at:
                self._why_replaced = ""
                self._sign(time, _slot(time, MIN_AGE))
            return ""
        remark = clock_remark(self._clock, signed - right)
        if age >= MIN_AGE or now - self._replaced_early_at >= MIN_AGE:
            log.warning("Apple refused a provider token for its time, another is signed: %s", remark)
            self._replaced_early_at, self._why_replaced = now, remark
            self._sign(right, _slot(right, RENEW_AFTER))
        return remark

    def overtaken(self, used_at: float) -> bool:
        """Hear that the token in use at a time (of monotonic()) is one too many for Apple.

        Returns whether another is to be used now: another process was in the next slot already, and so are we.
        """
        if used_at < self._made_at:
            return True
        now = self._clock.monotonic()
        if self._renew_at - now > LAG:
            return False
        self._why_replaced = ""
        self._sign(self._signed_by + now - self._made_at, _slot(self._issued_at, RENEW_AFTER, 0.0) + RENEW_AFTER)
        return True

    def _sign(self, time: float, issued_at: float) -> str:
        """Sign the token of a slot; time: the time of day as we take it to be."""
        self._made_at, self._signed_by, self._issued_at = self._clock.monotonic(), time, issued_at
        # That of a slot's second half, too, goes with the slot.
        self._renew_at = self._made_at + _slot(issued_at, RENEW_AFTER, 0.0) + RENEW_AFTER + LAG - time
        self._header = self._trouble = ""
        claims, head = {"iss": self._team_id, "iat": int(issued_at)}, {"kid": self._key_id}
        try:
            token = _SIGNER.encode(msgspec.json.encode(claims), self._key_pem, algorithm="ES256", headers=head)
        except (ValueError, TypeError, jwt.PyJWTError, UnsupportedAlgorithm) as error:
            self._trouble = f"the key cannot sign for APNs ({type(error).__name__})"
            raise CredentialError(self._trouble) from None
        self._header = f"bearer {token}"
        return self._header


def _slot(time: float, length: float, lag: float = LAG) -> float:
    """Return when the slot of a time begins, unix seconds; slots begin at the same moments for everybody."""
    return (time - lag) // length * length


class ProviderTokens:
    """All tokens of a process, each as long as anybody has it: a key that is no longer used is not kept."""

    def __init__(self, clock: PeerClock) -> None:
        """clock: the engine's."""
        self._clock = clock
        self._tokens: WeakValueDictionary[tuple[str, str, str], ProviderToken] = WeakValueDictionary()

    def of(self, team_id: str, key_id: str, key_pem: str) -> ProviderToken:
        """Return the token of a key, the same object for all who ask."""
        name = (team_id, key_id, key_pem)
        token = self._tokens.get(name)
        if token is None:
            token = self._tokens[name] = ProviderToken(team_id, key_id, key_pem, self._clock)
        return token
