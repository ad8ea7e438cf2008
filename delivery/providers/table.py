"""The table of push providers as the worker needs them, and the verdicts on what they answer.

A new provider is a folder beside this file and a row here; tenants/providers/table.py has the other half of it, what
its apps and credentials are. tests/delivery/providers/test_third_provider.py adds one so, and pushes to it.
"""

from typing import Final

from delivery.outcomes import judge as judging
from delivery.outcomes import own, removal
from delivery.outcomes.verdict import Attempt, Verdict
from delivery.providers.apns.provider import APNS
from delivery.providers.base import Provider
from delivery.providers.fcm.provider import FCM

PROVIDERS: Final[dict[str, Provider]] = {row.family: row for row in (APNS, FCM)}
"""By family."""

OUTCOMES: Final = {family: row.outcomes for family, row in PROVIDERS.items()}

_BY_CODE: Final[dict[str, Verdict]] = {
    verdict.code: verdict
    for verdict in (
        *(
            verdict
            for row in OUTCOMES.values()
            for verdict in (*row.answers.values(), row.sent, row.unknown, row.trouble, *row.transport.values())
        ),
        *own.TRANSPORT.values(),
        own.UNKNOWN_FAULT,
        *removal.HELD.values(),
    )
}
PROVEN: Final[dict[str, Verdict]] = {
    code: removal.proven(verdict) for code, verdict in _BY_CODE.items() if verdict.remove_when_proven
}
"""By the code of a doubtful answer: the verdict on it when it is believed (delivery/outcomes/removal.py)."""
_BY_CODE.update((verdict.code, verdict) for verdict in PROVEN.values())

CODES: Final = frozenset(_BY_CODE)
"""The codes of all verdicts on attempts."""


def judge(attempt: Attempt) -> Verdict:
    """Return the verdict on an attempt at any provider; total: every attempt has one."""
    return judging.judge(attempt, OUTCOMES.get(attempt.provider))


def verdict_of(code: str) -> Verdict | None:
    """Return a verdict on an attempt by its code, for whoever has kept no more than that; None for an unknown one."""
    return _BY_CODE.get(code)
