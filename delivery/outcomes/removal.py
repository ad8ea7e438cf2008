"""Rules of REMOVE: what a provider's answer needs beside itself before a device is removed for it. Pure.

Two kinds of answers say that a device is gone. Some mean it by themselves (Apple's 410, Google's UNREGISTERED: rows
that are answered with REMOVE). The others a wrong key, topic, host or project causes as well, for every phone at once
(rows marked remove_when_proven): they are FAIL until the credential has proven itself. Neither is believed right after
the credential changed, nor while the fuse of the credential has tripped. Invariant: what is not surely so is FAIL, for
a wrong REMOVE mutes a phone until its user logs in again, and a FAIL costs one push to a dead phone.
ARCHITECTURE.md has the table of all answers.
"""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from delivery.outcomes.verdict import Answer, Outcome, Verdict, failed

WINDOW: Final = 600.0
"""Seconds over which the tokens of a credential are counted."""
AFTER_CHANGE: Final = WINDOW
"""Seconds after a credential began to sign, or its app was changed, in which no device is removed: after that, all that
is counted is of the credential as it is now."""
LEAST: Final = 5
SHARE: Final = 0.05
"""The fuse trips when this many distinct tokens, and more than this share, would be removed on doubtful answers."""
MASS_LEAST: Final = 20
MASS_SHARE: Final = 0.5
"""And when so many are gone by the provider's own word: not half of all phones die within ten minutes, but a provider
may have a bad hour. Tokens that died over years, of a server that has just come to us, stay below."""
PROOF: Final = 3
"""Distinct tokens that the credential was accepted for within the window: at least two of them are others."""
REPEATED: Final = 5.0
"""Seconds between two doubtful answers about one token before the second is believed: longer than it takes the
processes to hear of each other, so that a key that has just gone wrong removes nothing in its first moment."""
MOST: Final = 5_000
"""Tokens that are counted apart; from there on the fuse has tripped, whatever their share."""
RELEASED: Final = 3600.0
"""Seconds for which somebody's word that the devices are really gone lifts the fuse. Not the proof."""


class Decision(StrEnum):
    """What was decided about an answer that says that a device is gone. The values are labels of a metric."""

    BELIEVED = "believed"
    """REMOVE: the answer means it by itself."""
    PROVEN = "proven"
    """REMOVE: the answer is a doubtful one, and the credential has proven itself."""
    AFTER_CHANGE = "after_change"
    """FAIL: the credential changed just now."""
    HELD = "held"
    """FAIL: the fuse has tripped."""
    UNPROVEN = "unproven"
    """FAIL: the answer is doubtful, and the credential has not proven itself."""
    REGISTERED = "registered"
    """FAIL: the provider says since when the device is gone, and its app has registered later than that."""
    FIRST = "first"
    """FAIL: the answer is doubtful, and the first of this token."""
    KNOWN_DEAD = "known_dead"
    """REMOVE without asking the provider, which has said so a moment ago."""
    DEFERRED = "deferred"
    """REMOVE without asking the provider: it said so of the push before, when its server had been told OK."""


class Counts(NamedTuple):
    """Distinct tokens of one customer that one credential was used for within WINDOW: for which it was accepted, which
    are gone by the provider's own word, and of which a doubtful answer says so."""

    accepted: int = 0
    gone: int = 0
    doubtful: int = 0

    @property
    def has_tripped(self) -> bool:
        """Whether the fuse trips."""
        tokens = sum(self)
        doubted = self.doubtful >= LEAST and (self.doubtful > SHARE * tokens or self.doubtful >= MOST)
        return doubted or (self.gone >= MASS_LEAST and (self.gone > MASS_SHARE * tokens or self.gone >= MOST))

    @property
    def is_proven(self) -> bool:
        """Whether the credential is known to be right."""
        return self.accepted >= PROOF


def decide(
    *,
    by_itself: bool,
    is_back: bool,
    since_change: float,
    is_held: bool,
    is_released: bool,
    counts: Counts | None,
    since_first: float | None,
) -> Decision:
    """Decide about an answer that says that a device is gone.

    by_itself: the answer means it by itself; is_back: the device's app has registered since the moment that the
    provider names; since_change: seconds since the credential, or its app, changed; is_held: the fuse is known to have
    tripped; is_released: somebody has lifted it; counts: what all processes have counted
    lately, None where that is not known; since_first: seconds since the first doubtful answer about this token, None
    where this is the first.
    """
    if is_back:
        return Decision.REGISTERED
    if since_change < AFTER_CHANGE:
        return Decision.AFTER_CHANGE
    if not is_released and (is_held or (counts is not None and counts.has_tripped)):
        return Decision.HELD
    if by_itself:
        return Decision.BELIEVED
    if counts is None or not counts.is_proven:
        return Decision.UNPROVEN
    return Decision.PROVEN if since_first is not None and since_first >= REPEATED else Decision.FIRST


def proven(verdict: Verdict) -> Verdict:
    """Return the verdict on a doubtful answer that is believed."""
    return msgspec.structs.replace(
        verdict,
        outcome=Outcome.GONE,
        code=f"{verdict.code}_proven",
        answer=Answer.REMOVE,
        attribution="device",
        cause=f"{verdict.cause}, and takes those of other phones",
        fix="the server stops sending to it; the app registers again when its user opens it",
        level="info",
        counts_in_sla=True,
        remove_when_proven=False,
        is_credential_fault=False,
    )


def _kept(code: str, cause: str, fix: str) -> Verdict:
    return failed(code, cause, fix, attribution="device", outcome=Outcome.REFUSED, counts_in_sla=False)


HELD: Final[dict[Decision, Verdict]] = {
    Decision.REGISTERED: _kept(
        "remove_registered_since",
        "{host} says that the app is no longer on this device ({reason}), of a moment before it registered again",
        "nothing to do: the device stays; the next push asks {host} anew",
    ),
    Decision.AFTER_CHANGE: _kept(
        "remove_after_change",
        "{host} says that the app is no longer on this device ({reason}), and the app's credential, id or host was"
        " changed a few minutes ago",
        "nothing to do; if it still says so later, the server is told to remove the device",
    ),
    Decision.HELD: _kept(
        "remove_held",
        "{host} says that the app is no longer on this device ({reason}), and so of too many devices at once to be"
        " believed",
        "check on the app's page that its credential, id and host are right; it ends by itself, or there by hand",
    ),
}
"""The verdicts on what means it by itself and is FAIL all the same. A doubtful answer keeps its own verdict."""

KNOWN_DEAD: Final = Verdict(
    outcome=Outcome.GONE,
    code="known_dead_device",
    answer=Answer.REMOVE,
    attribution="device",
    cause="the provider said a moment ago that the app is no longer on this device",
    fix="the server stops sending to it; the app registers again when its user opens it",
    level="info",
)
"""The verdict on a push that the provider is not asked about again."""
ROWS: Final = (*HELD.values(), KNOWN_DEAD)
