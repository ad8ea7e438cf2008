"""Retries: whether a push is tried again after an attempt, when, and whether in its batch or by way of the due list.

What is tried again, and when, is said by the schedule of its type (delivery/protocol/schedule.py) and by what its
provider answered; repeats of what the provider had in its hands take from a budget (retry_budget.py). Pauses that its
batch's time allows are timers of this process; anything longer is a time in the due list (delivery/queue/due_list.py).
Invariant: a push is either open in its batch or deferred, never both.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import Attempt, Retry
from delivery.protocol import schedule
from delivery.providers import table
from delivery.providers.base import Target, Try
from delivery.queue import shared_clock
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.due_room import DueRoom
from delivery.worker.retry_budget import RetryBudget
from tenants.directory.live import DIRECTORY

# Seconds before the first and each further try after a fault below HTTP, doubled each time; at least this much time
# must be left for a try to be worth it.
PAUSE, WORTH = 0.05, 0.1
# How often a push is sent again at once after its provider ended the connection and disowned it. Those that were
# disowned together go out first on the next connection, so one is only disowned again behind many others.
AT_ONCE = 12
# As after how many tries at least the pause of the due list is: a second or two, for it has had its batch's time.
LATER_FROM: Final = 4
# Seconds that a push of the due list waits, at least and at most, when there is no budget for it.
NO_BUDGET: Final = (0.5, 2.0)
# Pushes of the due list that one credential may have in hands: who is silent must not take the places of all.
DUE_MOST: Final = 100
# Seconds, at least and at most, until the one repeat out of the due list of a push that was never answered: it is to
# meet another moment of its provider's.
UNANSWERED: Final = (10.0, 20.0)
_BUDGETED: Final = frozenset((Retry.BACKOFF, Retry.REPLACE, Retry.ONCE))


class _Wait:
    """A push that waits for its next try in its batch."""

    __slots__ = ("handle", "index", "tried", "work")

    def __init__(self, work: BatchProgress, index: int, tried: Try) -> None:
        self.work, self.index, self.tried = work, index, tried
        self.handle: asyncio.TimerHandle | None = None


class Retries:
    """The retries of one process, on its loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        room: DueRoom,
        send: Callable[[BatchProgress, int, Try], None],
        on_deferred: Callable[[BatchProgress, int, bool], None],
    ) -> None:
        """send: makes the next try; on_deferred: each push that goes to the due list, and whether it is put off."""
        self._loop, self._room, self._send, self._on_deferred = loop, room, send, on_deferred
        self.budget = RetryBudget(loop.time)
        self._waiting: set[_Wait] = set()
        self._leaving = False
        self._due: dict[int, int] = {}  # pushes of the due list in hands, by credential

    def try_again(self, work: BatchProgress, index: int, tried: Try, attempt: Attempt, retry: Retry) -> bool:
        """Bring about another try if what the last one showed, and the push's lifetime, allow it."""
        pause = self._pause(work, index, tried, attempt, retry)
        if pause is None:
            return False
        fits = work.deadlines[index] - self._loop.time() - pause >= WORTH
        if fits and not (self._leaving and pause) and (retry not in _BUDGETED or self.budget.take(tried.target)):
            wait = _Wait(work, index, tried)
            wait.handle = self._loop.call_later(pause, self._wake, wait)
            self._waiting.add(wait)
            return True
        if retry is Retry.ONCE and attempt.reason != TransportFault.STOPPED:
            least, most = UNANSWERED
            return bool(self._put(work, index, schedule.of(tried.push), least + _chance() * (most - least)))
        return retry is not Retry.RENEW and self._defer(work, index, pause, attempt.retry_after)

    def _pause(self, work: BatchProgress, index: int, tried: Try, attempt: Attempt, retry: Retry) -> float | None:
        """The seconds until the next try; None where there is to be none."""
        tries = len(work.attempts[index])
        if retry is Retry.AT_ONCE:
            return 0.0 if tries <= AT_ONCE else PAUSE * 2 ** min(tries - AT_ONCE, 16)
        if retry is Retry.SAFE:
            return PAUSE * 2.0 ** min(tries - 1, 16)
        if retry is Retry.RENEW:
            return 0.0 if self._count(work, index, retry) == 1 else None
        if retry not in _BUDGETED or not self._may_repeat(work, index, tried, retry):
            return None
        return schedule.pause(schedule.of(tried.push), tries, attempt.retry_after, _chance())

    def _may_repeat(self, work: BatchProgress, index: int, tried: Try, retry: Retry) -> bool:
        """Whether a push that its provider had in its hands may be sent again without being shown twice."""
        if retry is Retry.BACKOFF:
            return True
        if retry is Retry.ONCE and self._count(work, index, retry) > 1:
            return False
        return table.PROVIDERS[tried.target.family].replaces(tried.push)

    @staticmethod
    def _count(work: BatchProgress, index: int, retry: Retry) -> int:
        """How many of a push's attempts ended so."""
        return sum(table.judge(attempt).retry is retry for attempt in work.attempts[index])

    def _wake(self, wait: _Wait) -> None:
        self._waiting.discard(wait)
        self._send(wait.work, wait.index, wait.tried)

    def _defer(self, work: BatchProgress, index: int, pause: float, retry_after: float) -> bool:
        """Move a push to the due list, if it is still of use when its time comes."""
        item = work.items[index]
        plan = schedule.of(item.push)
        later = schedule.pause(plan, max(len(work.attempts[index]), LATER_FROM), retry_after, _chance())
        return bool(self._put(work, index, plan, max(pause if pause <= plan.longest else 0.0, later)))

    def _put(
        self, work: BatchProgress, index: int, plan: schedule.Schedule, pause: float, *, is_put_off: bool = False
    ) -> int:
        """Move a push to the due list; its time there (unix milliseconds), 0: it is of no use then, or has no room."""
        due = shared_clock.now() + pause
        is_new = work.claim is None
        if work.items[index].customer in DIRECTORY.canaries:
            return 0  # it is to show how things are now
        useful = plan.later and schedule.is_worth(plan, due - work.items[index].at)
        if not useful or (is_new and not self._room.has_room()):
            return 0
        work.open.discard(index)
        work.deferred.append((index, int(due * 1000)))
        work.has_deferred = True
        self._on_deferred(work, index, is_put_off)
        return int(due * 1000)

    def put_off(self, work: BatchProgress, index: int, pause: float) -> int:
        """Move a push that is not sent now to the due list, for so many seconds, if it is of use then; its time there
        (unix milliseconds), 0 where it is not.

        What has little time, such as a call, comes back after its own longest pause: the wait may be over sooner.
        """
        plan = schedule.of(work.items[index].push)
        return self._put(work, index, plan, min(pause, plan.longest * (1 + _chance()) / 2), is_put_off=True)

    def begin_due(self, work: BatchProgress, target: Target) -> bool:
        """Whether a push of the due list may be sent now; else it waits for its credential's budget, or places."""
        held = self._due.get(target.credential_id, 0)
        if (held >= DUE_MOST or not self.budget.take(target)) and self._postpone(work, 0):
            return False
        self._due[target.credential_id] = held + 1
        work.finished.add_done_callback(lambda _: self._let_go(target.credential_id))
        return True

    def _let_go(self, credential_id: int) -> None:
        self._due[credential_id] -= 1
        if not self._due[credential_id]:
            del self._due[credential_id]

    def _postpone(self, work: BatchProgress, index: int) -> bool:
        """Let a push of the due list wait for budget; False if it has no time for that."""
        least, most = NO_BUDGET
        return bool(self._put(work, index, schedule.of(work.items[index].push), least + _chance() * (most - least)))

    def leave(self) -> None:
        """Move what waits here to the due list, from now on as well: this process is about to stop."""
        self._leaving = True
        for wait in list(self._waiting):
            if self._put(wait.work, wait.index, schedule.of(wait.tried.push), self._left(wait)):
                self._waiting.discard(wait)
                if wait.handle is not None:
                    wait.handle.cancel()

    def _left(self, wait: _Wait) -> float:
        return 0.0 if wait.handle is None else max(0.0, wait.handle.when() - self._loop.time())


def _chance() -> float:
    # Not a secret: it keeps those that were sent away together from coming back together.
    return random.random()  # noqa: S311
