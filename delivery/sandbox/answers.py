"""Responses of the sandbox: their form, and the scripted ones that tests and developers put in place of the usual.

An answer is described by the same few members wherever it comes from (a check, a token's behaviour, a script), so the
connections need to know only this form. Invariant: scripts are bounded in number, and the last answer of one repeats.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

MOST_SCRIPTS = 20_000
EVERY_TOKEN = "*"  # noqa: S105 - a marker, not a secret


class Answer(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One answer to one request.

    status, headers, json or body (text) describe an ordinary answer; with neither json nor body a 200 carries what
    the provider says on success and any other status carries nothing. delay: seconds before whatever follows. The
    others are faults, and exclude an answer: hang = none ever, reset = RST_STREAM with this code, goaway = GOAWAY
    with this code that disowns the request, close = the connection is closed. cut = the answer breaks off in the
    middle with RST_STREAM. no_apns_id = Apple's answer without its apns-id header.
    """

    status: int = 200
    headers: dict[str, str] = {}
    json: Any = msgspec.UNSET
    body: str | None = None
    delay: float = 0.0
    hang: bool = False
    reset: int | None = None
    goaway: int | None = None
    close: bool = False
    cut: bool = False
    no_apns_id: bool = False

    def __post_init__(self) -> None:
        """Refuses what could not be put on the wire (raises ValueError, which msgspec reports as invalid)."""
        if not 200 <= self.status <= 599:
            raise ValueError("status must be between 200 and 599")
        if not 0 <= self.delay <= 600:
            raise ValueError("delay must be between 0 and 600 seconds")
        for name, value in self.headers.items():
            if not name or name != name.lower() or any(c <= " " or c in ":\x7f" for c in name) or "\n" in value:
                raise ValueError("header names are lower case and have no spaces; values are one line")

    def content(self) -> bytes | None:
        """The body's bytes, or None when the answer leaves it to the provider's usual one."""
        if self.json is not msgspec.UNSET:
            return msgspec.json.encode(self.json)
        return None if self.body is None else self.body.encode()

    def summary(self) -> str:
        """One or two words for tables and counters, such as `410 Unregistered` or `reset 7`."""
        for fault in ("reset", "goaway"):
            if getattr(self, fault) is not None:
                return f"{fault} {getattr(self, fault)}"
        for fault in ("hang", "close"):
            if getattr(self, fault):
                return fault
        reason = reason_of(self.json)
        return " ".join(filter(None, (str(self.status), reason, "cut" if self.cut else "")))


def reason_of(content: object) -> str:
    """The error code in a response body: Apple's `reason`, FCM's `errorCode` or Google's `status`; else ""."""
    if not isinstance(content, dict):
        return ""
    error = content.get("error")
    if isinstance(error, dict):
        details = error.get("details")
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict) and isinstance(detail.get("errorCode"), str):
                return str(detail["errorCode"])
        return str(error.get("status", ""))
    reason = content.get("reason", error)
    return reason if isinstance(reason, str) else ""


class Script(msgspec.Struct):
    """The answers for one token or marker, and how many have been given."""

    marker: str
    answers: list[Answer]
    given: int = 0


class Scripts:
    """Scripted answers by device token, by a part of it, or for all (`*`).

    The longest marker found in a token wins, the whole token before all, `*` last.
    """

    def __init__(self) -> None:
        """Starts without any script."""
        self._scripts: dict[str, Script] = {}

    def put(self, marker: str, answers: Sequence[Answer]) -> None:
        """Sets the answers to the 1st, 2nd ... request for the marker; the last repeats. Replaces an older script.

        Raises ValueError on an empty marker, on no answers and when there are too many scripts.
        """
        if not marker or not answers:
            raise ValueError("a script needs a marker and at least one answer")
        if marker not in self._scripts and len(self._scripts) >= MOST_SCRIPTS:
            raise ValueError(f"there are {MOST_SCRIPTS} scripts already; clear some")
        self._scripts[marker] = Script(marker, list(answers))

    def clear(self, marker: str = "") -> int:
        """Forgets the script of the marker, or all of them; returns how many."""
        if marker:
            return 0 if self._scripts.pop(marker, None) is None else 1
        count = len(self._scripts)
        self._scripts.clear()
        return count

    def list(self) -> list[Script]:
        """All scripts, in the order they were put."""
        return list(self._scripts.values())

    def next(self, token: str) -> Answer | None:
        """The next scripted answer for a token, or None when no script speaks of it."""
        if not self._scripts:
            return None
        script = self._scripts.get(token)
        if script is None:
            found = [marker for marker in self._scripts if marker in token]
            script = self._scripts[max(found, key=len)] if found else self._scripts.get(EVERY_TOKEN)
        if script is None:
            return None
        answer = script.answers[min(script.given, len(script.answers) - 1)]
        script.given += 1
        return answer
