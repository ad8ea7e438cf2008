"""Judge one attempt: what came of it, what the Mattermost server is told, whose fault it is, whether to try again.

Pure and closed by default. Invariant: an answer without a row of its own is UNKNOWN, told as FAIL, and never REMOVE,
because a wrong REMOVE mutes a phone until its user logs in again.
"""

from functools import cache
from typing import Final

import msgspec

from delivery.outcomes import apns, fcm, own
from delivery.outcomes.verdict import ANSWERED, MAYBE, NOT_SENT, Answer, Attempt, Attribution, Outcome, Retry, Verdict

__all__ = [
    "ANSWERED",
    "MAYBE",
    "NOT_SENT",
    "Answer",
    "Attempt",
    "Attribution",
    "Outcome",
    "Retry",
    "Verdict",
    "blame",
    "judge",
    "of_code",
    "refusal",
    "text",
    "words",
]

_ANSWERS: Final = {
    "apns": (apns.APNS, apns.SENT, apns.UNKNOWN),
    "fcm": (fcm.FCM, fcm.SENT, fcm.UNKNOWN),
}
_TRANSPORT: Final[dict[tuple[str, int], Verdict]] = dict(own.TRANSPORT.items())
"""The same rows for any reason of an Attempt, which is a str."""
_BY_CODE: Final = {
    verdict.code: verdict
    for verdict in (
        *(verdict for table, sent, unknown in _ANSWERS.values() for verdict in (*table.values(), sent, unknown)),
        *own.TRANSPORT.values(),
        own.NO_WORD,
    )
}
_ABSENT: Final = {
    "address": "its address",
    "contact": "whoever operates this push service",
    "detail": "no more is known",
    "host": "the provider",
    "key_id": "of this app",
    "label": "of this push",
    "project": "of this app",
    "reason": "(unreadable)",
    "seconds": "a few",
    "status": "with an error",
    "topic": "of this app",
}
"""What a text says where its caller knows no detail."""


class _Details(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return _ABSENT[name]


def judge(attempt: Attempt) -> Verdict:
    """Return the verdict on an attempt; total: every attempt has one."""
    known = _ANSWERS.get(attempt.provider)
    if known is None:
        return own.NO_WORD
    table, sent, unknown = known
    status = attempt.status
    if status == 200:
        return sent
    if status == 0:
        return _TRANSPORT.get((attempt.reason, attempt.wire), own.NO_WORD)
    if 200 < status < 300 and attempt.provider == "fcm":
        return sent
    return table.get((status, attempt.reason), unknown)


def of_code(code: str) -> Verdict | None:
    """Return a verdict on an attempt by its code, for whoever has kept no more than that; None for an unknown one."""
    return _BY_CODE.get(code)


def refusal(code: str) -> Verdict:
    """Return the verdict for a refusal of our own, made before any attempt; KeyError for a code that has no row."""
    return own.REFUSALS[code]


@cache
def blame(verdict: Verdict, shared: bool) -> Verdict:
    """Return the verdict for a push of a shared app (shared=True): faults of its credential are ours, and count."""
    if shared and verdict.credential and verdict.attribution == "customer":
        return msgspec.structs.replace(verdict, attribution="ours", counts=True, level="error")
    return verdict


def text(verdict: Verdict, trace: str, **details: object) -> str:
    """Return what the server's admin reads: "<code> <cause>: <what to do> (trace <id>)".

    details fill the row's placeholders (those of _ABSENT); empty ones and those left out are put in words. They must
    hold no secret: the text ends in the customer's server log.
    """
    cause, fix = words(verdict, **details)
    return f"{verdict.code} {cause}: {fix} (trace {trace})"


def words(verdict: Verdict, **details: object) -> tuple[str, str]:
    """Return a verdict's cause, and what to do about it, with the details that text() takes."""
    given = _Details((name, value) for name, value in details.items() if value not in ("", 0, None))
    return verdict.cause.format_map(given), verdict.fix.format_map(given)
