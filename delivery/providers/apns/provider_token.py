"""APNs provider tokens: one per (team, key id, key), shared by all apps that use the key.

A JWT signed with ES256, renewed within Apple's bounds: valid for an hour, renewed not more often than every 20 minutes
(https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns).

A token that was signed while our clock was wrong stays wrong when the clock is right again, and Apple may call it
invalid as it calls a bad key. So a refused token's time is held against the time as it is known now: by the provider's
Date header where there is one (Google sends one, Apple none so far), by our clock, which may have been set since, and
by another machine's. If one disagrees, the time was the reason, the key is not to blame, and a new token is signed.

Invariant: a token is used for RENEW_AFTER at most, by a clock that nobody sets, and replaced before MIN_AGE only when
its time was wrong, once in MIN_AGE: a clock that is wrong must not make us sign a token per push. Each process has
tokens of its own, on connections of its own, so each mends itself at its first refusal and keeps to the bound alone.
"""

import logging
from typing import Final
from weakref import WeakValueDictionary

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from delivery.http2.peer_clock import TOLERANCE, PeerClock
from delivery.providers.base import clock_remark

log = logging.getLogger(__name__)

RENEW_AFTER: Final = 2400.0
"""Seconds; Apple takes a token for 3,600, so a clock that is 20 minutes off does no harm."""
MIN_AGE: Final = 1200.0
BAD_KEY_FOR: Final = 60.0
"""A key that cannot sign is not tried again for so many seconds: reading it costs more than sending a push."""


class CredentialError(Exception):
    """The credential cannot be used; the text says why, without quoting it."""


class ProviderToken:
    """The token of one key."""

    def __init__(self, team_id: str, key_id: str, key_pem: str, clock: PeerClock) -> None:
        """Take the key (PEM, PKCS #8, P-256); it is read at the first use. clock: the engine's."""
        self._team_id, self._key_id, self._key_pem = team_id, key_id, key_pem
        self._clock = clock
        self._header = ""
        self._made_at = 0.0  # by the clock's monotonic()
        self._issued_at = 0  # the token's iat, unix seconds
        self._trouble = ""
        self._replaced_early_at = -MIN_AGE
        self._why_replaced = ""

    def header(self) -> str:
        """Return the value of the authorization field, "bearer ...". CredentialError if the key cannot sign."""
        clock = self._clock
        age = clock.monotonic() - self._made_at
        if self._header and age < RENEW_AFTER:
            return self._header
        if self._trouble and age < BAD_KEY_FOR:
            raise CredentialError(self._trouble)
        issued_at = clock.now()
        if self._header:
            self._why_replaced = ""
            # Apple has taken the old one's time. Where our clock has been set since, that is the better word.
            expected = self._issued_at + age
            if abs(expected - issued_at) > TOLERANCE and not clock.corrected:
                issued_at = expected
        return self._sign(int(issued_at))

    def refused(self, used_at: float) -> str:
        """Hear that Apple refused the token in use at a time (of monotonic()); a wrong one is replaced if it may be.

        Returns the remark that the time in that token was wrong, "" when it was right and the key itself is refused.
        """
        now = self._clock.monotonic()
        age = now - self._made_at
        if used_at < self._made_at:
            return self._why_replaced
        signed = self._issued_at + age
        known = (self._clock.now(), self._clock.second_opinion())
        right = next((time for time in known if time and abs(signed - time) > TOLERANCE), 0.0)
        if not right:
            if age >= MIN_AGE:
                self._why_replaced = ""
                self._sign(int(self._clock.now()))
            return ""
        remark = clock_remark(self._clock, signed - right)
        if age >= MIN_AGE or now - self._replaced_early_at >= MIN_AGE:
            log.warning("Apple refused a provider token for its time, another is signed: %s", remark)
            self._replaced_early_at, self._why_replaced = now, remark
            self._sign(int(right))
        return remark

    def _sign(self, issued_at: int) -> str:
        self._made_at, self._issued_at = self._clock.monotonic(), issued_at
        self._header = self._trouble = ""
        claims, head = {"iss": self._team_id, "iat": issued_at}, {"kid": self._key_id}
        try:
            token = jwt.encode(claims, self._key_pem, algorithm="ES256", headers=head)
        except (ValueError, TypeError, jwt.PyJWTError, UnsupportedAlgorithm) as error:
            self._trouble = f"the key cannot sign for APNs ({type(error).__name__})"
            raise CredentialError(self._trouble) from None
        self._header = f"bearer {token}"
        return self._header


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
