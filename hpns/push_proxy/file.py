"""Reads the configuration of the reference push proxy, `mattermost-push-proxy.json`, by Go's rules. Changes nothing.

The members are those of https://github.com/mattermost/mattermost-push-proxy/blob/master/server/config_push_proxy.go.
Go takes names in any case, the last of several, and ignores those that it does not know.
"""

import codecs
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from tenants.problem import ProblemError

SIZE_MAX: Final = 1_000_000
APPLE: Final[dict[str, type]] = {
    "Type": str,
    "ApplePushUseDevelopment": bool,
    "ApplePushTopic": str,
    "AppleAuthKeyFile": str,
    "AppleAuthKeyID": str,
    "AppleTeamID": str,
    "ApplePushCertPrivate": str,
    "ApplePushCertPassword": str,
}
ANDROID: Final[dict[str, type]] = {"Type": str, "ServiceFileLocation": str, "AndroidApiKey": str}
_LISTS: Final[dict[str, dict[str, type]]] = {"ApplePushSettings": APPLE, "AndroidPushSettings": ANDROID}
# What has another home here: the member, and what to do about it.
ELSEWHERE: Final = {
    "ListenAddress": "set HOST and PORT, or leave them: they say where this service listens",
    "ThrottlePerSec": "limits are per customer here: see `customer limits`",
    "ThrottleMemoryStoreSize": "not needed: limits are kept per customer, not per address",
    "ThrottleVaryByHeader": "set TRUSTED_PROXIES to the proxies in front; X-Forwarded-For is believed of them alone",
    "EnableMetrics": "not needed: there are always metrics, at /metrics; METRICS_TOKEN says who may read them",
    "SendTimeoutSec": "set ATTEMPT_DEADLINE and PUSH_DEADLINE, or leave them: a server is answered after 5 seconds",
    "RetryTimeoutSec": "set ATTEMPT_DEADLINE, or leave it: an attempt ends after 4 seconds",
    "EnableConsoleLog": "not needed: the log always goes to the standard output",
    "EnableFileLog": "not needed: the log goes to the standard output, whoever runs the service keeps it",
    "LogFileLocation": "not needed: the log goes to the standard output, whoever runs the service keeps it",
    "LogFormat": "set LOG_FORMAT (json or plain)",
    "LogLevel": "set LOG_LEVEL",
}


class Entry(NamedTuple):
    """One entry of a list: which one (for people), and its members; those that are absent have Go's zero value."""

    about: str
    members: dict[str, Any]


class Configuration(NamedTuple):
    """What stands in the file: both lists, and the names of all other members, in the file's order."""

    apple: list[Entry]
    android: list[Entry]
    others: list[str]


def read(path: Path) -> Configuration:
    """Read a file. Raises ProblemError for one that cannot be read or is of another form."""
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise ProblemError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > SIZE_MAX:
        raise ProblemError(f"{path} is larger than {SIZE_MAX // 1000} KB, so it is no configuration of a push proxy")
    try:
        content = json.loads(data.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}: {error.msg})" if isinstance(error, json.JSONDecodeError) else ""
        raise ProblemError(f"{path} is not JSON{where}") from None
    if not isinstance(content, dict):
        raise ProblemError(f"{path} is no JSON object, as the configuration of a push proxy is")
    lists = {name.lower(): name for name in _LISTS}
    found: dict[str, list[Entry]] = {name: [] for name in _LISTS}
    others = []
    for name, value in content.items():
        known = lists.get(name.lower())
        if known is None:
            others.append(name)
        else:
            found[known] = _entries(known, value)
    return Configuration(found["ApplePushSettings"], found["AndroidPushSettings"], others)


def elsewhere(name: str) -> str:
    """Advice on a member that is not imported."""
    return next((text for known, text in ELSEWHERE.items() if known.lower() == name.lower()), "not known")


def _entries(name: str, value: object) -> list[Entry]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ProblemError(f"{name} is no list of objects")
    return [_entry(name, number, one) for number, one in enumerate(value, 1)]


def _entry(name: str, number: int, given: dict[str, Any]) -> Entry:
    known = _LISTS[name]
    names = {member.lower(): member for member in known}
    members: dict[str, Any] = {member: kind() for member, kind in known.items()}
    for key, value in given.items():
        member = names.get(key.lower())
        if member is None or value is None:
            continue
        if not isinstance(value, known[member]):
            what = "a text" if known[member] is str else "true or false"
            raise ProblemError(f"{member} of entry {number} of {name} must be {what}")
        members[member] = value
    return Entry(f"{name}[{number}] {members['Type'] or '(no Type)'}", members)
