"""Circuit breaker for each credential at each origin: no push waits for a provider that is silent or broken.

The pattern is that of "Release It!" (Nygard) and https://martinfowler.com/bliki/CircuitBreaker.html. Closed, it counts
from the first failure on; when at least FEWEST pushes of WINDOW seconds have failed at their first try, and at least
half of the attempts, it opens: no push is sent, each is to be tried later, or ends. After a pause it is half open:
PROBES real pushes may be under way; when so many in a row were answered it closes, and the first that fails opens it
again, for twice as long. A failure is what says that nobody is there to take pushes: a fault of the connection, no
answer in time, 500, 502, 503 and 504. What the provider says of a push, a device or a key is an answer, and 429 is
neither: it says itself when to come again. Nothing is kept of credentials without failures, and a push of theirs costs
one comparison. Invariant: between two openings at most PROBES pushes at a time wait for a provider that gives no
answer. Pure, but for its log.
"""

import logging
from collections.abc import Callable, Hashable, Iterator
from typing import Final, NamedTuple

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import Attempt
from delivery.providers.base import Target

logger = logging.getLogger(__name__)

WINDOW: Final = 10.0
FEWEST: Final = 20
RATIO: Final = 0.5
# Seconds that it is open at first, and at most: much less than a call lives, so that a provider that answers again is
# found out in time for it. A few pushes in so many seconds are nothing to a provider.
PAUSE, PAUSE_MOST = 2.0, 8.0
PROBES: Final = 3
# Seconds after which a probe that has not ended is not waited for any longer; each ends within its deadline.
PROBE_MOST: Final = 10.0
# Credentials of which something is kept, at half a kilobyte each; of others nothing is while so many fail at once.
KEPT_MOST: Final = 4_000

FAULTS: Final = frozenset(
    (
        TransportFault.DNS,
        TransportFault.CONNECT,
        TransportFault.TLS,
        TransportFault.PROXY,
        TransportFault.TIMEOUT_CONNECT,
        TransportFault.TIMEOUT,
        TransportFault.CLOSED,
        TransportFault.RESET,
        TransportFault.PROTOCOL,
    )
)
BROKEN: Final = frozenset((500, 502, 503, 504))


class Open(NamedTuple):
    """A breaker that is open or half open (`is_probing`): of which app and credential, where, since when and until when
    (the clock's), for what, and how many pushes were held back."""

    app_id: int
    credential_id: int
    host: str
    since: float
    probe_at: float
    reason: str
    held: int
    is_probing: bool


class _Breaker:
    __slots__ = (
        *("answered", "app_id", "began", "failed", "held", "host", "open_until", "pause", "probed_at", "probes"),
        *("reason", "since", "well"),
    )

    def __init__(self, now: float, app_id: int, host: str) -> None:
        self.began, self.app_id, self.host = now, app_id, host
        self.failed = self.answered = self.well = self.held = 0
        self.open_until = self.since = self.probed_at = 0.0  # 0: closed
        self.pause = PAUSE
        self.probes: set[Hashable] = set()
        self.reason = ""


class Breakers:
    """The breakers of one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: gives seconds that nobody sets."""
        self._clock = clock
        # Those that have failed lately; whoever looks whether it is empty need not ask.
        self.troubled: dict[tuple[int, str], _Breaker] = {}
        # Called when one opens.
        self.on_opened: Callable[[], None] = _nobody
        # Called when one has closed that was open, with its credential and origin.
        self.on_closed: Callable[[tuple[int, str]], None] = _nobody

    def wait(self, target: Target, push: Hashable, *, counts: bool = True) -> float:
        """The seconds for which a push is not to be sent; 0: send it, and let on_attempt() know what came of it.

        counts: whether it is one more push that is held back, and not one that was before.
        """
        breaker = self.troubled.get((target.credential_id, target.origin))
        if breaker is None or not breaker.since:
            return 0.0
        now = self._clock()
        if breaker.open_until > now:
            breaker.held += counts
            return breaker.open_until - now
        if len(breaker.probes) >= PROBES:
            if now - breaker.probed_at < PROBE_MOST:
                breaker.held += counts
                return PAUSE
            breaker.probes.clear()
        breaker.probes.add(push)
        breaker.probed_at = now
        return 0.0

    def trouble(self, target: Target) -> tuple[str, str]:
        """The host, and what the last failure was: a TransportFault or a status."""
        breaker = self.troubled.get((target.credential_id, target.origin))
        return ("", "") if breaker is None else (breaker.host, breaker.reason)

    def is_lasting(self, target: Target) -> bool:
        """Whether it is open and not for the first time: nobody answered when it was found out last."""
        breaker = self.troubled.get((target.credential_id, target.origin))
        return breaker is not None and breaker.pause > PAUSE

    def on_attempt(self, target: Target, push: Hashable, attempt: Attempt, *, again: bool = False) -> None:
        """Count what came of an attempt, if it says something: needed of failures, and of all while `troubled`.

        again: the push was tried before; that it fails once more says nothing new.
        """
        key = (target.credential_id, target.origin)
        is_failure = attempt.status in BROKEN or (not attempt.status and attempt.reason in FAULTS)
        breaker = self.troubled.get(key)
        if breaker is None:
            if not is_failure or (len(self.troubled) >= KEPT_MOST and not self._forget()):
                return
            breaker = self.troubled[key] = _Breaker(self._clock(), target.app_id, attempt.host)
        if is_failure:
            breaker.reason = attempt.reason if not attempt.status else str(attempt.status)
        if breaker.since:
            self._on_probe(key, breaker, push, is_answer=not is_failure and bool(attempt.status), is_failure=is_failure)
        elif (is_failure and not again) or (not is_failure and attempt.status and attempt.status != 429):
            self._on_counted(key, breaker, is_failure=is_failure)

    def _on_counted(self, key: tuple[int, str], breaker: _Breaker, *, is_failure: bool) -> None:
        now = self._clock()
        if now - breaker.began > WINDOW:
            if not is_failure:
                del self.troubled[key]  # the failures have passed
                return
            breaker.began, breaker.failed, breaker.answered = now, 0, 0
        breaker.failed += is_failure
        breaker.answered += not is_failure
        if breaker.failed >= FEWEST and breaker.failed >= RATIO * (breaker.failed + breaker.answered):
            breaker.since = now
            breaker.open_until = now + breaker.pause
            self.on_opened()
            logger.warning(
                "no pushes are sent with the credential %d to %s for a while: %d of %d attempts failed, the last by %s",
                key[0], breaker.host, breaker.failed, breaker.failed + breaker.answered, breaker.reason,
            )  # fmt: skip

    def _on_probe(
        self, key: tuple[int, str], breaker: _Breaker, push: Hashable, *, is_answer: bool, is_failure: bool
    ) -> None:
        """Hear of an attempt while it is open: of those that were sent before, nothing is learnt."""
        if push not in breaker.probes:
            return
        breaker.probes.discard(push)
        if is_failure:
            breaker.pause = min(PAUSE_MOST, 2 * breaker.pause)
            breaker.open_until, breaker.well = self._clock() + breaker.pause, 0
        elif is_answer:
            breaker.well += 1
            if breaker.well >= PROBES:
                del self.troubled[key]
                logger.warning(
                    "pushes with the credential %d to %s are sent again; %d were held back",
                    *(key[0], breaker.host, breaker.held),
                )
                self.on_closed(key)

    def on_let_go(self, target: Target, push: Hashable) -> None:
        """Let another push be the probe: this one was not sent after all."""
        breaker = self.troubled.get((target.credential_id, target.origin))
        if breaker is not None:
            breaker.probes.discard(push)

    def _forget(self) -> bool:
        """Forget those whose failures have passed; whether there were any."""
        now, before = self._clock(), len(self.troubled)
        self.troubled = {
            key: breaker for key, breaker in self.troubled.items() if breaker.since or now - breaker.began <= WINDOW
        }
        return len(self.troubled) < before

    def open(self) -> Iterator[Open]:
        """Those that are open or half open."""
        now = self._clock()
        for (credential_id, _), breaker in self.troubled.items():
            if breaker.since:
                yield Open(
                    breaker.app_id,
                    credential_id,
                    breaker.host,
                    breaker.since,
                    breaker.open_until,
                    breaker.reason,
                    breaker.held,
                    breaker.open_until <= now,
                )


def _nobody(*_: object) -> None:
    """Nobody wants to know."""
