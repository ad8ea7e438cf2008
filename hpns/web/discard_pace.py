"""Pace at which a process reads what it throws away: the rest of requests that were answered for their heads.

To read it is a courtesy to their senders, who get to read the answer that way; it must not cost the others anything.
Invariant: what is thrown away takes RATE bytes a second at most, of all connections; those that wait come in turn, each
with the deadline of its body.
"""

import asyncio
import collections
from typing import Final, Protocol

from hpns.web.flow_control import Pause

# Bytes a second: some hundredths of a processor.
RATE: Final = 20 * 1024 * 1024
# Seconds between two looks at those that wait, and the bytes of that time.
TICK: Final = 0.05
BURST: Final = int(RATE * TICK)


class Sender(Protocol):
    """A connection whose bytes are thrown away."""

    def pause_reading(self, reason: Pause) -> None: ...

    def resume_reading(self, reason: Pause) -> None: ...


class DiscardPace:
    """The pace of one process, for one event loop. `piece`: bytes that a connection reads at once."""

    def __init__(self, piece: int) -> None:
        self._resumed = max(1, BURST // piece)  # connections at a time
        self._left = 0.0
        self._spent_at = 0.0
        self._waiting: collections.deque[Sender] = collections.deque()
        self._timer: asyncio.TimerHandle | None = None

    def spend(self, sender: Sender, size: int) -> None:
        """So many bytes of a connection were thrown away; it is not read from for a while when that was too much."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._left = min(BURST, self._left + (now - self._spent_at) * RATE) - size
        self._spent_at = now
        if self._left < 0:
            sender.pause_reading(Pause.DISCARD)
            self._waiting.append(sender)
            if self._timer is None:
                self._timer = loop.call_later(TICK, self._resume)

    def _resume(self) -> None:
        self._timer = None
        for _ in range(min(self._resumed, len(self._waiting))):
            self._waiting.popleft().resume_reading(Pause.DISCARD)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._resume)
