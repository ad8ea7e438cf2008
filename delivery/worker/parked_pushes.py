"""Parks pushes of a credential whose breaker is open: once, to when it can matter, and wakes them when it has closed.

As long as nobody answers, each push that comes back from the due list is put off again, for the work of a push and
nothing gained. So once a breaker has opened again because nobody answered, NEAR pushes of each of its pauses come back
soon after the end, as probes; all others in up to half a minute, unless this process finds out before that its pushes
are answered: then it gives those that it has parked an earlier time, one after the other. In its first pause, of two
seconds, all come back soon: most troubles are over by then, and servers still wait for the answer. Invariants: a push
stands in the due list all the while, so that nothing is lost with this process; one that somebody has claimed, or that
has another time, is left alone.
"""

import asyncio
import logging
import random
from itertools import islice
from typing import Final

from delivery.providers.base import Target
from delivery.queue import due_list, shared_clock, valkey
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.breaker import Breakers
from delivery.worker.retries import Retries

logger = logging.getLogger(__name__)

# Pushes of each pause that come back soon after it: enough for the probes of every process, and all of a small
# customer's.
NEAR: Final = 20
# Seconds for which the others are parked, at least and at most.
PARKED: Final = (20.0, 40.0)
# Pushes a second that come back when the breaker has closed, and of one command.
WAKING_RATE: Final = 200
CHUNK: Final = 500
# Parked pushes that are remembered in all, at some 200 bytes each; those beyond come back by their own time.
REMEMBERED_MOST: Final = 20_000
# Seconds between two lines of the log about pushes of one breaker.
SPOKEN_INTERVAL: Final = 1.0


class _Parked:
    """What is known of one breaker's: the pushes that are parked, with their times (unix milliseconds)."""

    __slots__ = ("near", "pause_ends", "pushes", "since_spoken", "spoken_at")

    def __init__(self) -> None:
        self.pushes: dict[str, int] = {}
        self.near = self.since_spoken = 0
        self.pause_ends = self.spoken_at = 0.0


class ParkedPushes:
    """The parked pushes of one process, on its loop."""

    def __init__(
        self, link: valkey.Link, loop: asyncio.AbstractEventLoop, breakers: Breakers, retries: Retries
    ) -> None:
        self._link, self._loop, self._breakers, self._retries = link, loop, breakers, retries
        self._parked: dict[tuple[int, str], _Parked] = {}
        self._remembered, self._forget_at = 0, 0.0
        breakers.on_closed = self._on_closed

    def put_off(self, work: BatchProgress, index: int, target: Target, wait: float) -> bool:
        """Move a push that its breaker holds back for so many seconds to the due list, if it is of use later."""
        key = target.credential_id, target.origin
        parked = self._parked.get(key)
        if parked is None:
            parked = self._parked[key] = _Parked()
        now = self._loop.time()
        if now >= parked.pause_ends:
            parked.near, parked.pause_ends = 0, now + wait
        is_near = parked.near < NEAR or not self._breakers.is_lasting(target)
        least, most = (wait, wait + max(1.0, wait)) if is_near else PARKED
        due_ms = self._retries.put_off(work, index, least + random.random() * (most - least))  # noqa: S311  no secret
        if not due_ms:
            return False
        parked.near += is_near
        if not is_near and self._has_room(now):
            name = work.items[index].trace if work.claim is None else work.claim.id
            self._remembered += name not in parked.pushes
            parked.pushes[name] = due_ms
        self._speak(parked, target, now)
        return True

    def _has_room(self, now: float) -> bool:
        """Whether one more may be remembered; those whose time has come are forgotten, now and then."""
        if self._remembered >= REMEMBERED_MOST and now >= self._forget_at:
            self._forget_at = now + PARKED[0] / 4
            past = shared_clock.now() * 1000
            for parked in self._parked.values():
                parked.pushes = {name: due_ms for name, due_ms in parked.pushes.items() if due_ms > past}
            self._remembered = sum(len(parked.pushes) for parked in self._parked.values())
        return self._remembered < REMEMBERED_MOST

    def _speak(self, parked: _Parked, target: Target, now: float) -> None:
        parked.since_spoken += 1
        if now >= parked.spoken_at + SPOKEN_INTERVAL:
            host, reason = self._breakers.trouble(target)
            logger.info(
                "%d pushes with the credential %d are tried again later, for %s does not answer (%s)",
                *(parked.since_spoken, target.credential_id, host, reason),
            )
            parked.spoken_at, parked.since_spoken = now, 0

    def _on_closed(self, key: tuple[int, str]) -> None:
        parked = self._parked.pop(key, None)
        if parked is None:
            return
        self._remembered -= len(parked.pushes)
        now = shared_clock.now()
        ahead = (now + PARKED[0] / 4) * 1000  # what comes back by itself so soon needs no waking
        late = ((name, due_ms) for name, due_ms in parked.pushes.items() if due_ms > ahead)
        number = 0
        while chunk := list(islice(late, CHUNK)):
            self._link.post(due_list.waking(chunk, int(now * 1000) + number * 1000 // WAKING_RATE, WAKING_RATE), 1)
            number += len(chunk)
