"""APNs provider tokens: one per (team, key id, key), shared by all apps that use the key.

aioapns makes and signs the token (its JWTAuthorizationHeaderProvider); when it is renewed is decided here, within
Apple's bounds: valid for an hour, renewed not more often than every 20 minutes
(https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns).
Invariant: a token is used for RENEW_AFTER at most, and replaced before MIN_AGE only if Apple called it expired, once in
MIN_AGE: a clock that is wrong must not make us sign a token per push.
"""

import time
from collections.abc import Callable
from typing import Final

import jwt
from aioapns.connection import JWTAuthorizationHeaderProvider
from cryptography.exceptions import UnsupportedAlgorithm

from delivery.outcomes.verdict import CLOCK

RENEW_AFTER: Final = 2400.0
"""Seconds; Apple takes a token for 3,600, so a clock that is 20 minutes off does no harm."""
MIN_AGE: Final = 1200.0
BAD_KEY_FOR: Final = 60.0
"""A key that cannot sign is not tried again for so many seconds: reading it costs more than sending a push."""
SKEW_LIMIT: Final = 60.0
"""Seconds between our clock and the provider's from which it is worth a remark."""


class CredentialError(Exception):
    """The credential cannot be used; the text says why, without quoting it."""


class ProviderToken:
    """The token of one key."""

    def __init__(self, team_id: str, key_id: str, key_pem: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the key (PEM, PKCS #8, P-256); it is read at the first use. clock: seconds that never go back."""
        self._team_id, self._key_id, self._key_pem = team_id, key_id, key_pem
        self._clock = clock
        self._header = ""
        self._made_at = 0.0
        self._trouble = ""
        self._called_expired_at = -MIN_AGE

    def header(self) -> str:
        """Return the value of the authorization field, "bearer ...". CredentialError if the key cannot sign."""
        age = self._clock() - self._made_at
        if self._header and age < RENEW_AFTER:
            return self._header
        if self._trouble and age < BAD_KEY_FOR:
            raise CredentialError(self._trouble)
        return self._renew()

    def refused(self, used_at: float, *, expired: bool) -> None:
        """Hear that Apple refused the token in use at a time (of the clock); an expired one is renewed if it may be."""
        now = self._clock()
        if not expired or not self._header or used_at < self._made_at:
            return
        if now - self._made_at < MIN_AGE and now - self._called_expired_at < MIN_AGE:
            return
        self._called_expired_at = now
        self._header = ""

    def _renew(self) -> str:
        self._made_at = self._clock()
        self._header = self._trouble = ""
        try:
            provider = JWTAuthorizationHeaderProvider(key=self._key_pem, key_id=self._key_id, team_id=self._team_id)
            self._header = provider.get_header()
        except (ValueError, TypeError, jwt.PyJWTError, UnsupportedAlgorithm) as error:
            self._trouble = f"the key cannot sign for APNs ({type(error).__name__})"
            raise CredentialError(self._trouble) from None
        return self._header


class ProviderTokens:
    """All tokens of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds that never go back."""
        self._clock = clock
        self._tokens: dict[tuple[str, str, str], ProviderToken] = {}

    def of(self, team_id: str, key_id: str, key_pem: str) -> ProviderToken:
        """Return the token of a key, the same object for all who ask."""
        name = (team_id, key_id, key_pem)
        token = self._tokens.get(name)
        if token is None:
            token = self._tokens[name] = ProviderToken(team_id, key_id, key_pem, self._clock)
        return token


def skew(date: float, now: float) -> str:
    """Return a remark if the provider's clock (date, unix seconds, 0: not known) is far from ours (now), else ""."""
    if not date or abs(now - date) < SKEW_LIMIT:
        return ""
    return f"{CLOCK} {abs(now - date):.0f} s {'ahead of' if now > date else 'behind'} the provider's"
