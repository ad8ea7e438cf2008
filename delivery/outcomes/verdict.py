"""Types of the judging: an Attempt, one request to a provider and its result, and a Verdict, what that means.

Pure data types, no rule: the rules are rows of delivery/outcomes/own.py and of each provider's outcomes.py, looked up
by delivery/outcomes/judge.py. Invariant: a Verdict is immutable and says everything that later stages need, so that
none of them has to look at a provider's answer again.
"""

from enum import Enum, IntEnum
from typing import Final, Literal

import msgspec

from delivery.outcomes.transport import TransportFault

WireState = Literal[0, 1, 2]
"""Whether a request can have reached the provider: NOT_SENT, MAYBE or ANSWERED."""
NOT_SENT: Final = 0
"""Surely no complete request reached the provider."""
MAYBE: Final = 1
"""A complete request may have reached the provider, and no answer to it came."""
ANSWERED: Final = 2
"""The provider answered this very request."""

CLOCK: Final = "our clock"
"""How the remark in an attempt's detail begins when our clock is why the provider refused a key."""

Attribution = Literal["ours", "provider", "customer", "device"]


TROUBLED: Final = frozenset((429, 500, 502, 503, 504))
"""HTTP statuses of a server, or of what stands in front of it, that will do later (RFC 9110, 15.6; RFC 6585, 4)."""


class Attempt(msgspec.Struct, gc=False):
    """One request to a provider (or the try to make one), as it is logged. Holds no secret and no device token.

    provider is the provider's family ("apns", "fcm"); host is the provider's host name; status is the HTTP status (0:
    no answer); reason is Apple's reason, FCM's error code or, without an answer, a TransportFault ("" on success and
    for answers that could not be read); wire is NOT_SENT, MAYBE or ANSWERED; at is in unix seconds, ms and retry_after
    (0: not said) are durations in milliseconds and seconds; gone_at is the moment in unix milliseconds since when Apple
    knows that the token is gone (0: not said); detail is a short remark for the log.
    """

    provider: str
    host: str
    status: int
    reason: str
    wire: WireState
    at: float
    ms: int
    retry_after: float = 0.0
    gone_at: int = 0
    detail: str = ""


class Outcome(Enum):
    """What came of a push. The values are stored in the delivery log."""

    SENT = "sent"
    GONE = "gone"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    FAILED = "failed"
    EXPIRED = "expired"
    LOST = "lost"


class Answer(IntEnum):
    """What the Mattermost server is told (https://github.com/mattermost/mattermost-push-proxy, push_response.go)."""

    OK = 0
    REMOVE = 1
    FAIL = 2


class Retry(Enum):
    """Whether the same push may be tried again, and why that is safe."""

    NEVER = "never"
    SAFE = "safe"
    """Only because nothing was sent."""
    AT_ONCE = "at once"
    """Nothing was sent, and what comes before the next try is a new connection: that is pause enough."""
    BACKOFF = "backoff"
    """The provider said that it did not take it now; wait (Retry-After, else growing) and try again."""
    REPLACE = "replace"
    """It was answered with trouble that may have taken it: as BACKOFF, where a repeat replaces it on the phone."""
    ONCE = "once"
    """It was sent and never answered: as REPLACE, and once."""
    RENEW = "renew"
    """Renew the provider or access token, then try again once."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What an attempt, or a refusal of our own, means.

    code is stable and starts with the provider's name where a provider spoke; counts_in_sla says whether the push is a
    valid event of the SLA; remove_when_proven marks answers that would mean REMOVE if the credential is known to be
    right, and are FAIL until then; is_credential_fault marks causes in the app's credential or set-up, which are ours
    where the app is ours; cause and fix are templates for judge.text(); level names a logging level; is_key_fault says
    that the provider took nothing because of the key itself, so that the same push may be sent with another credential
    of the app.
    """

    outcome: Outcome
    code: str
    answer: Answer
    attribution: Attribution
    cause: str
    fix: str
    level: str
    counts_in_sla: bool = True
    retry: Retry = Retry.NEVER
    remove_when_proven: bool = False
    is_credential_fault: bool = False
    is_key_fault: bool = False


class Outcomes(msgspec.Struct, frozen=True):
    """What the answers of one provider mean.

    accepts holds the HTTP statuses of an accepted push, whose verdict is sent; answers has a row for each documented
    refusal, by (HTTP status, reason), and unknown stands for every other, but that trouble stands for those of
    TROUBLED that give no readable reason; transport has rows for what happens below HTTP at this provider alone, by
    (fault, or the provider's own reason for ending the connection, wire). other_app and other_host are the codes that
    say that a phone's token belongs to another app than the credential, and to this one or another at another host of
    the provider's.
    """

    accepts: range
    sent: Verdict
    answers: dict[tuple[int, str], Verdict]
    unknown: Verdict
    trouble: Verdict
    transport: dict[tuple[TransportFault | str, WireState], Verdict] = {}
    other_app: frozenset[str] = frozenset()
    other_host: frozenset[str] = frozenset()


def failed(
    code: str,
    cause: str,
    fix: str,
    *,
    attribution: Attribution,
    outcome: Outcome = Outcome.FAILED,
    counts_in_sla: bool = True,
    retry: Retry = Retry.NEVER,
    remove_when_proven: bool = False,
    is_credential_fault: bool = False,
    level: str = "warning",
    is_key_fault: bool = False,
) -> Verdict:
    """Return a verdict that is answered with FAIL. What a row leaves out is the cautious choice: no retry."""
    return Verdict(
        outcome=outcome,
        code=code,
        answer=Answer.FAIL,
        attribution=attribution,
        cause=cause,
        fix=fix,
        level=level,
        counts_in_sla=counts_in_sla,
        retry=retry,
        remove_when_proven=remove_when_proven,
        is_credential_fault=is_credential_fault,
        is_key_fault=is_key_fault,
    )


def troubled(code: str, name: str) -> Verdict:
    """Return the verdict on an answer of TROUBLED without a reason: that of a proxy in front of the provider, mostly,
    which knows as little as we do whether the push was taken. name: the provider's, for people.
    """
    return failed(
        code,
        f"{name} answered {{status}} and gave no reason, as when it is in trouble; the push may have been delivered",
        "nothing to do unless it lasts; it passes by itself",
        attribution="provider",
        outcome=Outcome.UNKNOWN,
        retry=Retry.REPLACE,
    )


def accepted(cause: str) -> Verdict:
    """Return the verdict on a push that the provider accepted."""
    return Verdict(
        outcome=Outcome.SENT,
        code="sent",
        answer=Answer.OK,
        attribution="provider",
        cause=cause,
        fix="nothing",
        level="info",
    )


def gone(code: str, cause: str) -> Verdict:
    """Return the verdict on a device that is dead by the provider's own word: the only one that is answered with
    REMOVE.
    """
    return Verdict(
        outcome=Outcome.GONE,
        code=code,
        answer=Answer.REMOVE,
        attribution="device",
        cause=cause,
        fix="the server stops sending to it; the app registers again when its user opens it",
        level="info",
    )


def set_up_fault(
    code: str,
    cause: str,
    fix: str,
    *,
    retry: Retry = Retry.NEVER,
    remove_when_proven: bool = False,
    is_key_fault: bool = False,
) -> Verdict:
    """Return the verdict on a credential, topic, project or host that does not fit: the owner of the app has to act.

    is_key_fault: it is the credential itself, whatever it is used for.
    """
    return failed(
        code,
        cause,
        fix,
        attribution="customer",
        outcome=Outcome.REFUSED,
        counts_in_sla=False,
        retry=retry,
        remove_when_proven=remove_when_proven,
        is_credential_fault=True,
        is_key_fault=is_key_fault,
    )
