"""Exponential back-off with jitter between dials, since Apple takes rapid reconnecting for an attack
(https://developer.apple.com/library/archive/documentation/NetworkingInternet/Conceptual/RemoteNotificationsPG/CommunicatingwithAPNs.html),
and the pause that a provider asks for with ENHANCE_YOUR_CALM (RFC 9113, 7).

A dial passes two of them: its origin's, which all credentials share, counts names, TCP, the proxy and TLS; its
channel's, which is one credential's, counts what comes after: connections that end before they answer anything, and
certificates that are turned down. So one customer's bad key costs the others no pause, and a provider that is down is
dialled by one channel at a time, however many wait. Invariant: while dials fail, there are no more than one for each
pause; whoever waits for its turn is woken as soon as another one's dial succeeds.
"""

import asyncio
import random
import time
from contextlib import suppress
from typing import Final

from delivery.http2.addresses import DialError

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.5
"""Seconds, with JITTER still less than an attempt's time (ATTEMPT_DEADLINE, 4 s): whichever push waits for a provider
that was away, it meets at least one dial, so that none fails for a pause alone."""
JITTER: Final = 0.2
"""A pause is longer or shorter by up to this part of it, so that many processes do not dial together."""
CALM_PAUSE: Final = 0.5
LONGEST_CALM: Final = 8.0
MEMORY_SECONDS: Final = 60.0
"""So long after a pause, another failure, or being asked for calm again, makes the next pause longer than it was."""
_MOST_DOUBLINGS: Final = 16


class Backoff:
    """The pauses between the dials of one origin, or of one channel.

    failures: dials since the last success, once one of them has failed.
    """

    def __init__(self) -> None:
        """Start with nothing known: the first dial goes out at once."""
        self.failures = 0
        self._error: DialError | None = None
        self._calm_error: DialError | None = None
        self._next_at = self._calm_until = 0.0  # time.monotonic()
        self._calm_pause = 0.0
        self._opened = asyncio.Event()

    def delay(self, now: float) -> float:
        """Return the seconds until the next dial may go out, 0 for now; now: time.monotonic()."""
        return max(0.0, self._next_at - now, self._calm_until - now)

    def error(self, now: float) -> DialError | None:
        """Return why there is a pause, or was one before the dial that is under way; None after a success."""
        return self._calm_error if now < self._calm_until else self._error

    def begin(self, now: float) -> None:
        """Hear that a dial goes out. After a failure it counts before it ends: it may hang, and others wait."""
        if now - self._next_at > MEMORY_SECONDS:
            self.failures = 0
        if self.failures:
            self._count(now)

    def failed(self, error: DialError) -> None:
        """Hear that a dial has failed. The first may be repeated at once; any later one has been counted by begin()."""
        self._error = error
        if not self.failures:
            self._count(time.monotonic())

    def succeeded(self) -> None:
        """Hear that a dial has led to what it was for: all that wait may go."""
        if self.failures:
            self.failures, self._error, self._next_at = 0, None, 0.0
            self._opened.set()

    def calm(self, error: DialError) -> float:
        """Hear that the peer asks for calm, and return how long to be silent, in seconds; 0 while we already are."""
        now = time.monotonic()
        if now < self._calm_until:
            return 0.0
        doubled = now - self._calm_until < MEMORY_SECONDS and self._calm_pause
        self._calm_pause = min(LONGEST_CALM, self._calm_pause * 2) if doubled else CALM_PAUSE
        pause = self._calm_pause * _jitter()
        self._calm_until, self._calm_error = now + pause, error
        return pause

    async def wait(self) -> None:
        """Wait until the next dial may go out, or another one has succeeded; then ask delay() again."""
        self._opened.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.delay(time.monotonic())):
                await self._opened.wait()

    def _count(self, now: float) -> None:
        self.failures += 1
        self._next_at = now + self._pause()

    def _pause(self) -> float:
        if self.failures < 2:
            return 0.0
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.failures - 2, _MOST_DOUBLINGS)) * _jitter()


def _jitter() -> float:
    return 1 + JITTER * (2 * random.random() - 1)  # noqa: S311  no secret


async def turn(*backoffs: Backoff) -> None:
    """Wait until a dial that passes all of these may go out, and count it."""
    while True:
        now = time.monotonic()
        longest = max(backoffs, key=lambda one: one.delay(now))
        if not longest.delay(now):
            break
        await longest.wait()
    for one in backoffs:
        one.begin(now)
