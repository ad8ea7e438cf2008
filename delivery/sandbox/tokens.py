"""Authentication tokens: Apple's provider tokens (ES256), Google's grants (RS256), and the bearers they give.

Sources: Apple, "Establishing a token-based connection to APNs"; Google, "Using OAuth 2.0 for server to server
applications". Invariants: a signature is checked once and remembered in a bounded table, its age each time; bearers are
signed and not stored, so that they survive a restart of the sandbox.
"""

import base64
import hashlib
import hmac
import time
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import jwt
import msgspec

from delivery.sandbox.accounts import Accounts, ApnsKey, FcmAccount

OLDEST_PROVIDER_TOKEN = 3600
TIGHTEST_UPDATES = 20 * 60
CLOCK_LEEWAY = 60
BEARER_LIFE = 3599
SCOPES = frozenset(
    {"https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"}
)
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MOST_REMEMBERED = 1000


class TokenRejected(Exception):
    """A token is not accepted. reason: the provider's error code; why: a sentence for the page and the tests."""

    def __init__(self, reason: str, why: str) -> None:
        """Keeps both."""
        super().__init__(f"{reason}: {why}")
        self.reason, self.why = reason, why


class ProviderTokens:
    """Checks Apple's provider tokens against the listed keys."""

    def __init__(self, accounts: Accounts) -> None:
        """accounts: the listed keys; read at each check, so a changed file works at once."""
        self._accounts = accounts
        self._known: dict[str, tuple[int, ApnsKey, float]] = {}
        self._latest: dict[str, tuple[str, float]] = {}
        self.limit_updates = False

    def check(self, authorization: str) -> ApnsKey:
        """The key that signed the header's token. Raises TokenRejected with Apple's reason."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenRejected("MissingProviderToken", "there is no `authorization: bearer <token>` header")
        token = token.strip()
        version, key, issued = self._known.get(token, (0, None, 0.0))
        if key is None or version != self._accounts.version:
            key, issued = self._verify(token)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[token] = (self._accounts.version, key, issued)
        age = time.time() - issued
        if age > OLDEST_PROVIDER_TOKEN:
            raise TokenRejected("ExpiredProviderToken", f"the token is {age:.0f} s old; Apple accepts one hour")
        if age < -CLOCK_LEEWAY:
            raise TokenRejected("InvalidProviderToken", f"the token is from the future, by {-age:.0f} s")
        if self.limit_updates:
            self._limit(key.key_id, token)
        return key

    def _verify(self, token: str) -> tuple[ApnsKey, float]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as fault:
            raise TokenRejected("InvalidProviderToken", "the token is no JWT") from fault
        key = self._accounts.apns_keys.get(str(header.get("kid", "")))
        if header.get("alg") != "ES256" or key is None:
            raise TokenRejected("InvalidProviderToken", "the token must be signed with ES256 by a listed key (`kid`)")
        try:
            options: Any = {"verify_iat": False, "require": ["iss", "iat"]}
            claims = jwt.decode(token, key.public_pem, algorithms=["ES256"], options=options)
        except (jwt.InvalidTokenError, ValueError) as fault:
            raise TokenRejected("InvalidProviderToken", "the signature or the claims are wrong") from fault
        issued = claims["iat"]
        if claims["iss"] != key.team_id or not isinstance(issued, int | float):
            raise TokenRejected("InvalidProviderToken", "`iss` must be the key's team and `iat` a number")
        return key, float(issued)

    def _limit(self, key_id: str, token: str) -> None:
        """Apple: a token may be renewed no more than once every 20 minutes."""
        now = time.time()
        latest, since = self._latest.get(key_id, ("", 0.0))
        if token == latest:
            return
        if now - since < TIGHTEST_UPDATES:
            raise TokenRejected("TooManyProviderTokenUpdates", f"the token before was new {now - since:.0f} s ago")
        self._latest[key_id] = (token, now)


class Bearers:
    """Gives and checks Google's access tokens."""

    def __init__(self, accounts: Accounts, secret: bytes) -> None:
        """secret: signs the bearers; the same secret accepts those given before a restart."""
        self._accounts, self._secret = accounts, secret

    def grant(self, body: bytes) -> str:
        """The bearer for a JWT grant (form body). Raises TokenRejected with OAuth's code (RFC 6749, section 5.2)."""
        grant_type, assertion = (_form(body).get(name, "") for name in ("grant_type", "assertion"))
        if grant_type != GRANT:
            raise TokenRejected("unsupported_grant_type", "Invalid grant_type: " + grant_type[:100])
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.InvalidTokenError as fault:
            raise TokenRejected("invalid_grant", "Bad Request") from fault
        account = self._accounts.fcm.get(str(claims.get("iss", "")))
        if account is None:
            raise TokenRejected("invalid_grant", "Invalid grant: account not found")
        self._verify(assertion, account, claims)
        expires = int(time.time()) + BEARER_LIFE
        return self._sign(f"{account.client_email}|{expires}")

    def _verify(self, assertion: str, account: FcmAccount, claims: dict[str, Any]) -> None:
        try:
            options: Any = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
            jwt.decode(assertion, account.public_pem, algorithms=["RS256"], options=options)
        except (jwt.InvalidTokenError, ValueError) as fault:
            raise TokenRejected("invalid_grant", "Invalid JWT Signature.") from fault
        issued, expires, now = claims.get("iat"), claims.get("exp"), time.time()
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise TokenRejected("invalid_grant", "Invalid JWT: iat and exp must be numbers.")
        if expires - issued > 3600 + CLOCK_LEEWAY or issued > now + CLOCK_LEEWAY or expires < now - CLOCK_LEEWAY:
            raise TokenRejected(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
            )
        if not str(claims.get("aud", "")).endswith("/token"):
            raise TokenRejected("invalid_grant", "Invalid JWT: Failed audience check.")
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            raise TokenRejected("invalid_scope", "Invalid OAuth scope or ID token audience provided.")

    def check(self, authorization: str) -> FcmAccount:
        """The account whose bearer the header carries. Raises TokenRejected("UNAUTHENTICATED", ...)."""
        scheme, _, token = authorization.partition(" ")
        text, _, mark = token.strip().removeprefix("ya29.sandbox.").rpartition(".")
        try:
            plain = base64.urlsafe_b64decode(text + "==").decode()
        except ValueError:  # not base64, not UTF-8, not even ASCII
            plain = ""
        email, _, expires = plain.rpartition("|")
        if scheme.lower() != "bearer" or not mark.isascii() or not hmac.compare_digest(mark, self._mark(plain)):
            raise TokenRejected("UNAUTHENTICATED", "the bearer was not given by this sandbox")
        if int(expires) < time.time():
            raise TokenRejected("UNAUTHENTICATED", "the bearer has expired")
        account = self._accounts.fcm.get(email)
        if account is None:
            raise TokenRejected("UNAUTHENTICATED", "the bearer's account is not listed any more")
        return account

    def _sign(self, plain: str) -> str:
        text = base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")
        return f"ya29.sandbox.{text}.{self._mark(plain)}"

    def _mark(self, plain: str) -> str:
        return hmac.new(self._secret, plain.encode(), hashlib.sha256).hexdigest()


def _form(body: bytes) -> dict[str, str]:
    pairs = parse_qs(body.decode("utf-8", "replace"))
    return {name: values[-1] for name, values in pairs.items()}


def issuer_of(body: bytes) -> str:
    """Who a grant claims to be (unchecked; "" when unreadable)."""
    shape = shape_of_assertion(body)
    return str(shape["assertion_claims"].get("iss", ""))


def shape_of_authorization(header: str) -> dict[str, Any] | None:
    """An authorization header without its secret: the scheme, and for a JWT its header, team, claims' names and age."""
    if not header:
        return None
    shape, issued = _shape(header)
    return shape if issued is None else {**shape, "age_s": round(time.time() - issued)}


@lru_cache(maxsize=256)
def _shape(header: str) -> tuple[dict[str, Any], float | None]:
    scheme, _, token = header.partition(" ")
    parts = token.split(".")
    head, claims = (_part(parts[0]), _part(parts[1])) if len(parts) == 3 else ({}, {})
    if "alg" not in head:
        return {"scheme": scheme[:20], "opaque": bool(token)}, None
    issued = claims.get("iat")
    shape = {"scheme": scheme[:20], "jwt_header": head, "iss": claims.get("iss"), "claims": sorted(claims)}
    return shape, float(issued) if isinstance(issued, int | float) else None


def shape_of_assertion(body: bytes) -> dict[str, Any]:
    """A token request without its signature: grant type, the assertion's header, claims and lifetime, form's keys."""
    form = _form(body)
    parts = form.get("assertion", "").split(".")
    head, claims = (_part(parts[0]), _part(parts[1])) if len(parts) == 3 else ({}, {})
    issued, expires = claims.pop("iat", None), claims.pop("exp", None)
    known = isinstance(issued, int | float) and isinstance(expires, int | float)
    return {
        "grant_type": form.get("grant_type"),
        "assertion_header": head,
        "assertion_claims": claims,
        "assertion_lifetime_s": expires - issued if known else None,
        "form_keys": sorted(form),
    }


def _part(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=dict[str, Any])
    except ValueError:  # not base64, not UTF-8, not JSON
        return {}
