"""Redaction of secrets and content in log lines. Pure; works on the finished text of a line.

Invariant: of a server key nothing but its public prefix is left, of a device token at most its first 8 characters, and
of a message, a name, a credential or one of our own secrets nothing. The rules know shapes, not places: a key is found
wherever it stands, escaped or quoted however often. Where a rule cannot be sure of an end, it takes too much.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote

REDACTED: Final = "[redacted]"
TOKEN_PREFIX_LENGTH: Final = 8
"""Characters of a device token that may be shown."""
SECRET_MIN_LENGTH: Final = 8
"""Characters from which on one of our own secrets is looked for; shorter ones would be found in ordinary words."""

LINE_MAX_LENGTH: Final = 16_384
"""Characters of a line; more would be a stranger's, and a rule's time grows with them."""
TAIL_LENGTH: Final = 256
# Members of a push, or of the bodies made of it, that hold what people wrote or who they are.
_CONTENT: Final = (
    *("message", "sender_name", "channel_name", "override_username", "override_icon_url", "alert", "title", "body"),
    *("text", "signature"),
)
_NAMED_SECRETS: Final = (
    *("password", "passwd", "secret", "client_secret", "api_key", "access_token", "refresh_token", "id_token"),
    *(
        "private_key",
        "key_pem",
        "cert_pem",
        "account_json",
        "assertion",
        "sessionid",
        "csrftoken",
        "csrfmiddlewaretoken",
    ),
)
# A quote, behind any number of backslashes: JSON in JSON in a repr.
_QUOTED = r"(?P<open>\\*[\"'])(?P<value>.*?)(?:(?<!\\)(?P=open)|\Z)"
_NAME_END = r"(?:\\*[\"'])?\s*[:=]\s*[bru]?"


def _names(names: Iterable[str]) -> str:
    return rf"(?P<name>(?<![A-Za-z0-9])(?:{'|'.join(names)}){_NAME_END})"


# An underscore as it stands, or escaped in a URL, or escaped twice.
_BAR: Final = "(?:_|%(?:25)*5[Ff])"
_TOKENS: Final = ("device_id", "device_token")
_SCHEMES: Final = ("basic", "bearer")
_HEADER: Final = r"(authorization(?:\\*[\"'])?\s*[:=,]\s*[bru]?)"
_Rule = tuple[tuple[str, ...], re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _shown(found: re.Match[str]) -> str:
    return f"{found['name']}{found['open']}{found['value'][:TOKEN_PREFIX_LENGTH]}…{found['open']}"


def _jwt(found: re.Match[str]) -> str:
    return REDACTED if "." in found[0] else found[0]


# Each rule with its markers, one of which, in lower case, a line has when the rule has anything to find; looking
# for them costs a twentieth of the rule. No markers: always.
_RULES: Final[tuple[_Rule, ...]] = (
    (("-----begin",), re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL), REDACTED),
    (_CONTENT, re.compile(_names(_CONTENT) + _QUOTED, re.DOTALL | re.IGNORECASE), rf"\g<name>{REDACTED}"),
    (_NAMED_SECRETS, re.compile(_names(_NAMED_SECRETS) + _QUOTED, re.DOTALL | re.IGNORECASE), rf"\g<name>{REDACTED}"),
    (_NAMED_SECRETS, re.compile(_names(_NAMED_SECRETS) + r"[^\s\"'\\,;&)}\]]+", re.IGNORECASE), rf"\g<name>{REDACTED}"),
    (_TOKENS, re.compile(_names(_TOKENS) + _QUOTED, re.DOTALL | re.IGNORECASE), _shown),
    # A server key; its first part names it in the admin and opens nothing.
    (("hk",), re.compile(rf"hk{_BAR}([0-9A-Za-z]{{8}}){_BAR}[0-9A-Za-z%]*"), rf"hk_\1_{REDACTED}"),
    (("hk",), re.compile(rf"hk{_BAR}(?![0-9A-Za-z]{{8}}_\[)[0-9A-Za-z_%]{{9,}}"), f"hk_{REDACTED}"),
    # Whatever stands in the place of a key: it may be somebody's password for something else.
    (("/t/",), re.compile(r"(/t/)(?!hk_[0-9A-Za-z]{8}_\[)[^/\s\"'\\?#<>]+"), rf"\1{REDACTED}"),
    # What opens an invitation, or sets a password: a link of an e-mail.
    (("invitation/",), re.compile(r"(invitation/)(?!\[)[^/\s\"'\\?#<>]+"), rf"\1{REDACTED}"),
    (("reset/key/",), re.compile(r"(reset/key/)(?!\[)[^/\s\"'\\?#<>]+"), rf"\1{REDACTED}"),
    (("authorization",), re.compile(_HEADER + _QUOTED, re.DOTALL | re.IGNORECASE), rf"\1{REDACTED}"),
    # With a capital or a digit in what follows: "basic authentication" is no credential.
    (_SCHEMES, re.compile(r"\b((?i:basic|bearer))\s+(?=\S{12})(?=\S*[0-9A-Z])[A-Za-z0-9+/=._~-]+"), rf"\1 {REDACTED}"),
    (("cookie",), re.compile(r"(\bcookie(?:\\*[\"'])?\s*[:=]\s*)[^\r\n]*", re.IGNORECASE), rf"\1{REDACTED}"),
    (("://",), re.compile(r"(://)[^\s/@\"'\\]*@"), rf"\1{REDACTED}@"),
    # The whole run that begins a token, whether or not it goes on as one: else each beginning in a run of them would be
    # tried against all the rest of it.
    (("eyj",), re.compile(r"eyJ[\w-]{5,}+(?:\.[\w-]+(?:\.[\w-]*)?)?"), _jwt),
    (("ya29.",), re.compile(r"ya29\.[\w.-]+"), REDACTED),
    # Device tokens: Apple's as iOS once printed them, then any long run of what tokens are made of.
    ((), re.compile(r"(?<![0-9A-Fa-f])([0-9A-Fa-f]{8})(?: [0-9A-Fa-f]{8}){7,}"), r"\1…"),
    ((), re.compile(rf"([A-Za-z0-9_:=%+-]{{{TOKEN_PREFIX_LENGTH}}})[A-Za-z0-9_:=%+-]{{52,}}"), r"\1…"),
)


class Redactor:
    """Redacts a log line. `secrets`: our own, to be found wherever they turn up."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {
            form for secret in secrets for form in (secret, quote(secret, safe="")) if len(secret) >= SECRET_MIN_LENGTH
        }
        # The longest first: one may be part of another.
        self._own = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True)))) if known else None

    def __call__(self, line: str) -> str:
        """The line without what must not stand in it; never raises, returns the same line when there is nothing."""
        if self._own is not None:
            line = self._own.sub(REDACTED, line)
        truncated = len(line) > LINE_MAX_LENGTH
        if truncated:
            line = line[:LINE_MAX_LENGTH]
        lowered = line.lower()
        for markers, pattern, replacement in _RULES:
            if not markers or any(marker in lowered for marker in markers):
                line = pattern.sub(replacement, line)
        # Where it was truncated, half a token may stand that no rule knows.
        return line[:-TAIL_LENGTH] + " [cut]" if truncated else line
