"""The time of day by the peers' Date headers (RFC 9110, 6.6.1), for a machine whose own clock is wrong.

What is signed for a provider carries a time that the provider holds against its own clock. Our clock is taken for right
until a response disagrees with it by more than TOLERANCE; from then on the time goes on from that response's, by a
clock that nobody sets, until a response agrees with ours again.
"""

import time
from collections.abc import Callable
from typing import Final

TOLERANCE: Final = 30.0
"""Seconds between two clocks that are no disagreement: a Date has whole seconds, and answers take some."""


class PeerClock:
    """The time of day for one engine. monotonic: seconds that never go back (time.monotonic).

    second_opinion: another machine's clock, in unix seconds, 0 while it is not known: no better than ours, and worth a
    try where a provider refuses a time and says none itself.
    """

    __slots__ = ("_corrected_base", "_wall", "monotonic", "second_opinion")

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        """wall: our clock, in unix seconds; monotonic: seconds that never go back."""
        self._wall, self.monotonic = wall, monotonic
        self._corrected_base: float | None = None
        self.second_opinion: Callable[[], float] = float

    def observe(self, date: float) -> None:
        """Take the Date of a response that has just come, in unix seconds; 0 (none) changes nothing."""
        if date:
            disagrees = abs(date - self._wall()) > TOLERANCE
            self._corrected_base = date - self.monotonic() if disagrees else None

    @property
    def corrected(self) -> bool:
        """Whether a peer has said that our clock is wrong."""
        return self._corrected_base is not None

    def now(self) -> float:
        """Return the time of day in unix seconds."""
        if self._corrected_base is None:
            return self._wall()
        return self._corrected_base + self.monotonic()

    def skew(self) -> float:
        """Return by how many seconds our clock is ahead of now(); within TOLERANCE of 0 it is right."""
        return self._wall() - self.now()
